import { median } from '../row.ts';

/** One thing that must not grow, looked at again and again. */
export interface Series {
  readonly what: string;
  readonly unit: string;
  /** Growth that is no growth: this part of the first, and so much more. */
  readonly part: number;
  readonly more: number;
  readonly values: number[];
}

export interface Flatness {
  readonly what: string;
  /** Medians of the first and the last third. */
  readonly first: number;
  readonly last: number;
  readonly allowed: number;
  readonly flat: boolean;
}

/** Whether the last third is no higher than the first, within tolerance. */
export function flatnessOf({ what, unit, part, more, values }: Series): Flatness {
  const third = Math.floor(values.length / 3);
  const first = median(values.slice(0, third));
  const last = median(values.slice(-third));
  const allowed = first * (1 + part) + more;
  return { what: `${what} (${unit})`, first, last, allowed, flat: third > 0 && last <= allowed };
}
