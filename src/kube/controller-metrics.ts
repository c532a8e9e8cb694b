import type { Metrics } from '../lib/metrics.ts';

/** `terminal` is an error too, which only a change by the user ends. */
export type RunResult = 'success' | 'requeue_after' | 'error' | 'terminal';

/** What is counted of one controller's runs and queue. Times in milliseconds. */
export interface ControllerMetrics {
  added(): void;
  started(waited: number): void;
  ended(result: RunResult, took: number): void;
  retried(): void;
}

/** Under the names on which people alert already: controller-runtime's and client-go's. */
export function createControllerMetrics(metrics: Metrics, controller: string, depth: () => number): ControllerMetrics {
  const name = { name: controller };
  const labels = { controller };
  const adds = metrics.counter('workqueue_adds_total', 'Keys added to the work queue.');
  const retries = metrics.counter('workqueue_retries_total', 'Keys that come again after a failure.');
  const waits = metrics.histogram('workqueue_queue_duration_seconds', 'How long a key waits before it is worked on.');
  const total = metrics.counter('controller_runtime_reconcile_total', 'Runs of the reconciler by result.');
  const errors = metrics.counter('controller_runtime_reconcile_errors_total', 'Runs of the reconciler that failed.');
  const terminal = metrics.counter(
    'controller_runtime_terminal_reconcile_errors_total',
    'Failures that only a change ends.',
  );
  const times = metrics.histogram(
    'controller_runtime_reconcile_time_seconds',
    'How long a run of the reconciler takes.',
  );
  metrics.gaugeOf('workqueue_depth', 'Keys that wait in the work queue.', depth, name);
  // From the first scrape on, so that the first failure is a rise and not a beginning.
  for (const result of ['success', 'requeue_after', 'error']) total.add({ ...labels, result }, 0);
  for (const counter of [errors, terminal]) counter.add(labels, 0);
  for (const counter of [adds, retries]) counter.add(name, 0);
  return {
    added: () => adds.add(name),
    started: (waited) => waits.observe(waited / 1000, name),
    retried: () => retries.add(name),
    ended(result, took) {
      total.add({ ...labels, result: result === 'terminal' ? 'error' : result });
      if (result === 'error' || result === 'terminal') errors.add(labels);
      if (result === 'terminal') terminal.add(labels);
      times.observe(took / 1000, labels);
    },
  };
}
