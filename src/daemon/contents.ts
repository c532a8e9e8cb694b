import { createHash } from 'node:crypto';
import { constants, fstatSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Digest } from '../core/digest.ts';
import { errnoOf, GuestStoreError, messageOf } from '../lib/errors.ts';
import { createPiece, pieceSize } from './piece.ts';

/** A blob, as the datastore records it and where it lies. */
export interface BlobAt {
  readonly file: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/** Verified content in memory. */
export interface ContentInMemory {
  readonly kind: 'memory';
  readonly bytes: Buffer;
  /** A whole response for the second `readySecond`, kept by who answers. */
  ready: Buffer | undefined;
  readySecond: number;
}

/** Verified content in an open file, which the caller closes. */
export interface ContentInFile {
  readonly kind: 'file';
  readonly handle: FileHandle;
  readonly size: number;
  /** True while nobody wrote to the open file: asked again before the last bytes leave. */
  unchanged(): boolean;
}

/** Contents that were found wrong, by digest: what the acknowledgement says until they are found right. */
export interface ContentTrouble {
  readonly blob: BlobAt;
  readonly error: GuestStoreError;
}

export interface Contents {
  /** Verified content if it is in memory. */
  cached(digest: Digest): ContentInMemory | undefined;
  /**
   * Verified content. Throws `DigestMismatch` when the bytes are not those of the digest, `StoreUnavailable` when they
   * cannot be read (errno name in the message). A blob is hashed once for each inode, size, mtime and ctime that it is
   * met with, and once only however many ask at the same time.
   */
  open(blob: BlobAt): Promise<ContentInMemory | ContentInFile>;
  readonly trouble: ReadonlyMap<Digest, ContentTrouble>;
  /** Looks again at one that was in trouble; true when it is well. */
  recheck(digest: Digest): Promise<boolean>;
  forget(digest: Digest): void;
  /** Bytes held in memory. */
  readonly held: number;
}

/** Verdicts to remember about files: a few hundred bytes each. */
const maxVerdicts = 65_536;

/** `budget` bounds, in bytes, what is kept in memory; the least recently used goes first. */
export function createContents(budget: number): Contents {
  const memory = new Map<Digest, ContentInMemory>();
  /** File identity -> whether its bytes are those of the digest; by digest. */
  const verdicts = new Map<Digest, { readonly identity: string; readonly right: boolean }>();
  const opening = new Map<string, Promise<ContentInMemory | 'verified'>>();
  const trouble = new Map<Digest, ContentTrouble>();
  let held = 0;

  /** A response with its head may be kept beside the bytes: both count. */
  const weight = (content: ContentInMemory) => 2 * content.bytes.length + 1024;

  function keep(digest: Digest, content: ContentInMemory): void {
    if (weight(content) > budget) return;
    memory.set(digest, content);
    held += weight(content);
    for (const [oldest, old] of memory) {
      if (held <= budget) break;
      memory.delete(oldest);
      held -= weight(old);
    }
  }

  function judge(digest: Digest, identity: string, right: boolean): void {
    verdicts.delete(digest);
    verdicts.set(digest, { identity, right });
    if (verdicts.size > maxVerdicts) {
      for (const oldest of verdicts.keys()) {
        verdicts.delete(oldest);
        break;
      }
    }
  }

  /** Opens, compares, hashes if it must. Small content comes back whole; of large content only that it is right. */
  async function verify(blob: BlobAt): Promise<ContentInMemory | 'verified'> {
    await using handle = await openBlob(blob.file);
    const identity = identityOf(handle);
    const verdict = verdicts.get(blob.digest);
    if (verdict?.identity === identity) {
      if (!verdict.right) throw mismatch(blob, 'its bytes are not those of its digest');
      if (blob.size > pieceSize) return 'verified';
    }
    const { digest, size, bytes } = await hashFile(handle, blob.size);
    const right = digest === blob.digest && size === blob.size && identityOf(handle) === identity;
    judge(blob.digest, identity, right);
    if (!right)
      throw mismatch(blob, `${size} bytes with digest ${digest} lie there, ${blob.size} bytes were published`);
    if (bytes === undefined) return 'verified';
    const content: ContentInMemory = { kind: 'memory', bytes, ready: undefined, readySecond: Number.NaN };
    keep(blob.digest, content);
    return content;
  }

  /** Large content that was found right before, opened once; undefined when it must be looked at first. */
  async function openKnown(blob: BlobAt): Promise<ContentInFile | undefined> {
    if (blob.size <= pieceSize || verdicts.get(blob.digest)?.right !== true) return undefined;
    const handle = await openBlob(blob.file);
    if (verdicts.get(blob.digest)?.identity !== identityOf(handle)) {
      await handle.close();
      return undefined;
    }
    const written = writtenOf(handle);
    return { kind: 'file', handle, size: blob.size, unchanged: () => writtenOf(handle) === written };
  }

  async function openVerified(blob: BlobAt): Promise<ContentInMemory | ContentInFile> {
    const known = await openKnown(blob);
    if (known !== undefined) return known;
    const verified = await once(opening, blob.file, () => verify(blob));
    if (verified !== 'verified') return verified;
    const opened = await openKnown(blob);
    if (opened === undefined) throw mismatch(blob, 'the file was replaced while it was opened');
    return opened;
  }

  async function openContent(blob: BlobAt): Promise<ContentInMemory | ContentInFile> {
    try {
      const content = await openVerified(blob);
      trouble.delete(blob.digest);
      return content;
    } catch (thrown) {
      const error = asBlobError(thrown, blob);
      trouble.set(blob.digest, { blob, error });
      throw error;
    }
  }

  return {
    cached(digest) {
      const content = memory.get(digest);
      if (content === undefined || memory.size === 1) return content;
      memory.delete(digest);
      memory.set(digest, content);
      return content;
    },
    open: openContent,
    trouble,
    async recheck(digest) {
      const known = trouble.get(digest);
      if (known === undefined) return true;
      try {
        const content = await openContent(known.blob);
        if (content.kind === 'file') await content.handle.close();
        return true;
      } catch {
        // `trouble` holds what was wrong.
        return false;
      }
    },
    forget: (digest) => void trouble.delete(digest),
    get held() {
      return held;
    },
  };
}

/** One call of `work` for all who ask for `key` while it runs. */
function once<T>(running: Map<string, Promise<T>>, key: string, work: () => Promise<T>): Promise<T> {
  const known = running.get(key);
  if (known !== undefined) return known;
  const started = work().finally(() => running.delete(key));
  running.set(key, started);
  return started;
}

/** A blob is a plain file: anything else in its place is not followed, and never waited for. */
async function openBlob(file: string): Promise<FileHandle> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  if (fstatSync(handle.fd).isFile()) return handle;
  await handle.close();
  throw new GuestStoreError('StoreCorrupt', `${file} is not a regular file`);
}

