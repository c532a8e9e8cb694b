import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface LogFileLimits {
  /** Bytes after which a file is rotated to `.1`, `.1` to `.2` and so on. */
  readonly maxSize: number;
  /** Rotated files that are kept. */
  readonly kept: number;
  /** Milliseconds that a line may wait in memory. */
  readonly flushInterval: number;
  /** Descriptors that are held, however many files there are. */
  readonly maxOpen: number;
  /** Bytes that may wait for a slow disk; what comes beyond is counted and dropped. */
  readonly maxPending: number;
}

export const logFileLimits: LogFileLimits = {
  maxSize: 16 * 1024 * 1024,
  kept: 4,
  flushInterval: 1000,
  maxOpen: 512,
  maxPending: 32 * 1024 * 1024,
};

export interface LogFiles {
  /** `line` ends with a line feed. Returns at once; the line is on its way to each of the files within the flush interval. */
  append(line: string, ...files: readonly string[]): void;
  /** Lines that a full or failing disk has cost. */
  readonly dropped: number;
  /** Resolves when all that was appended lies in its file. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** Bytes. Small, since each of thousands of files may have one; the same few are used again and again, and stay warm. */
const chunkSize = 4096;
const spareChunks = 256;

/** Bytes of one file that are worth a write of their own before the interval is over. */
const enough = 256 * 1024;

/** Lines of one file that wait: as bytes, since thousands of strings that live for a second are what a collector dreads. */
interface PendingLines {
  readonly full: { readonly chunk: Buffer; readonly length: number }[];
  last: Buffer;
  /** Of `last`. */
  length: number;
  /** Of all. */
  total: number;
  lines: number;
}

interface OpenFile {
  readonly handle: FileHandle;
  size: number;
}

/**
 * Appends lines to any number of files with few descriptors and few system calls. `onTrouble` hears of the first line
 * that is lost and, with undefined, that lines reach their files again.
 */
export function createLogFiles(limits: LogFileLimits, onTrouble: (error: unknown) => void): LogFiles {
  const pending = new Map<string, PendingLines>();
  /** Files that are about to be written because of what they hold. */
  const full = new Set<string>();
  let pendingBytes = 0;
  let dropped = 0;
  let troubled = false;
  let timer: NodeJS.Timeout | undefined;
  let flushing: Promise<void> = Promise.resolve();
  /** Least recently written first. */
  const open = new Map<string, OpenFile>();
  const spare: Buffer[] = [];

  async function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    for (const file of [...pending.keys()]) await flushFile(file);
  }

  async function flushFile(file: string): Promise<void> {
    const lines = pending.get(file);
    if (lines === undefined) return;
    pending.delete(file);
    pendingBytes -= lines.total;
    await write(file, lines);
  }

  async function write(file: string, { full, last, length, total, lines }: PendingLines): Promise<void> {
    const chunks = [...full, { chunk: last, length }];
    try {
      const target = await fileFor(file, total);
      const bytes = chunks.map(({ chunk, length }) => chunk.subarray(0, length));
      await writeWhole(target.handle, bytes, total);
      target.size += total;
      if (troubled) onTrouble(undefined);
      troubled = false;
    } catch (error) {
      dropped += lines;
      if (!troubled) onTrouble(error);
      troubled = true;
      await release(file);
    } finally {
      for (const { chunk } of chunks) if (chunk.length === chunkSize && spare.length < spareChunks) spare.push(chunk);
    }
  }

  /** Where `size` bytes of a file may be put, already counted as there. */
  function placeFor(file: string, size: number): PendingLines {
    let lines = pending.get(file);
    if (lines === undefined) {
      lines = { full: [], last: chunkFor(size), length: 0, total: 0, lines: 0 };
      pending.set(file, lines);
    } else if (lines.length + size > lines.last.length) {
      lines.full.push({ chunk: lines.last, length: lines.length });
      lines.last = chunkFor(size);
      lines.length = 0;
    }
    lines.length += size;
    lines.total += size;
    lines.lines += 1;
    pendingBytes += size;
    return lines;
  }

  function chunkFor(size: number): Buffer {
    return (size <= chunkSize ? spare.pop() : undefined) ?? Buffer.allocUnsafeSlow(Math.max(size, chunkSize));
  }

  async function fileFor(file: string, more: number): Promise<OpenFile> {
    const known = open.get(file) ?? (await openLog(file));
    open.delete(file);
    open.set(file, known);
    if (known.size > 0 && known.size + more > limits.maxSize) {
      await release(file);
      await rotate(file, limits.kept);
      return await fileFor(file, more);
    }
    for (const [oldest] of open) {
      if (open.size <= limits.maxOpen) break;
      await release(oldest);
    }
    return known;
  }

  async function release(file: string): Promise<void> {
    const known = open.get(file);
    open.delete(file);
    await known?.handle.close();
  }

  /** One write at a time, so that lines keep their order. */
  const inTurn = (work: () => Promise<void>) => {
    flushing = flushing.then(work);
    return flushing;
  };

  function flushFull(file: string): void {
    if (full.has(file)) return;
    full.add(file);
    void inTurn(async () => {
      full.delete(file);
      await flushFile(file);
    });
  }

  return {
    append(line, ...files) {
      if (pendingBytes > limits.maxPending) {
        dropped += files.length;
        return;
      }
      const size = Buffer.byteLength(line);
      for (const file of files) {
        const place = placeFor(file, size);
        place.last.write(line, place.length - size);
        if (place.total > enough) flushFull(file);
      }
      timer ??= setTimeout(() => inTurn(flush), limits.flushInterval).unref();
    },
    get dropped() {
      return dropped;
    },
    flush: () => inTurn(flush),
    async close() {
      await inTurn(flush);
      for (const file of [...open.keys()]) await release(file);
    },
  };
}

async function writeWhole(handle: FileHandle, chunks: readonly Buffer[], total: number): Promise<void> {
  const { bytesWritten } = await handle.writev(chunks);
  // A disk that fills up takes a part; trying the rest brings out why.
  if (bytesWritten < total) await handle.appendFile(Buffer.concat(chunks).subarray(bytesWritten));
}

async function openLog(file: string): Promise<OpenFile> {
  const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
  const handle = await open(file, flags, 0o640).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    await mkdir(dirname(file), { recursive: true, mode: 0o750 });
    return await open(file, flags, 0o640);
  });
  return { handle, size: (await handle.stat()).size };
}

async function rotate(file: string, kept: number): Promise<void> {
  for (let number = kept; number > 0; number -= 1) {
    const older = number === 1 ? file : `${file}.${number - 1}`;
    await rename(older, `${file}.${number}`).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }
}
