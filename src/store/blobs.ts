import { createHash } from 'node:crypto';
import { createReadStream, existsSync, renameSync, statSync } from 'node:fs';
import { chmod, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Digest } from '../core/digest.ts';
import { GuestStoreError } from '../lib/errors.ts';
import { digestOf } from './canonical.ts';
import { syncAll, writeNew } from './durable.ts';
import { attempt, attemptNow, storeFailure } from './failure.ts';
import type { Layout } from './layout.ts';
import type { Blob, Limits } from './types.ts';

/** Bytes: what is shorter is written at one go; what is longer goes to disk in pieces of this size. */
const piece = 1024 * 1024;
/** Milliseconds for which small blobs may keep everybody else waiting. */
const turn = 10;

/** The blobs of one store, for its writer. */
export interface Blobs {
  put(source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>, limits: Limits, signal: AbortSignal): Promise<Blob>;
  /** Whether the bytes are there and proven. */
  has(digest: Digest): Promise<boolean>;
  /** Brings onto disk what was put since, as far as it is named here, together with `files`. */
  sync(digests: Iterable<Digest>, files: readonly string[]): Promise<void>;
  /** Whether this process has just put them, so that there is no need to look. */
  isFresh(digest: Digest): boolean;
}

/**
 * `trusted`: digests that a commit names already, which therefore reached the disk. Any other file found in `blobs/` may
 * have been on its way when the power went, so it is hashed before it counts.
 */
export function createBlobs(layout: Layout, trusted: Iterable<Digest>): Blobs {
  const proven = new Set(trusted);
  /** Put by this process, and not known to be on disk. */
  const unsynced = new Set<Digest>();
  const folders = new Set<string>();
  let turnEnds = 0;

  async function put(
    source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    limits: Limits,
    signal: AbortSignal,
  ): Promise<Blob> {
    if (performance.now() > turnEnds) {
      await nextTurn();
      turnEnds = performance.now() + turn;
    }
    const pieces = piecesOf(source, limits.maxSize, signal);
    const first = await pieces.next();
    const head = first.done === true ? new Uint8Array() : first.value;
    if (head.length < piece) return putSmall(head, limits);
    try {
      return await putLarge(head, pieces, limits, signal);
    } finally {
      // When the writing failed the source still has its file or connection open.
      await pieces.return(undefined);
    }
  }

  function putSmall(bytes: Uint8Array, limits: Limits): Blob | Promise<Blob> {
    const blob = { digest: digestOf(bytes), size: bytes.length };
    confirm(blob.digest, limits);
    if (isThere(blob.digest, blob.size)) return limits.sensitive === true ? hide(blob) : blob;
    const path = layout.blob(blob.digest);
    const temporary = layout.temporary();
    const write = () => {
      attemptNow('write', path, () => writeNew(temporary, bytes, modeOf(limits)));
      attemptNow('write', path, () => renameSync(temporary, path));
      return arrived(blob);
    };
    const folder = dirname(path);
    if (folders.has(folder)) return keepNothing(temporary, write);
    return ensureFolder(folder).then(() => keepNothing(temporary, write));
  }

  async function putLarge(
    head: Uint8Array,
    rest: AsyncGenerator<Uint8Array>,
    limits: Limits,
    signal: AbortSignal,
  ): Promise<Blob> {
    const temporary = layout.temporary();
    return await keepNothing(temporary, async () => {
      const blob = await writeHashed(layout.tmp, temporary, head, rest, modeOf(limits));
      throwIfAborted(signal);
      confirm(blob.digest, limits);
      if (isThere(blob.digest, blob.size)) {
        await rm(temporary, { force: true });
        return limits.sensitive === true ? await hide(blob) : blob;
      }
      const path = layout.blob(blob.digest);
      await ensureFolder(dirname(path));
      await attempt('write', path, () => rename(temporary, path));
      return arrived(blob);
    });
  }

  function arrived(blob: Blob): Blob {
    proven.add(blob.digest);
    unsynced.add(blob.digest);
    return blob;
  }

  async function ensureFolder(folder: string): Promise<void> {
    await attempt('make', folder, () =>
      mkdir(folder, { mode: 0o700 }).catch((thrown: NodeJS.ErrnoException) => {
        if (thrown.code !== 'EEXIST') throw thrown;
      }),
    );
    folders.add(folder);
  }

  function isThere(digest: Digest, size: number): boolean {
    const path = layout.blob(digest);
    return (
      proven.has(digest) && attemptNow('look at', path, () => statSync(path, { throwIfNoEntry: false }))?.size === size
    );
  }

  /** One source says that these bytes are secret: then they are, whoever else has them. */
  async function hide(blob: Blob): Promise<Blob> {
    const path = layout.blob(blob.digest);
    await attempt('protect', path, () => chmod(path, 0o600));
    return blob;
  }

  async function has(digest: Digest): Promise<boolean> {
    const path = layout.blob(digest);
    if (!existsSync(path)) {
      proven.delete(digest);
      return false;
    }
    if (proven.has(digest)) return true;
    if ((await hashFile(path)) !== digest) {
      // Torn by a power cut, before any commit named it.
      await attempt('remove', path, () => rm(path, { force: true }));
      return false;
    }
    proven.add(digest);
    unsynced.add(digest);
    return true;
  }

  async function sync(digests: Iterable<Digest>, files: readonly string[]): Promise<void> {
    const due = [...digests].filter((digest) => unsynced.has(digest));
    const paths = [...files, ...due.map(layout.blob)];
    const roots = due.length > 0 ? [layout.blobs] : [];
    try {
      await syncAll(layout, [...paths, ...roots]);
    } catch (thrown) {
      // What the kernel failed to write it may call clean from now on: these blobs have to come again.
      for (const digest of due) {
        proven.delete(digest);
        unsynced.delete(digest);
        await rm(layout.blob(digest), { force: true }).catch(() => {});
      }
      throw thrown;
    }
    for (const digest of due) unsynced.delete(digest);
  }

  return { put, has, sync, isFresh: (digest) => unsynced.has(digest) };
}