/** Changes whenever a file is replaced or written to. Of an open file, so nothing is waited for. */
function identityOf({ fd }: FileHandle): string {
  const { dev, ino, size, mtimeNs, ctimeNs } = fstatSync(fd, { bigint: true });
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}

/** Changes when a file is written to; other than its identity not when it is removed, which takes nothing from who reads. */
function writtenOf({ fd }: FileHandle): string {
  const { size, mtimeNs } = fstatSync(fd, { bigint: true });
  return `${size}:${mtimeNs}`;
}

/** Hashes at most `expected` bytes and one more, a piece at a time, so that other VMs are served in between. */
async function hashFile(
  handle: FileHandle,
  expected: number,
): Promise<{ readonly digest: string; readonly size: number; readonly bytes: Buffer | undefined }> {
  const hash = createHash('sha256');
  const small = expected <= pieceSize;
  const piece = small ? Buffer.allocUnsafe(expected + 1) : createPiece(pieceSize);
  let size = 0;
  while (size <= expected) {
    const { bytesRead } = await handle.read(piece, small ? size : 0, small ? piece.length - size : pieceSize, size);
    if (bytesRead === 0) break;
    hash.update(piece.subarray(small ? size : 0, (small ? size : 0) + bytesRead));
    size += bytesRead;
  }
  return { digest: `sha256:${hash.digest('hex')}`, size, bytes: small ? piece.subarray(0, size) : undefined };
}

function mismatch(blob: BlobAt, what: string): GuestStoreError {
  return new GuestStoreError(
    'DigestMismatch',
    `${blob.file}: ${what}; nothing of it is served until ${blob.digest} lies there again`,
  );
}

function asBlobError(thrown: unknown, blob: BlobAt): GuestStoreError {
  if (thrown instanceof GuestStoreError) return thrown;
  const code = errnoOf(thrown) === 'ENOENT' ? 'StoreCorrupt' : 'StoreUnavailable';
  return new GuestStoreError(code, `${blob.file} (${blob.digest}) cannot be read: ${messageOf(thrown)}`, {
    cause: thrown,
  });
}
