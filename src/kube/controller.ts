import { randomUUID } from 'node:crypto';
import { asGuestStoreError, GuestStoreError } from '../lib/errors.ts';
import { stopped } from '../lib/lifecycle.ts';
import type { Log } from '../lib/log.ts';
import type { Metrics } from '../lib/metrics.ts';
import type { Key } from './objects.ts';
import { systemTimers, type Timers } from './timers.ts';
import { createWorkQueue, type Priority, type RetryPace, type TakenKey } from './work-queue.ts';

/** What came of one look at one key. */
export type Result =
  | { readonly result: 'done' }
  /** All is well; look again after so many milliseconds. */
  | { readonly result: 'after'; readonly milliseconds: number }
  /** Trying again may help: after the key's back-off, and after what the error's `retryAfter` asks for. */
  | { readonly result: 'retry'; readonly error: GuestStoreError }
  /** Only a change by the user can help: nothing is done until one comes. */
  | { readonly result: 'terminal'; readonly error: GuestStoreError };

export interface ReconcileContext {
  /** Aborts at the time limit, and when the controller stops. */
  readonly signal: AbortSignal;
  /** Names the controller, the key and this run (`reconcileID`). */
  readonly log: Log;
  /** Failed runs of this key since it last went well. */
  readonly retries: number;
}

/** Looks at everything that concerns `key` and does what is needed. May run at any time; throwing is `retry`, or `terminal` if the error is. */
export type Reconcile = (key: Key, context: ReconcileContext) => Promise<Result>;

export interface ControllerOptions {
  /** In logs and metrics. */
  readonly name: string;
  readonly reconcile: Reconcile;
  /** Keys at the same time. */
  readonly concurrency?: number;
  /** Milliseconds for one run. */
  readonly timeout?: number;
  /** Waited for before each run; an informer's `settled`, so that no run sees a cache older than its own last write. */
  readonly settled?: (key: Key, signal: AbortSignal) => Promise<void>;
  /** A client's: keys that wait because the server did not answer come at once when it does again. */
  readonly backAgain?: () => AbortSignal;
  readonly log: Log;
  readonly metrics?: Metrics | undefined;
  readonly pace?: RetryPace;
  readonly timers?: Timers;
  readonly random?: () => number;
}

export interface Controller {
  /** Keys are kept while it does not run, so that a standby is warm. */
  enqueue(key: Key, priority?: Priority): void;
  enqueueAfter(key: Key, milliseconds: number): void;
  /**
   * Works on keys until `signal` aborts, then resolves when the last run has ended. A run that was cut short comes first
   * again when the controller runs again.
   */
  run(signal: AbortSignal): Promise<void>;
}

export const done: Result = { result: 'done' };

export function createController(options: ControllerOptions): Controller {
  const { name, reconcile, concurrency = 4, timeout = 120_000, timers = systemTimers, random = Math.random } = options;
  const queue = createWorkQueue({ timers, random, ...(options.pace === undefined ? {} : { pace: options.pace }) });
  const metrics =
    options.metrics === undefined ? undefined : controllerMetrics(options.metrics, name, () => queue.depth);
  /** Keys whose last run failed for want of an answer. */
  const unanswered = new Set<Key>();

  async function attempt(taken: TakenKey, stop: AbortSignal): Promise<Result> {
    const late = new AbortController();
    const signal = AbortSignal.any([stop, late.signal]);
    const log = options.log.child({ controller: name, key: taken.key, reconcileID: randomUUID() });
    const timeUp = timers.after(timeout, () =>
      late.abort(new GuestStoreError('Aborted', `took longer than ${timeout} ms`)),
    );
    const overdue = timers.after(timeout * 2, () => log.error({ timeout }, 'reconcile ignores its signal'));
    try {
      await options.settled?.(taken.key, signal);
      const result = await reconcile(taken.key, { signal, log, retries: taken.retries });
      if ('error' in result && !stop.aborted)
        log.warn({ result: result.result, err: result.error }, 'reconcile failed');
      return result;
    } catch (thrown) {
      const error = asGuestStoreError(thrown);
      // What we cut short ourselves has not failed.
      if (!stop.aborted) log.error({ code: error.code, err: error }, 'reconcile failed');
      return { result: error.terminal ? 'terminal' : 'retry', error };
    } finally {
      timeUp();
      overdue();
    }
  }

  async function work(stop: AbortSignal): Promise<void> {
    for (let taken = await queue.take(stop); taken !== undefined; taken = await queue.take(stop)) {
      const start = timers.now();
      metrics?.started(taken.waited);
      const result = await attempt(taken, stop);
      metrics?.ended(result, timers.now() - start);
      settle(taken.key, result, stop);
      queue.done(taken.key);
    }
  }

  function settle(key: Key, result: Result, stop: AbortSignal): void {
    if (stop.aborted && result.result === 'retry') {
      queue.add(key);
      return;
    }
    unanswered.delete(key);
    switch (result.result) {
      case 'retry':
        queue.retry(key, result.error.retryAfter);
        if (result.error.code === 'ApiUnavailable' && result.error.retryAfter === undefined) unanswered.add(key);
        metrics?.retried();
        return;
      case 'after':
        queue.forget(key);
        queue.addAfter(key, result.milliseconds);
        return;
      default:
        queue.forget(key);
    }
  }

  /** Until `stop` aborts. */
  async function hurryAfterOutages(backAgain: () => AbortSignal, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      await stopped(AbortSignal.any([stop, backAgain()]));
      if (stop.aborted) return;
      for (const key of unanswered) queue.add(key);
      unanswered.clear();
    }
  }

  return {
    enqueue(key, priority) {
      metrics?.added();
      queue.add(key, priority);
    },
    enqueueAfter: queue.addAfter,
    async run(signal) {
      const workers = Array.from({ length: concurrency }, () => work(signal));
      const { backAgain } = options;
      await Promise.all(backAgain === undefined ? workers : [...workers, hurryAfterOutages(backAgain, signal)]);
    },
  };
}

interface ControllerMetrics {
  added(): void;
  started(waited: number): void;
  ended(result: Result, took: number): void;
  retried(): void;
}

/** Under the names on which people alert already: controller-runtime's and client-go's. */
function controllerMetrics(metrics: Metrics, controller: string, depth: () => number): ControllerMetrics {
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
  return {
    added: () => adds.add(name),
    started: (waited) => waits.observe(waited / 1000, name),
    retried: () => retries.add(name),
    ended(result, took) {
      const failed = result.result === 'retry' || result.result === 'terminal';
      const word = failed ? 'error' : result.result === 'after' ? 'requeue_after' : 'success';
      total.add({ ...labels, result: word });
      if (failed) errors.add(labels);
      if (result.result === 'terminal') terminal.add(labels);
      times.observe(took / 1000, labels);
    },
  };
}
