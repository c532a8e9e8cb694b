import { createFairQueue } from './fair-queue.ts';
import type { Key } from './objects.ts';
import type { Timers } from './timers.ts';

/** Somebody changed something, or it is merely time to look again: the first go before the second. */
export type Priority = 'change' | 'resync';

/** Keys that need a look. A key is never worked on twice at once, and never forgotten: what is added while it is worked on comes again. */
export interface WorkQueue {
  /** Keys that are due and wait to be taken. */
  readonly depth: number;
  add(key: Key, priority?: Priority): void;
  /** Adds it as a resync after `milliseconds`; of several waits for one key the shortest counts. */
  addAfter(key: Key, milliseconds: number): void;
  /** Adds it after its back-off, which doubles with each call until `forget`; at least `least` milliseconds. Returns the wait. */
  retry(key: Key, least?: number): number;
  /** It went well (or will not for now): the next retry begins small again. */
  forget(key: Key): void;
  /** The next key; undefined once `signal` aborts. Whoever takes a key must say `done`. */
  take(signal: AbortSignal): Promise<TakenKey | undefined>;
  done(key: Key): void;
}

export interface TakenKey {
  readonly key: Key;
  /** Milliseconds that it waited while due. */
  readonly waited: number;
  /** Retries since it last went well. */
  readonly retries: number;
}

export interface RetryPace {
  /** Milliseconds. */
  readonly first: number;
  readonly longest: number;
}

export interface WorkQueueOptions {
  readonly timers: Timers;
  readonly random: () => number;
  readonly pace?: RetryPace;
}

export const retryPace: RetryPace = { first: 500, longest: 600_000 };

export function createWorkQueue({ timers, random, pace = retryPace }: WorkQueueOptions): WorkQueue {
  const due: Readonly<Record<Priority, ReturnType<typeof createFairQueue>>> = {
    change: createFairQueue(),
    resync: createFairQueue(),
  };
  const dueSince = new Map<Key, number>();
  const working = new Set<Key>();
  /** Added while they were worked on. */
  const dirty = new Map<Key, Priority>();
  const waiting = new Map<Key, { readonly at: number; readonly cancel: () => void }>();
  const failures = new Map<Key, number>();
  const takers = new Set<() => void>();

  function cancelWait(key: Key): void {
    waiting.get(key)?.cancel();
    waiting.delete(key);
  }

  function enqueue(key: Key, priority: Priority): void {
    // A change overtakes a resync of the same key; the other way round there is nothing to do.
    if (due.change.has(key)) return;
    if (priority === 'change') due.resync.delete(key);
    due[priority].push(key);
    if (!dueSince.has(key)) dueSince.set(key, timers.now());
    wake();
  }

  function wake(): void {
    const [first] = takers;
    if (first === undefined) return;
    takers.delete(first);
    first();
  }

  function add(key: Key, priority: Priority): void {
    if (working.has(key)) {
      if (dirty.get(key) !== 'change') dirty.set(key, priority);
      return;
    }
    // A change is worth a try at once; a resync must not hurry a retry, which comes by itself.
    if (priority === 'change') cancelWait(key);
    else if (failures.has(key) && waiting.has(key)) return;
    enqueue(key, priority);
  }

  function addAfter(key: Key, milliseconds: number): void {
    const at = timers.now() + milliseconds;
    const known = waiting.get(key);
    if (known !== undefined && known.at <= at) return;
    known?.cancel();
    const cancel = timers.after(milliseconds, () => {
      waiting.delete(key);
      add(key, 'resync');
    });
    waiting.set(key, { at, cancel });
  }

  function next(): TakenKey | undefined {
    const key = due.change.shift() ?? due.resync.shift();
    if (key === undefined) return undefined;
    working.add(key);
    const waited = timers.now() - (dueSince.get(key) ?? timers.now());
    dueSince.delete(key);
    return { key, waited, retries: failures.get(key) ?? 0 };
  }

  return {
    get depth() {
      return due.change.size + due.resync.size;
    },
    add: (key, priority = 'change') => add(key, priority),
    addAfter,
    retry(key, least = 0) {
      const failed = failures.get(key) ?? 0;
      failures.set(key, failed + 1);
      const whole = Math.min(pace.first * 2 ** failed, pace.longest);
      const delay = Math.max(whole * (0.5 + random() / 2), least);
      addAfter(key, delay);
      return delay;
    },
    forget: (key) => void failures.delete(key),
    async take(signal) {
      while (!signal.aborted) {
        const taken = next();
        if (taken !== undefined) return taken;
        await new Promise<void>((resolve) => {
          const awake = () => {
            signal.removeEventListener('abort', stop);
            resolve();
          };
          const stop = () => {
            takers.delete(awake);
            resolve();
          };
          takers.add(awake);
          signal.addEventListener('abort', stop, { once: true });
        });
      }
      // Perhaps just woken: then the key is another taker's.
      if (due.change.size + due.resync.size > 0) wake();
      return undefined;
    },
    done(key) {
      working.delete(key);
      const again = dirty.get(key);
      dirty.delete(key);
      if (again !== undefined) add(key, again);
    },
  };
}