function modeOf(limits: Limits): number {
  return limits.sensitive === true ? 0o600 : 0o644;
}

/** The message never tells the digest of what is refused: it may be somebody else's secret. */
function confirm(found: Digest, { expected }: Limits): void {
  if (expected === undefined || expected === found) return;
  throw new GuestStoreError(
    'DigestMismatch',
    `the source gave bytes of another digest than the expected ${expected}; nothing was kept. Correct spec.digest, or the source`,
  );
}

/** Runs a step that ends with `temporary` moved away; on any other way out it is removed. */
function keepNothing<T>(temporary: string, step: () => T | Promise<T>): T | Promise<T> {
  const remove = async (thrown: unknown): Promise<never> => {
    await rm(temporary, { force: true }).catch(() => {});
    throw thrown;
  };
  try {
    const result = step();
    return result instanceof Promise ? result.catch(remove) : result;
  } catch (thrown) {
    return remove(thrown);
  }
}

/** `where` is what messages name: the temporary's own name is another at each try. */
async function writeHashed(
  where: string,
  path: string,
  head: Uint8Array,
  rest: AsyncIterable<Uint8Array>,
  mode: number,
): Promise<Blob> {
  const hash = createHash('sha256');
  let size = 0;
  const file = await attempt('write to', where, () => open(path, 'wx', mode));
  try {
    const write = async (bytes: Uint8Array) => {
      hash.update(bytes);
      size += bytes.length;
      await attempt('write to', where, () => file.writeFile(bytes));
    };
    await write(head);
    for await (const bytes of rest) await write(bytes);
  } finally {
    await file.close();
  }
  return { digest: `sha256:${hash.digest('hex')}`, size };
}

/**
 * The source's bytes in pieces of `piece` bytes, the last one shorter (a source that ends on a boundary gives an empty
 * one). Ends the source the moment that it gives more than `maxSize`, and does not wait for it once `signal` aborts.
 */
async function* piecesOf(
  source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  maxSize: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = [];
  let length = 0;
  let total = 0;
  for await (const chunk of abortable(source, signal)) {
    total += chunk.length;
    if (total > maxSize) throw new GuestStoreError('TooLarge', `larger than ${maxSize} bytes; nothing was kept`);
    held.push(chunk);
    length += chunk.length;
    if (length < piece) continue;
    yield joined(held);
    held = [];
    length = 0;
  }
  yield joined(held);
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const [only] = chunks;
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks);
}

async function* abortable<T>(source: Iterable<T> | AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  throwIfAborted(signal);
  if (Symbol.iterator in source) {
    for (const value of source) {
      throwIfAborted(signal);
      yield value;
    }
    return;
  }
  const iterator = source[Symbol.asyncIterator]();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  aborted.catch(() => {});
  const abort = () => reject(abortion());
  signal.addEventListener('abort', abort, { once: true });
  let ended = false;
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), aborted]);
      if (next.done === true) {
        ended = true;
        return;
      }
      yield next.value;
    }
  } finally {
    signal.removeEventListener('abort', abort);
    // A stalled source may never answer: it is told, not waited for.
    if (!ended) void iterator.return?.().catch(() => {});
  }
}

export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw abortion();
}

function abortion(): GuestStoreError {
  return new GuestStoreError('Aborted', 'datastore: stopped before it was done; nothing was changed');
}

/** The digest of a file's bytes, read in pieces; undefined where there is none. */
async function hashFile(path: string): Promise<Digest | undefined> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: piece })) hash.update(chunk);
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return undefined;
    throw storeFailure(thrown, 'read', path);
  }
  return `sha256:${hash.digest('hex')}`;
}
