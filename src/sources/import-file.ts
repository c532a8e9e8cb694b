import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readlink, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, GuestStoreError } from '../lib/errors.ts';
import type { Fetched } from './types.ts';

/** Bytes read at once. */
const chunkSize = 128 * 1024;

/** What makes a file the one that was looked at. `ctimeNs` differs after any write, also one that kept size and mtime. */
interface Identity {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

interface OpenFile {
  readonly handle: FileHandle;
  readonly identity: Identity;
}

/**
 * A regular file below an import folder. Symbolic links are followed as long as they stay inside (a mounted ConfigMap
 * is made of them). Holds nothing open until the bytes are read; a file that changes meanwhile ends in
 * SourceUnavailable, so that no mix of two versions passes. Messages name the path, never the host's folder.
 */
export async function openImport(folder: string, path: string, signal: AbortSignal): Promise<Fetched> {
  const where = `file source ${JSON.stringify(path)}`;
  refuseUnclean(path, where);
  const { handle, identity } = await openInside(folder, path, where);
  await handle.close();
  return {
    sourceRevision: importRevision(identity),
    size: Number(identity.size),
    bytes: readSame(folder, path, where, identity, signal),
  };
}

/** Tells one state of a file from another without reading it. */
export function importRevision({ mtimeNs, size, ino }: Pick<Identity, 'mtimeNs' | 'size' | 'ino'>): string {
  return `${mtimeNs}-${size}-${ino}`;
}

async function* readSame(
  folder: string,
  path: string,
  where: string,
  seen: Identity,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const { handle, identity } = await openInside(folder, path, where);
  await using file = handle;
  if (!same(seen, identity)) throw changed(where);
  for (let left = Number(seen.size); ; ) {
    if (signal.aborted) throw new GuestStoreError('Aborted', `${where}: the transfer was called off`);
    // A new buffer each time: whoever got the last one may still hold it. One byte more than is left shows growth.
    const buffer = Buffer.allocUnsafe(Math.min(chunkSize, left + 1));
    const { bytesRead } = await named(where, file.read(buffer, 0, buffer.length));
    if (bytesRead === 0) break;
    left -= bytesRead;
    if (left < 0) throw changed(where);
    yield buffer.subarray(0, bytesRead);
  }
  if (!same(seen, await named(where, file.stat({ bigint: true })))) throw changed(where);
}

/** Opens a file that lies inside the folder once all links are followed, and is a regular one. */
async function openInside(folder: string, path: string, where: string): Promise<OpenFile> {
  const root = await realpath(folder).catch((cause) => {
    throw new GuestStoreError(
      'SourceUnavailable',
      `file source: the import folder cannot be opened (${errnoOf(cause) ?? 'failed'}); check --import-dir`,
      { cause },
    );
  });
  const target = await named(where, realpath(join(root, path)));
  refuseOutside(root, target, where);
  // Looked at before it is opened, since opening a device may do something.
  if (!(await named(where, lstat(target))).isFile()) throw notRegular(where);
  // What took the file's place since then neither blocks us (a FIFO) nor leads away (a link).
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants;
  const handle = await named(where, open(target, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  try {
    const identity = await named(where, handle.stat({ bigint: true }));
    if (!identity.isFile()) throw notRegular(where);
    refuseOutside(root, await whereItLies(handle, target, identity, where), where);
    return { handle, identity };
  } catch (refusal) {
    await handle.close();
    throw refusal;
  }
}

/**
 * The real path of an open file, since a folder on the way may have been replaced by a link while it was opened. Linux
 * knows it; elsewhere the path is resolved again and must still lead to the same inode.
 */
async function whereItLies(handle: FileHandle, target: string, identity: Identity, where: string): Promise<string> {
  try {
    return await readlink(`/proc/self/fd/${handle.fd}`);
  } catch {
    const now = await named(where, realpath(target));
    const { dev, ino } = await named(where, lstat(now, { bigint: true }));
    if (dev !== identity.dev || ino !== identity.ino) throw changed(where);
    return now;
  }
}

function refuseUnclean(path: string, where: string): void {
  const segments = path.split('/');
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..' || segment.includes('\0')))
    throw new GuestStoreError(
      'SourceRefused',
      `${where}: must be relative to the import folder, without empty, "." or ".." segments; correct spec.source.file.path`,
    );
}

function refuseOutside(root: string, target: string, where: string): void {
  if (target.startsWith(root.endsWith('/') ? root : `${root}/`)) return;
  throw new GuestStoreError(
    'SourceRefused',
    `${where}: a symbolic link leads out of the import folder; put the file itself there`,
  );
}

function notRegular(where: string): GuestStoreError {
  return new GuestStoreError('SourceRefused', `${where}: not a regular file; name a file`);
}

function changed(where: string): GuestStoreError {
  return new GuestStoreError('SourceUnavailable', `${where}: changed while it was read; it will be tried again`);
}

function same(a: Identity, b: Identity): boolean {
  return a.ino === b.ino && a.dev === b.dev && a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs;
}

/** The same promise, whose failure says in our words which path it is about. */
async function named<T>(where: string, action: Promise<T>): Promise<T> {
  try {
    return await action;
  } catch (cause) {
    const errno = errnoOf(cause) ?? 'failed';
    if (errno === 'ENOENT' || errno === 'ENOTDIR')
      throw new GuestStoreError(
        'SourceNotFound',
        `${where}: nothing there (${errno}); put the file into the import folder`,
        { cause },
      );
    if (errno === 'ELOOP' || errno === 'ENAMETOOLONG' || errno === 'ENXIO')
      throw new GuestStoreError('SourceRefused', `${where}: cannot be opened (${errno}); name a regular file`, {
        cause,
      });
    throw new GuestStoreError('SourceUnavailable', `${where}: cannot be read (${errno}); it will be tried again`, {
      cause,
    });
  }
}
