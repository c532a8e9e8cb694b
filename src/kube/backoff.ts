import type { Timers } from './timers.ts';

export interface BackoffOptions {
  /** Milliseconds before the first new attempt; doubles with each failure up to `longest`. */
  readonly first: number;
  readonly longest: number;
  /** After this long without a failure the next one counts as the first again. */
  readonly forgetAfter: number;
}

export interface Backoff {
  /** Milliseconds to wait after one more failure: between half and the whole of what doubling gives. */
  next(): number;
  /** The next failure counts as the first. */
  reset(): void;
}

export function createBackoff(options: BackoffOptions, timers: Timers, random: () => number = Math.random): Backoff {
  let failures = 0;
  let quietFrom = Number.NEGATIVE_INFINITY;
  return {
    next() {
      if (timers.now() - quietFrom > options.forgetAfter) failures = 0;
      const whole = Math.min(options.first * 2 ** failures, options.longest);
      failures += 1;
      const jittered = whole * (0.5 + random() / 2);
      // The wait itself is no sign of health.
      quietFrom = timers.now() + jittered;
      return jittered;
    },
    reset() {
      failures = 0;
    },
  };
}
