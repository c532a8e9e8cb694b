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
  /** `line` ends with a line feed. Returns at once; the line is on its way to the file within the flush interval. */
  append(file: string, line: string): void;
  /** Lines that a full or failing disk has cost. */
  readonly dropped: number;
  /** Resolves when all that was appended lies in its file. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** Bytes: room for a few lines, taken from Node's pool. */
const firstBuffer = 2048;

/** Lines of one file that wait: as bytes, since thousands of strings that live half a second are what a collector dreads. */
interface PendingLines {
  bytes: Buffer;
  length: number;
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
  let pending = new Map<string, PendingLines>();
  let pendingBytes = 0;
  let dropped = 0;
  let troubled = false;
  let timer: NodeJS.Timeout | undefined;
  let flushing: Promise<void> = Promise.resolve();
  /** Least recently written first. */
  const open = new Map<string, OpenFile>();

  async function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const files = pending;
    pending = new Map();
    pendingBytes = 0;
    for (const [file, lines] of files) await write(file, lines);
  }

  async function write(file: string, { bytes, length, lines }: PendingLines): Promise<void> {
    try {
      const target = await fileFor(file, length);
      await writeWhole(target.handle, bytes, length);
      target.size += length;
      if (troubled) onTrouble(undefined);
      troubled = false;
    } catch (error) {
      dropped += lines;
      if (!troubled) onTrouble(error);
      troubled = true;
      await release(file);
    }
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

  const flushAfterRunning = () => {
    flushing = flushing.then(flush);
    return flushing;
  };

  return {
    append(file, line) {
      if (pendingBytes > limits.maxPending) {
        dropped += 1;
        return;
      }
      let lines = pending.get(file);
      if (lines === undefined) {
        lines = { bytes: Buffer.allocUnsafe(firstBuffer), length: 0, lines: 0 };
        pending.set(file, lines);
      }
      // A character of a line takes at most three bytes of UTF-8.
      if (lines.length + line.length * 3 > lines.bytes.length) grow(lines, line.length * 3);
      const written = lines.bytes.write(line, lines.length);
      lines.length += written;
      lines.lines += 1;
      pendingBytes += written;
      timer ??= setTimeout(flushAfterRunning, limits.flushInterval).unref();
    },
    get dropped() {
      return dropped;
    },
    flush: flushAfterRunning,
    async close() {
      await flushAfterRunning();
      for (const file of [...open.keys()]) await release(file);
    },
  };
}

function grow(lines: PendingLines, more: number): void {
  const larger = Buffer.allocUnsafe(Math.max(2 * lines.bytes.length, lines.length + more));
  lines.bytes.copy(larger, 0, 0, lines.length);
  lines.bytes = larger;
}

async function writeWhole(handle: FileHandle, bytes: Buffer, length: number): Promise<void> {
  for (let at = 0; at < length; ) at += (await handle.write(bytes, at, length - at)).bytesWritten;
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
