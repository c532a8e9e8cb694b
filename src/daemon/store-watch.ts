import type { Check } from '../lib/health.ts';
import type { Metrics } from '../lib/metrics.ts';
import { createProgress, type Progress } from '../lib/progress.ts';
import type { LookWatcher } from '../store/reader.ts';

/** The datastores' readers as they are watched: their looks are counted, and one that hangs shows. */
export interface StoreWatch {
  /** Liveness: looks go on. */
  readonly check: Check;
  watcherOf(datastore: string): LookWatcher;
}

/** `stuckAfter` in milliseconds. */
export function createStoreWatch(metrics: Metrics, stuckAfter: number): StoreWatch {
  const looks = new Map<string, Progress>();
  const failures = metrics.counter(
    'gstored_store_failures_total',
    'Looks at a datastore that found its newest revision unreadable.',
  );
  return {
    check: {
      name: 'datastores',
      trouble: () => {
        const hung = [...looks].filter(([, { idle }]) => idle >= stuckAfter);
        if (hung.length === 0) return undefined;
        return hung
          .map(([name, { idle }]) => `a look at datastore ${name} has not ended for ${Math.round(idle / 1000)} s`)
          .join('; ');
      },
    },
    watcherOf: (datastore) => {
      failures.add({ datastore }, 0);
      const progress = createProgress();
      looks.set(datastore, progress);
      return {
        began: progress.busy,
        ended: (trouble) => {
          progress.rest();
          if (trouble !== undefined) failures.add({ datastore });
        },
      };
    },
  };
}
