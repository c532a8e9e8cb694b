import { execFile } from 'node:child_process';
import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { link, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { errnoOf } from '../lib/errors.ts';
import { attempt, attemptNow, storeFailure, unlessMissing } from './failure.ts';
import type { Layout } from './layout.ts';
import { createLimit } from './limit.ts';

const run = promisify(execFile);

/** From so many files on, one sync of the whole file system is cheaper than one for each. */
const many = 48;

/** Makes `path` hold the bytes, or leaves it as it was; on disk when it returns. */
export async function replaceDurable(
  layout: Layout,
  path: string,
  bytes: string | Uint8Array,
  mode = 0o600,
): Promise<void> {
  await withTemporary(layout, path, bytes, mode, async (temporary) => {
    await rename(temporary, path);
    await syncFolder(dirname(path));
  });
}

/**
 * Makes `path` hold the bytes and returns true, or returns false where something of that name lies already. The bytes are on
 * disk when it returns; the name is once the caller has synced the folder.
 */
export async function createDurable(layout: Layout, path: string, bytes: string, linkFile = link): Promise<boolean> {
  return await withTemporary(layout, path, bytes, 0o600, async (temporary) => {
    try {
      await linkFile(temporary, path);
      return true;
    } catch (thrown) {
      if (await isSameFile(temporary, path)) return true;
      if (errnoOf(thrown) === 'EEXIST') return false;
      if (!linkless.has(errnoOf(thrown) ?? '')) throw thrown;
    }
    return await createExclusive(path, bytes);
  });
}

/** What link(2) says on file systems that have none. */
const linkless: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/** A network file system may carry out a link and lose the reply: then the name is ours after all. */
async function isSameFile(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([a, b].map((path) => unlessMissing(() => stat(path, { bigint: true }))));
  return one !== undefined && one.ino === other?.ino && one.dev === other.dev;
}

/** Where link(2) is missing: the name is taken at once and filled then, so readers must be able to tell a part from the whole. */
async function createExclusive(path: string, bytes: string): Promise<boolean> {
  try {
    await writeSynced(path, bytes, 0o600);
    return true;
  } catch (thrown) {
    if (errnoOf(thrown) === 'EEXIST') return false;
    // The name was taken by us and holds a part: nobody may mistake it for ours later.
    await rm(path, { force: true });
    throw thrown;
  }
}

async function withTemporary<T>(
  layout: Layout,
  path: string,
  bytes: string | Uint8Array,
  mode: number,
  place: (temporary: string) => Promise<T>,
): Promise<T> {
  const temporary = layout.temporary();
  return await attempt('write', path, async () => {
    try {
      await writeSynced(temporary, bytes, mode);
      return await place(temporary);
    } finally {
      // What cannot be removed now is swept at the next start; it must not turn success into failure.
      await rm(temporary, { force: true }).catch(() => {});
    }
  });
}

async function writeSynced(path: string, bytes: string | Uint8Array, mode: number): Promise<void> {
  await using handle = await open(path, 'wx', mode);
  await handle.writeFile(bytes);
  await handle.sync();
}

/** A new file, not on disk yet (see `syncAll`). Without waiting: for small files a thread's round trip costs more than the work. */
export function writeNew(path: string, bytes: string | Uint8Array, mode: number): void {
  const file = openSync(path, 'wx', mode);
  try {
    const buffer = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
    for (let done = 0; done < buffer.length; ) done += writeSync(file, buffer, done);
  } finally {
    closeSync(file);
  }
}

/** Makes `path` hold the bytes, or leaves it as it was; not on disk yet. */
export function replaceQuickly(layout: Layout, path: string, bytes: string): void {
  const temporary = layout.temporary();
  try {
    attemptNow('write', path, () => {
      writeNew(temporary, bytes, 0o600);
      renameSync(temporary, path);
    });
  } catch (thrown) {
    rmSync(temporary, { force: true });
    throw thrown;
  }
}

/** Entries of a folder survive a power cut once the folder itself is on disk. */
export async function syncFolder(folder: string): Promise<void> {
  await syncPath(folder);
}

/**
 * Brings files, and the folders that name them, onto disk. A sync that fails is never tried again on the same file: what
 * the kernel could not write it calls clean afterwards, so the caller must write anew.
 */
export async function syncAll(layout: Layout, files: Iterable<string>): Promise<void> {
  const paths = new Set(files);
  for (const path of [...paths]) paths.add(dirname(path));
  if (paths.size === 0) return;
  if (paths.size > many && (await syncFileSystem(layout.store))) return;
  const limit = createLimit(4);
  await Promise.all([...paths].map((path) => limit(() => attempt('write to disk', path, () => syncPath(path)))));
}

/** False where the machine has no `sync -f`. */
async function syncFileSystem(folder: string): Promise<boolean> {
  try {
    await run('sync', ['-f', folder]);
    return true;
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT' || saysUsage(thrown)) return false;
    throw storeFailure(thrown, 'write to disk', folder);
  }
}

function saysUsage(thrown: unknown): boolean {
  return (
    thrown instanceof Error && 'stderr' in thrown && /unrecognized|invalid|illegal|usage/i.test(String(thrown.stderr))
  );
}

async function syncPath(path: string): Promise<void> {
  await using handle = await open(path, 'r');
  await handle.sync();
}
