import type { Check } from './health.ts';

/** Whether work that waits is being done: a loop that hangs in one call looks like one that rests, but for this. */
export interface Progress {
  /** Something waits to be done, or is being done. */
  busy(): void;
  /** A part of it was done, well or not: the loop goes on. */
  step(): void;
  /** Nothing waits. */
  rest(): void;
  /** Milliseconds since the last step while something waits; 0 while nothing does. */
  readonly idle: number;
}

/** `now` in milliseconds, never going back. */
export function createProgress(now: () => number = () => performance.now()): Progress {
  let since: number | undefined;
  return {
    busy: () => {
      since ??= now();
    },
    step: () => {
      if (since !== undefined) since = now();
    },
    rest: () => {
      since = undefined;
    },
    get idle() {
      return since === undefined ? 0 : now() - since;
    },
  };
}

/** Fails once work has waited for `limit` ms without a step. `what` is what the loop does, for people. */
export function progressCheck(name: string, progress: Pick<Progress, 'idle'>, limit: number, what: string): Check {
  return {
    name,
    trouble: () => {
      const { idle } = progress;
      if (idle < limit) return undefined;
      return `${what} waits, and nothing of it was done for ${Math.round(idle / 1000)} s`;
    },
  };
}
