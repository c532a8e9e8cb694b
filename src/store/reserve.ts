import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { errnoOf, GuestStoreError } from '../lib/errors.ts';
import type { Layout } from './layout.ts';

const mebibyte = 1024 * 1024;
/** Bytes: the reserve grows in steps, so that it is not rewritten with every VM. */
const step = 256 * 1024;
/** Bytes left free when the file system is full, so that daemons can still acknowledge what was published. */
const slack = 128 * 1024;

/**
 * Space that is taken beforehand, so that a change of settings (a revocation above all) and the status that says so still
 * find room when content has filled the file system.
 */
export interface Reserve {
  /** Takes 1 MiB and twice `settings` bytes, or as much of it as there is. Never throws: having less is not a failure yet. */
  hold(settings: number): Promise<void>;
  /** Runs a task; when it fails for want of space, gives the reserve up and runs it once more. */
  spend<T>(task: () => Promise<T>): Promise<T>;
}

export function createReserve(layout: Layout): Reserve {
  let wanted = 0;
  let held = statSync(layout.reserve, { throwIfNoEntry: false })?.size ?? 0;

  /** The file is changed by one at a time. */
  let turn: Promise<void> = Promise.resolve();

  function inTurn(step: () => Promise<void>): Promise<void> {
    const next = turn.then(step);
    turn = next.catch(() => {});
    return next;
  }

  async function refill(): Promise<void> {
    if (held < wanted) held = await grow(layout.reserve, held, wanted);
  }

  async function giveUp(): Promise<void> {
    await rm(layout.reserve, { force: true });
    held = 0;
  }

  return {
    hold(settings) {
      wanted = Math.ceil((mebibyte + 2 * settings) / step) * step;
      return held < wanted ? inTurn(refill) : Promise.resolve();
    },
    async spend(task) {
      try {
        return await task();
      } catch (thrown) {
        // What is being taken now may be given up too.
        await turn;
        if (held === 0 || !isFull(thrown)) throw thrown;
      }
      await inTurn(giveUp);
      try {
        return await task();
      } finally {
        // At once, or content would take what is left of it.
        await inTurn(refill);
      }
    },
  };
}

/** Random bytes, since a file system that compresses would take no space for zeros. Returns how long the file is now. */
async function grow(path: string, from: number, to: number): Promise<number> {
  let length = from;
  try {
    await using file = await open(path, 'a', 0o600);
    try {
      for (const block = randomBytes(mebibyte); length < to; )
        length += (await file.write(block, 0, Math.min(mebibyte, to - length))).bytesWritten;
    } catch (thrown) {
      length = Math.max(0, length - slack);
      await file.truncate(length);
      throw thrown;
    }
    await file.sync();
  } catch {
    // The file system is full: what could be taken is held, the rest is tried again after the next commit.
  }
  return length;
}

function isFull(thrown: unknown): boolean {
  const cause = thrown instanceof GuestStoreError ? thrown.cause : thrown;
  return (
    ['ENOSPC', 'EDQUOT'].includes(errnoOf(cause) ?? '') ||
    (cause instanceof Error && /No space left/.test(cause.message))
  );
}
