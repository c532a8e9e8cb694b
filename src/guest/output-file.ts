import { constants } from 'node:fs';
import { access, type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf } from '../lib/errors.ts';

/** Where content goes. Disposing without `commit` leaves the file of this name as it was. */
export interface OutputFile extends AsyncDisposable {
  write(bytes: Uint8Array): Promise<void>;
  /** The bytes are on disk and stand under the name that was asked for. */
  commit(): Promise<void>;
}

/**
 * Opens the output beside `file`, which it replaces at `commit`: readers see the old content or the new one, never a part,
 * and a failed download spoils nothing. The new file has the old one's mode, and its owner where we may set it. What is no
 * regular file (a terminal, a pipe, a device) is written straight. Throws the system's own error.
 */
export async function openOutputFile(file: string): Promise<OutputFile> {
  // A link stays a link, and what it leads to is replaced.
  const target = (await existing(realpath(file))) ?? file;
  const old = await existing(stat(target));
  if (old !== undefined && !old.isFile()) return straight(await open(target, 'w'));
  if (old !== undefined) await access(target, constants.W_OK);

  // The flag `x` sees to it that the name is new; node:crypto for a better one costs a tenth of the whole start.
  const temporary = join(dirname(target), `.gueststore-${process.pid}-${Math.random().toString(36).slice(2)}`);
  const handle = await open(temporary, 'wx', 0o666);
  let committed = false;
  const output: OutputFile = {
    write: (bytes) => writeAllTo(handle, bytes),
    commit: async () => {
      // A full disk may show only now; and after a power cut the name must not lead to an empty file.
      await handle.sync();
      await handle.close();
      await rename(temporary, target);
      committed = true;
    },
    [Symbol.asyncDispose]: async () => {
      if (committed) return;
      await handle.close();
      await rm(temporary, { force: true });
    },
  };
  if (old === undefined) return output;
  try {
    await handle.chmod(old.mode & 0o7777);
    if (process.geteuid?.() === 0) await handle.chown(old.uid, old.gid);
  } catch (error) {
    await output[Symbol.asyncDispose]();
    throw error;
  }
  return output;
}

function straight(handle: FileHandle): OutputFile {
  return {
    write: (bytes) => writeAllTo(handle, bytes),
    commit: () => handle.close(),
    [Symbol.asyncDispose]: () => handle.close(),
  };
}

async function writeAllTo(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0; ) {
    const { bytesWritten } = await handle.write(rest);
    rest = rest.subarray(bytesWritten);
  }
}

/** Undefined where nothing of that name exists. */
async function existing<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
