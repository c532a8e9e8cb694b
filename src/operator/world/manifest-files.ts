import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { compareKeys } from '../../core/names.ts';
import { asGuestStoreError, errnoOf } from '../../lib/errors.ts';

/** A file of manifests as it lies in the folder; `signature` changes whenever its bytes may have. */
export interface ManifestFile {
  /** Relative to the folder. */
  readonly name: string;
  readonly path: string;
  readonly signature: string;
}

export interface ManifestFolder {
  /** By name, in order. */
  readonly files: ReadonlyMap<string, ManifestFile>;
  /** Every folder that was looked into, for watching. */
  readonly folders: readonly string[];
}

/**
 * Finds `*.yaml`, `*.yml` and `*.json` at any depth, through symbolic links too, as a ConfigMap volume has them; no hidden
 * names and no kustomizations. Throws `SourceUnavailable` when the folder itself cannot be read: that it is away is no
 * reason to believe that it is empty.
 */
export async function findManifests(folder: string): Promise<ManifestFolder> {
  const files = new Map<string, ManifestFile>();
  const folders: string[] = [];
  const entered = new Set<string>();

  async function look(path: string): Promise<void> {
    const real = await realpath(path);
    // A link to a folder above would lead round in a circle.
    if (entered.has(real)) return;
    entered.add(real);
    folders.push(path);
    for (const entry of await readdir(path, { withFileTypes: true })) {
      if (!entry.name.startsWith('.')) await visit(join(path, entry.name), entry);
    }
  }

  async function visit(path: string, entry: Dirent): Promise<void> {
    try {
      const found = await stat(path, { bigint: true });
      if (found.isDirectory()) await look(path);
      else if (found.isFile() && isManifest(entry.name)) {
        const name = relative(folder, path);
        files.set(name, {
          name,
          path,
          signature: `${found.dev} ${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}`,
        });
      }
    } catch (thrown) {
      // Gone between the two looks, or a link to nothing: then it is not there.
      if (errnoOf(thrown) !== 'ENOENT' && errnoOf(thrown) !== 'ELOOP') throw thrown;
    }
  }

  try {
    await look(folder);
  } catch (thrown) {
    throw asGuestStoreError(thrown, 'SourceUnavailable');
  }
  return { files: new Map([...files].toSorted(([a], [b]) => compareKeys(a, b))), folders };
}

function isManifest(name: string): boolean {
  return /\.(?:yaml|yml|json)$/.test(name) && !/^kustomization\.(?:yaml|yml)$/i.test(name);
}
