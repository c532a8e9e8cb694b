import type { Timers } from '../../src/kube/timers.ts';

export interface VirtualTimers extends Timers {
  /** Lets so many milliseconds pass, calling what falls due in its order. */
  advance(milliseconds: number): void;
}

/** A clock that a test turns by hand. */
export function createVirtualTimers(): VirtualTimers {
  let now = 0;
  let count = 0;
  const pending = new Map<number, { readonly at: number; readonly then: () => void }>();
  const nextBefore = (end: number) =>
    [...pending].filter(([, { at }]) => at <= end).sort(([a, x], [b, y]) => x.at - y.at || a - b)[0];
  return {
    now: () => now,
    after(milliseconds, then) {
      const id = count++;
      pending.set(id, { at: now + milliseconds, then });
      return () => pending.delete(id);
    },
    advance(milliseconds) {
      const end = now + milliseconds;
      for (let next = nextBefore(end); next !== undefined; next = nextBefore(end)) {
        const [id, { at, then }] = next;
        pending.delete(id);
        now = Math.max(now, at);
        then();
      }
      now = end;
    },
  };
}
