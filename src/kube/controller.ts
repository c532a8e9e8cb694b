import { randomUUID } from 'node:crypto';
import { asGuestStoreError, GuestStoreError } from '../lib/errors.ts';
import { stopped } from '../lib/lifecycle.ts';
import type { Log } from '../lib/log.ts';
import type { Metrics } from '../lib/metrics.ts';
import { createControllerMetrics } from './controller-metrics.ts';
import { createDependencies } from './dependencies.ts';
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
  | { readonly result: 'terminal'; readonly error: GuestStoreError }
  /** Something else has to come first: look again when `arrived` tells of it, and after `milliseconds` at the latest. */
  | { readonly result: 'waitFor'; readonly dependency: string; readonly milliseconds?: number };

export interface ReconcileContext {
  /** Aborts at the time limit, and when the controller stops. */
  readonly signal: AbortSignal;
  /** As every log of this process while the run lasts, it names the controller, the key and this run (`reconcileID`). */
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
  enqueueAll(keys: Iterable<Key>): void;
  enqueueAfter(key: Key, milliseconds: number): void;
  /** Wakes the keys that wait for `dependency`, under whatever name their reconciler gave it. */
  arrived(dependency: string): void;
  /**
   * Works on keys until `signal` aborts, then resolves when the last run has ended. A run that was cut short comes first
   * again when the controller runs again.
   */
  run(signal: AbortSignal): Promise<void>;
}

export const done: Result = { result: 'done' };

/** How controller-runtime calls them. */
const words = {
  done: 'success',
  after: 'requeue_after',
  waitFor: 'requeue_after',
  retry: 'error',
  terminal: 'terminal',
} as const;

export function createController(options: ControllerOptions): Controller {
  const { name, reconcile, concurrency = 4, timeout = 120_000, timers = systemTimers, random = Math.random } = options;
  const queue = createWorkQueue({ timers, random, ...(options.pace === undefined ? {} : { pace: options.pace }) });
  const metrics =
    options.metrics === undefined ? undefined : createControllerMetrics(options.metrics, name, () => queue.depth);
  /** Keys whose last run failed for want of an answer. */
  const unanswered = new Set<Key>();
  const dependencies = createDependencies();

  function attempt(taken: TakenKey, stop: AbortSignal): Promise<Result> {
    const run = { controller: name, key: taken.key, reconcileID: randomUUID() };
    return options.log.scope(run, () => attemptInScope(taken, stop));
  }

  async function attemptInScope(taken: TakenKey, stop: AbortSignal): Promise<Result> {
    const late = new AbortController();
    const signal = AbortSignal.any([stop, late.signal]);
    const { log } = options;
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
      dependencies.begin(taken.key);
      const result = await attempt(taken, stop);
      metrics?.ended(words[result.result], timers.now() - start);
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
    const came = dependencies.end(key, result.result === 'waitFor' ? result.dependency : undefined);
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
      case 'waitFor':
        queue.forget(key);
        if (came) queue.add(key);
        else if (result.milliseconds !== undefined) queue.addAfter(key, result.milliseconds);
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

  function enqueue(key: Key, priority?: Priority): void {
    metrics?.added();
    queue.add(key, priority);
  }

  return {
    enqueue,
    enqueueAll(keys) {
      for (const key of keys) enqueue(key);
    },
    enqueueAfter: queue.addAfter,
    arrived(dependency) {
      for (const key of dependencies.arrived(dependency)) queue.add(key);
    },
    async run(signal) {
      const workers = Array.from({ length: concurrency }, () => work(signal));
      const { backAgain } = options;
      await Promise.all(backAgain === undefined ? workers : [...workers, hurryAfterOutages(backAgain, signal)]);
    },
  };
}
