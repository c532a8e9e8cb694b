import { randomUUID } from 'node:crypto';
import { createControllerMetrics } from '../kube/controller-metrics.ts';
import type { Log } from '../lib/log.ts';
import type { Metrics } from '../lib/metrics.ts';
import { createProgress, type Progress } from '../lib/progress.ts';

/** A loop and its rounds: the publisher's passes, the reporter's statuses, looks at the hosts. */
export interface Rounds {
  /** For the health of the process: a round that hangs makes no step. */
  readonly progress: Progress;
  /** Milliseconds since the oldest change came that no round has finished with; 0 when there is none. */
  readonly pending: number;
  /** When a round last went well, in milliseconds since 1970. */
  readonly lastSuccess: number | undefined;
  /** Something came for the next round. */
  touched(): void;
  /**
   * One round. Every line that is written meanwhile names it (`controller`, `reconcileID`). False: something failed, and
   * comes again. `waited`: milliseconds that what it is about has waited, by default since the first touch.
   */
  run(round: () => Promise<boolean>, waited?: number): Promise<boolean>;
  /** Nobody works any more: what is left waits for another time. */
  stop(): void;
}

export interface RoundsOptions {
  /** `controller` in logs and metrics. */
  readonly name: string;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Objects that wait. */
  readonly depth: () => number;
}

export function createRounds({ name, metrics, log, depth }: RoundsOptions): Rounds {
  const counted = createControllerMetrics(metrics, name, depth);
  const progress = createProgress();
  let oldest: number | undefined;
  let oldestMeanwhile: number | undefined;
  let running = 0;
  let lastSuccess: number | undefined;

  function ended(begun: number, done: boolean): void {
    running -= 1;
    counted.ended(done ? 'success' : 'error', performance.now() - begun);
    if (done) lastSuccess = Date.now();
    else counted.retried();
    oldest = done ? oldestMeanwhile : (oldest ?? begun);
    oldestMeanwhile = undefined;
    progress.step();
    if (running === 0 && depth() === 0) progress.rest();
  }

  return {
    progress,
    get pending() {
      return oldest === undefined ? 0 : performance.now() - oldest;
    },
    get lastSuccess() {
      return lastSuccess;
    },
    touched: () => {
      counted.added();
      progress.busy();
      if (running > 0) oldestMeanwhile ??= performance.now();
      else oldest ??= performance.now();
    },
    run: async (round, waited) => {
      const begun = performance.now();
      running += 1;
      progress.busy();
      const since = waited ?? (oldest === undefined ? undefined : begun - oldest);
      if (since !== undefined) counted.started(since);
      let done = false;
      try {
        done = await log.scope({ controller: name, reconcileID: randomUUID() }, round);
        return done;
      } finally {
        ended(begun, done);
      }
    },
    stop: () => {
      oldest = undefined;
      oldestMeanwhile = undefined;
      progress.rest();
    },
  };
}
