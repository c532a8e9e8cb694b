import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, GuestStoreError, messageOf } from '../lib/errors.ts';

export interface ManifestFile {
  /** As a person would name it: below the folder that was asked for. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

const manifestName = /^[^.].*\.(yaml|yml|json)$/;
const kustomizationName = /^kustomization\.ya?ml$/;

/**
 * The manifest files of a file or folder, sorted by path. Of a folder those named `*.yaml`, `*.yml` and `*.json`, at any depth,
 * but no hidden names and no kustomizations, as `up` reads it. Throws `InvalidArgument` when there is no such file or folder.
 */
export async function* readManifestFiles(path: string): AsyncIterable<ManifestFile> {
  try {
    if (!(await stat(path)).isDirectory()) {
      yield { path, bytes: await readFile(path) };
      return;
    }
    const entries = await readdir(path, { withFileTypes: true });
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const inner = join(path, entry.name);
      if (entry.name.startsWith('.')) continue;
      // What a link leads to counts.
      const isFolder = entry.isSymbolicLink() ? (await stat(inner)).isDirectory() : entry.isDirectory();
      if (isFolder) yield* readManifestFiles(inner);
      else if (manifestName.test(entry.name) && !kustomizationName.test(entry.name)) yield* readManifestFiles(inner);
    }
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    throw new GuestStoreError(
      'InvalidArgument',
      `${path}: ${messageOf(error)}; name a file or folder that can be read`,
    );
  }
}
