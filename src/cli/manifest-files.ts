import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { GuestStoreError, messageOf } from '../lib/errors.ts';
import { findManifests } from '../operator/world/manifest-files.ts';

export interface ManifestFile {
  /** As a person would name it: below the folder that was asked for. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

/**
 * The manifest files of a file or folder, by path; of a folder those that `up` would read. Throws `InvalidArgument` when
 * there is no such file or folder.
 */
export async function* readManifestFiles(path: string): AsyncIterable<ManifestFile> {
  try {
    const folder = (await stat(path)).isDirectory();
    const names = folder ? [...(await findManifests(path)).files.keys()].map((name) => join(path, name)) : [path];
    for (const name of names) yield { path: name, bytes: await readFile(name) };
  } catch (error) {
    throw new GuestStoreError(
      'InvalidArgument',
      `${path}: ${messageOf(error)}; name a file or folder that can be read`,
    );
  }
}
