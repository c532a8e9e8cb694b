/** One line of the table that the benchmarks print. */
export interface BenchRow {
  /** As in the list of budgets, e.g. `G18`. */
  readonly id: string;
  readonly what: string;
  readonly budget: string;
  readonly measured: string;
  /** Ours to the peer's; below 1 is better unless `budget` says otherwise. */
  readonly ratio: number;
  readonly pass: boolean;
}

/** A ratio that must not be above its budget. */
export function rowAtMost(id: string, what: string, budget: number, ratio: number, measured: string): BenchRow {
  return { id, what, budget: `<= ${budget}`, measured, ratio, pass: ratio <= budget };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : (high + (sorted[middle - 1] ?? Number.NaN)) / 2;
}
