import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import type { Check } from './health.ts';
import type { Metrics } from './metrics.ts';

export interface LoopDelay extends Disposable {
  /** Fails while the event loop was blocked for most of the last minute. */
  readonly check: Check;
}

export interface LoopDelayOptions {
  readonly metrics: Metrics;
  /** First word of the histogram's name. */
  readonly prefix: 'gueststore' | 'gstored';
  /** Milliseconds that the check looks back; one minute by default. */
  readonly window?: number;
}

/** Milliseconds between two looks at the clock. */
const period = 50;
/** Share of the window that the loop may be blocked before the check fails. */
const bearable = 0.8;
/** Milliseconds over which nodejs_eventloop_lag_* speak. */
const lagWindow = 30_000;
/** Seconds. */
const buckets = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/**
 * Measures how late timers come. A block counts once for each look that it swallowed, so that a quantile is a share of
 * time: one block of ten seconds is not one slow moment among many good ones.
 */
export function watchLoopDelay({ metrics, prefix, window = 60_000 }: LoopDelayOptions): LoopDelay {
  const histogram = metrics.histogram(
    `${prefix}_loop_delay_seconds`,
    'How late the event loop comes to what is due; a block counts once for each 50 ms that it lasts.',
    buckets,
  );
  const blocks: { readonly end: number; readonly delay: number }[] = [];
  let [current, shown] = [createHistogram(), createHistogram()];
  let [last, lagSince] = [performance.now(), performance.now()];

  function look(): void {
    const now = performance.now();
    const delay = Math.max(0, now - last - period);
    last = now;
    histogram.observe(delay / 1000);
    for (let late = delay - period; late > 0; late -= period) histogram.observe(late / 1000);
    current.record(Math.max(1, Math.round(delay * 1e6)));
    if (delay > period) blocks.push({ end: now, delay });
    while (blocks[0] !== undefined && blocks[0].end < now - window) blocks.shift();
    if (now - lagSince < lagWindow) return;
    [shown, current, lagSince] = [current, createHistogram(), now];
  }

  function blocked(): number {
    const begin = performance.now() - window;
    return blocks.reduce((sum, { end, delay }) => sum + Math.max(0, end - Math.max(begin, end - delay)), 0);
  }

  lagMetrics(metrics, () => (shown.count === 0 ? current : shown));
  const timer = setInterval(look, period);
  timer.unref();
  return {
    check: {
      name: 'event-loop',
      trouble: () => {
        const time = blocked();
        if (time < window * bearable) return undefined;
        return `the event loop was blocked for ${seconds(time)} of the last ${seconds(window)}`;
      },
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

/** Under the names of Node's usual Prometheus client. */
function lagMetrics(metrics: Metrics, lag: () => RecordableHistogram): void {
  const inSeconds = (nanoseconds: number) => (Number.isFinite(nanoseconds) ? nanoseconds / 1e9 : 0);
  const gauge = (name: string, what: string, read: (of: RecordableHistogram) => number) =>
    metrics.gaugeOf(`nodejs_eventloop_lag_${name}`, `${what} delay of the event loop in the last half minute.`, () =>
      lag().count === 0 ? 0 : inSeconds(read(lag())),
    );
  gauge('min_seconds', 'Least', ({ min }) => min);
  gauge('max_seconds', 'Greatest', ({ max }) => max);
  gauge('mean_seconds', 'Mean', ({ mean }) => mean);
  gauge('stddev_seconds', 'Standard deviation of the', ({ stddev }) => stddev);
  gauge('p50_seconds', 'Median', (of) => of.percentile(50));
  gauge('p90_seconds', '90th percentile of the', (of) => of.percentile(90));
  gauge('p99_seconds', '99th percentile of the', (of) => of.percentile(99));
}

function seconds(milliseconds: number): string {
  return `${Math.round(milliseconds / 100) / 10} s`;
}
