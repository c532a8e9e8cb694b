import type { Entry } from '../../core/catalog.ts';
import type { ObjectKey } from '../../core/names.ts';

/** Looks again at a deleted item when its grace is over. */
export interface Expiries {
  watch(entry: Entry | undefined, now: Date): void;
  clear(): void;
}

/** A timer cannot wait longer (milliseconds). */
const longest = 2 ** 31 - 1;

export function createExpiries(onExpired: (item: ObjectKey) => void): Expiries {
  const timers = new Map<ObjectKey, NodeJS.Timeout>();
  return {
    watch: (entry, now) => {
      if (entry?.state !== 'retired') return;
      const { claim } = entry;
      clearTimeout(timers.get(claim));
      const wait = Math.min(longest, Math.max(0, Date.parse(entry.until) - now.getTime()) + 1);
      const timer = setTimeout(() => {
        timers.delete(claim);
        onExpired(claim);
      }, wait);
      timers.set(claim, timer.unref());
    },
    clear: () => {
      for (const timer of timers.values()) clearTimeout(timer);
      timers.clear();
    },
  };
}
