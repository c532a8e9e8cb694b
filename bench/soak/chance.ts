import { createHash } from 'node:crypto';

/** Chance that can be had again: the same seed, the same numbers. */
export interface Chance {
  /** At least 0, below 1. */
  next(): number;
  between(least: number, most: number): number;
  /** A whole number at least 0 and below `bound`. */
  below(bound: number): number;
  one<T>(of: readonly T[]): T;
}

export function createChance(seed: number): Chance {
  let drawn = 0;
  const next = () => {
    drawn += 1;
    return createHash('sha256').update(`${seed} ${drawn}`).digest().readUInt32BE() / 2 ** 32;
  };
  const below = (bound: number) => Math.floor(next() * bound);
  return {
    next,
    between: (least, most) => least + next() * (most - least),
    below,
    one: (of) => {
      const found = of[below(of.length)];
      if (found === undefined) throw new Error('nothing to choose from');
      return found;
    },
  };
}
