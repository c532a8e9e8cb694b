import type { Ranges } from './program.ts';

/**
 * Characters that no set tells apart, as one class: an automaton then needs a column for each class (some dozens), not
 * for each of 1.1 million characters.
 */
export interface RuneClasses {
  readonly count: number;
  /** Class of each ASCII character: the quick way. */
  readonly ascii: Uint16Array;
  classOf(rune: number): number;
  /** `members[set * count + class]` is 1 when that set holds the characters of that class. */
  readonly members: Uint8Array;
}

/** Divides all code points by the given sets of them. Reads stay within the tables made here (`as number`). */
export function divideRunes(sets: readonly Ranges[]): RuneClasses {
  const starts = intervalStarts(sets);
  const classes = new Uint16Array(starts.length);
  let count = 1;
  for (const set of sets) count = refine(classes, starts, set);

  const members = new Uint8Array(sets.length * count);
  sets.forEach((set, index) => {
    forEachInterval(starts, set, (interval, inside) => {
      if (inside) members[index * count + (classes[interval] as number)] = 1;
    });
  });

  const classOf = (rune: number): number => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] as number) <= rune) low = middle;
      else high = middle - 1;
    }
    return classes[low] as number;
  };
  return { count, ascii: Uint16Array.from({ length: 128 }, (_, rune) => classOf(rune)), classOf, members };
}

/** First characters of the stretches within which no set begins or ends. */
function intervalStarts(sets: readonly Ranges[]): Int32Array {
  const starts = new Set([0]);
  for (const set of sets) {
    for (let at = 0; at < set.length; at += 2) {
      starts.add(set[at] as number);
      starts.add((set[at + 1] as number) + 1);
    }
  }
  return Int32Array.from(starts).sort();
}

/** Splits each class into what lies inside and outside the set; returns the number of classes. */
function refine(classes: Uint16Array, starts: Int32Array, set: Ranges): number {
  const renamed = new Map<number, number>();
  forEachInterval(starts, set, (interval, inside) => {
    const key = (classes[interval] as number) * 2 + (inside ? 1 : 0);
    const name = renamed.get(key) ?? renamed.size;
    renamed.set(key, name);
    classes[interval] = name;
  });
  return renamed.size;
}

function forEachInterval(starts: Int32Array, set: Ranges, visit: (interval: number, inside: boolean) => void): void {
  let at = 0;
  for (let interval = 0; interval < starts.length; interval++) {
    const first = starts[interval] as number;
    while (at < set.length && (set[at + 1] as number) < first) at += 2;
    visit(interval, at < set.length && (set[at] as number) <= first);
  }
}
