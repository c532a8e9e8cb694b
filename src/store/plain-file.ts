import { createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  type Stats,
  unlinkSync,
} from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ContentPath } from '../core/content-path.ts';
import type { Digest } from '../core/digest.ts';
import { errnoOf } from '../lib/errors.ts';

/** Bytes read at once. */
const piece = 1024 * 1024;

/** What lies at a path of the plain tree. */
export type Found =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'file'; readonly path: string }
  /** Something that is never followed, opened or replaced; `what` names it for people. */
  | { readonly kind: 'obstacle'; readonly what: string };

/** Looks without following any link: a link on the way could lead out of the datastore. `known`: folders seen already. */
export function lookAt(datastore: string, root: string, path: ContentPath, known: Set<string>): Found {
  const segments = `${root}${path}`.split('/');
  let folder = datastore;
  for (const segment of segments.slice(0, -1)) {
    folder = join(folder, segment);
    if (known.has(folder)) continue;
    const found = lstatSync(folder, { throwIfNoEntry: false });
    if (found === undefined) return { kind: 'nothing' };
    if (!found.isDirectory()) return obstacle(datastore, folder, found);
    known.add(folder);
  }
  const target = join(datastore, ...segments);
  const found = lstatSync(target, { throwIfNoEntry: false });
  if (found === undefined) return { kind: 'nothing' };
  return found.isFile() ? { kind: 'file', path: target } : obstacle(datastore, target, found);
}

function obstacle(datastore: string, path: string, found: Stats): Found {
  return { kind: 'obstacle', what: `${kindOf(found)} at ${path.slice(datastore.length + 1)}` };
}

function kindOf(found: Stats): string {
  if (found.isFile()) return 'a file';
  if (found.isDirectory()) return 'a folder';
  if (found.isSymbolicLink()) return 'a symbolic link';
  if (found.isFIFO()) return 'a FIFO';
  return found.isSocket() ? 'a socket' : 'a device';
}

/** Makes the folders on the way, or says what stands in it. `made` is given each new one. */
export function makeFolders(
  datastore: string,
  root: string,
  path: ContentPath,
  known: Set<string>,
  made: Set<string>,
): Found {
  let folder = datastore;
  for (const segment of `${root}${path}`.split('/').slice(0, -1)) {
    folder = join(folder, segment);
    if (known.has(folder)) continue;
    const found = lstatSync(folder, { throwIfNoEntry: false });
    if (found === undefined) {
      mkdirSync(folder, { mode: 0o755 });
      made.add(folder);
    } else if (!found.isDirectory()) return obstacle(datastore, folder, found);
    known.add(folder);
  }
  return { kind: 'nothing' };
}

/** A copy that shares no inode with the blob (perhaps its blocks, where the file system can), readable for all. */
export async function copyBlob(blob: string, temporary: string): Promise<void> {
  await copyFile(blob, temporary, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
  // A copy has its original's mode: that of a blob which was, or is elsewhere, a secret is the owner's alone.
  chmodSync(temporary, 0o644);
}

/** Gives the finished copy its name; false when something got there first, which then stays. */
export function placeNew(temporary: string, target: string): boolean {
  try {
    linkSync(temporary, target);
    unlinkSync(temporary);
    return true;
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (errno === 'EEXIST') return false;
    if (errno === 'EXDEV' || errno === 'ENOENT' || errno === 'ENOSPC' || errno === 'EROFS') throw thrown;
  }
  // No link(2) here: the look and the rename are two steps, as near to each other as they can be.
  if (lstatSync(target, { throwIfNoEntry: false }) !== undefined) return false;
  renameSync(temporary, target);
  return true;
}

export function placeOver(temporary: string, target: string): void {
  renameSync(temporary, target);
}

/**
 * Removes folders that are empty, from the path's own upwards; stops at the first that is not, and at `keep`. Returns the
 * folder that it changed last, or left.
 */
export function pruneFolders(datastore: string, root: string, path: ContentPath, keep: ReadonlySet<string>): string {
  let folder = dirname(`${root}${path}`);
  for (; folder !== '.'; folder = dirname(folder)) {
    if (keep.has(folder)) break;
    try {
      rmdirSync(join(datastore, folder));
    } catch (thrown) {
      if (errnoOf(thrown) !== 'ENOENT') break;
    }
  }
  return join(datastore, folder);
}

/** Opens no link and waits for no FIFO. Undefined: it is no file any more. */
export async function digestOfPlain(path: string): Promise<Digest | undefined> {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { size } = fstatSync(file);
    if (!fstatSync(file).isFile()) return undefined;
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(Math.min(size + 1, piece));
    for (let read = readSync(file, buffer); read > 0; read = readSync(file, buffer)) {
      hash.update(buffer.subarray(0, read));
      if (size > piece) await nextTurn();
    }
    return `sha256:${hash.digest('hex')}`;
  } finally {
    closeSync(file);
  }
}

export function discard(temporary: string): void {
  rmSync(temporary, { force: true });
}
