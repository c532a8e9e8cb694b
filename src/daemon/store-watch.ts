import type { Check } from '../lib/health.ts';
import type { Metrics } from '../lib/metrics.ts';
import { createProgress, progressCheck } from '../lib/progress.ts';

/** One datastore's reader as it is watched: its looks are counted, and one that hangs shows. */
export interface StoreWatch {
  /** Liveness: looks go on. */
  readonly check: Check;
  began(): void;
  ended(trouble: Error | undefined): void;
}

/** `stuckAfter` in milliseconds. */
export function createStoreWatch(metrics: Metrics, datastore: string, stuckAfter: number): StoreWatch {
  const failures = metrics.counter(
    'gstored_store_failures_total',
    'Looks at a datastore that found its newest revision unreadable.',
  );
  failures.add({ datastore }, 0);
  const progress = createProgress();
  return {
    check: progressCheck(`datastore/${datastore}`, progress, stuckAfter, 'a look at the datastore'),
    began: progress.busy,
    ended: (trouble) => {
      progress.rest();
      if (trouble !== undefined) failures.add({ datastore });
    },
  };
}
