import { type Key, nameOfKey } from './objects.ts';

/** Keys in the order of their coming, but namespaces take turns: one with ten thousand keys does not hold up the others. */
export interface FairQueue {
  readonly size: number;
  has(key: Key): boolean;
  /** A key that waits already keeps its place. */
  push(key: Key): void;
  shift(): Key | undefined;
  delete(key: Key): void;
}

export function createFairQueue(): FairQueue {
  // Both keep the order of insertion; the namespace whose turn it is comes first.
  const turns = new Map<string, Set<Key>>();
  let size = 0;
  const lane = (key: Key) => nameOfKey(key).namespace ?? '';

  function remove(key: Key): boolean {
    const keys = turns.get(lane(key));
    if (keys?.delete(key) !== true) return false;
    if (keys.size === 0) turns.delete(lane(key));
    size -= 1;
    return true;
  }

  return {
    get size() {
      return size;
    },
    has: (key) => turns.get(lane(key))?.has(key) === true,
    push(key) {
      const keys = turns.get(lane(key)) ?? new Set();
      if (keys.has(key)) return;
      turns.set(lane(key), keys.add(key));
      size += 1;
    },
    shift() {
      for (const [namespace, keys] of turns)
        for (const key of keys) {
          remove(key);
          // To the end of the row, if it still has keys.
          if (turns.delete(namespace)) turns.set(namespace, keys);
          return key;
        }
      return undefined;
    },
    delete: (key) => void remove(key),
  };
}
