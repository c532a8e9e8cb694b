/** A bounded memory: what was asked for lately stays, the rest is forgotten in one go. */
export interface Generations<V> {
  get(key: string): V | undefined;
  /** `weight` in whatever the bound is measured in. */
  set(key: string, value: V, weight: number): void;
  /** Of all that is held now; never above twice the bound. */
  readonly weight: number;
}

interface Kept<V> {
  readonly value: V;
  readonly weight: number;
}

/**
 * Two generations: when the young one reaches `bound` it becomes the old one, and the old one before it is dropped; what
 * is found in the old one moves to the young. Costs less than an exact order of use, and a stream of keys that never come
 * again cannot make it grow. A single value heavier than the bound is not kept at all.
 */
export function createGenerations<V>(bound: number): Generations<V> {
  let young = new Map<string, Kept<V>>();
  let old = new Map<string, Kept<V>>();
  let youngWeight = 0;
  let oldWeight = 0;

  function keep(key: string, kept: Kept<V>): void {
    if (kept.weight > bound) return;
    if (youngWeight + kept.weight > bound) {
      old = young;
      oldWeight = youngWeight;
      young = new Map();
      youngWeight = 0;
    }
    young.set(key, kept);
    youngWeight += kept.weight;
  }

  return {
    get(key) {
      const kept = young.get(key);
      if (kept !== undefined) return kept.value;
      const older = old.get(key);
      if (older === undefined) return undefined;
      old.delete(key);
      oldWeight -= older.weight;
      keep(key, older);
      return older.value;
    },
    set(key, value, weight) {
      const before = young.get(key);
      if (before !== undefined) youngWeight -= before.weight;
      young.delete(key);
      keep(key, { value, weight });
    },
    get weight() {
      return youngWeight + oldWeight;
    },
  };
}
