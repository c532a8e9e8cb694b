import { randomUUID } from 'node:crypto';
import type { Egress } from '../../core/bounds.ts';
import type { Digest } from '../../core/digest.ts';
import type { ObjectKey } from '../../core/names.ts';
import { type Failure, failureOf } from '../../core/outcome.ts';
import { asGuestStoreError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { FetchHttp } from '../../sources/types.ts';
import type { Blob, StoreWriter } from '../../store/types.ts';
import type { FetchEnd } from '../instruments.ts';

/** What an item wants from the network. Another fingerprint replaces the job: what is under way for the old one ends. */
export interface FetchJob {
  readonly fingerprint: string;
  readonly url: string;
  readonly expected: Digest;
  /** Bytes. */
  readonly maxSize: number;
  readonly egress: Egress | undefined;
  readonly writer: StoreWriter;
  /** Milliseconds until a source that answered is asked again, and until a refusal is. */
  readonly interval: number;
  /** What is stored already: the source is then only asked whether it still says the same. */
  readonly have: (Blob & { readonly sourceRevision: string }) | undefined;
  /** Another request than the last one: the source is asked at once, whatever is known. */
  readonly request: string | undefined;
}

export interface FetchState {
  readonly content: (Blob & { readonly sourceRevision: string }) | undefined;
  readonly failure: Failure | undefined;
  /** Bytes received of those announced, while a transfer runs. */
  readonly progress: { readonly bytes: number; readonly total: number | undefined } | undefined;
  /** The last request since which the source was asked, with whatever success. */
  readonly answered: string | undefined;
}

/** Fetches in the background, a few at a time, and again after a failure or an interval. */
export interface Fetcher {
  /** Sees to it that the job is being done, and says how far it is. */
  ensure(item: ObjectKey, job: FetchJob): FetchState;
  state(item: ObjectKey): FetchState | undefined;
  forget(item: ObjectKey): void;
  /** Transfers. */
  readonly load: { readonly running: number; readonly waiting: number };
  /** Resolves when no transfer is under way or waiting for its turn. */
  settled(): Promise<void>;
}

export interface FetcherOptions {
  readonly fetchHttp: FetchHttp;
  readonly concurrency: number;
  readonly log: Log;
  /** Called whenever a state changed for good: fetched, failed, or a request answered. */
  readonly onSettled: (item: ObjectKey) => void;
  /** Called at the end of each look at a source that was not given up. */
  readonly onEnd?: (end: FetchEnd) => void;
  readonly signal: AbortSignal;
}

interface Task {
  readonly job: FetchJob;
  readonly cancel: AbortController;
  state: { -readonly [Field in keyof FetchState]: FetchState[Field] };
  failures: number;
  timer: NodeJS.Timeout | undefined;
  /** In line for its turn, or at work. */
  busy: boolean;
  request: string | undefined;
}

const firstRetry = 1_000;
const lastRetry = 300_000;

export function createFetcher(options: FetcherOptions): Fetcher {
  const tasks = new Map<ObjectKey, Task>();
  const waiting: (() => void)[] = [];
  const watchers: (() => void)[] = [];
  let running = 0;

  options.signal.addEventListener('abort', () => {
    for (const item of [...tasks.keys()]) forget(item);
  });

  function forget(item: ObjectKey): void {
    const task = tasks.get(item);
    if (task === undefined) return;
    tasks.delete(item);
    clearTimeout(task.timer);
    task.cancel.abort();
  }

  function enqueue(item: ObjectKey, task: Task): void {
    clearTimeout(task.timer);
    task.busy = true;
    // A pass may have caused it, which is long over by then: its lines bear an id of their own.
    const scope = () => ({ controller: 'fetcher', reconcileID: randomUUID() });
    waiting.push(() => void options.log.scope(scope(), () => attempt(item, task)));
    next();
  }

  function next(): void {
    while (running < options.concurrency) {
      const start = waiting.shift();
      if (start === undefined) return;
      running += 1;
      start();
    }
  }

  async function attempt(item: ObjectKey, task: Task): Promise<void> {
    const { request } = task;
    try {
      if (task.cancel.signal.aborted) return;
      const changed = await fetchOnce(item, task);
      task.failures = 0;
      const received = task.state.progress?.bytes;
      options.onEnd?.({ result: received === undefined ? 'unchanged' : 'fetched', bytes: received ?? 0 });
      const answers = answer(task, request);
      again(item, task, task.job.interval);
      if (changed || answers) options.onSettled(item);
    } catch (thrown) {
      if (task.cancel.signal.aborted) return;
      const error = asGuestStoreError(thrown, 'SourceUnavailable');
      task.failures += 1;
      options.onEnd?.({ result: 'failed', code: error.code, bytes: task.state.progress?.bytes ?? 0 });
      const failure = failureOf(error);
      const news = task.state.failure?.message !== failure.message;
      task.state.failure = failure;
      const wait = error.terminal
        ? task.job.interval
        : Math.max(
            error.retryAfter ?? 0,
            Math.min(firstRetry * 2 ** (task.failures - 1), lastRetry) * (0.5 + Math.random() / 2),
          );
      if (news) options.log.warn({ item, code: error.code, err: error, retryInMs: Math.round(wait) }, 'source failed');
      const answers = answer(task, request);
      again(item, task, wait);
      if (news || answers) options.onSettled(item);
    } finally {
      task.state.progress = undefined;
      running -= 1;
      next();
      if (running === 0) for (const resolve of watchers.splice(0)) resolve();
    }
  }

  /** True when somebody waits to hear of it. */
  function answer(task: Task, request: string | undefined): boolean {
    task.busy = false;
    if (request === task.state.answered) return false;
    task.state.answered = request;
    return true;
  }

  /** True when the state differs from what was known before. */
  async function fetchOnce(item: ObjectKey, task: Task): Promise<boolean> {
    const { job, cancel } = task;
    const answer = await options.fetchHttp(
      {
        url: job.url,
        known: task.state.content?.sourceRevision || undefined,
        maxSize: job.maxSize,
        egress: job.egress,
      },
      cancel.signal,
    );
    const recovered = task.state.failure !== undefined;
    if (answer.outcome === 'unchanged') {
      task.state.failure = undefined;
      return recovered;
    }
    const progress = { bytes: 0, total: answer.size };
    task.state.progress = progress;
    const limits = { maxSize: job.maxSize, expected: job.expected };
    const blob = await job.writer.putBlob(counted(answer.bytes, progress), limits, cancel.signal);
    const revision = answer.sourceRevision;
    const changed = task.state.content?.digest !== blob.digest || task.state.content.sourceRevision !== revision;
    task.state.content = { ...blob, sourceRevision: revision };
    task.state.failure = undefined;
    options.log.info({ item, digest: blob.digest, bytes: blob.size }, 'source fetched');
    return changed || recovered;
  }

  function again(item: ObjectKey, task: Task, milliseconds: number): void {
    // Requested while the last look was under way, which may have seen what was there before.
    if (task.request !== task.state.answered) {
      enqueue(item, task);
      return;
    }
    // Without a revision to compare, asking again would mean fetching again what the digest has already proven.
    if (task.state.failure === undefined && task.state.content?.sourceRevision === '') return;
    task.timer = setTimeout(() => enqueue(item, task), milliseconds);
    task.timer.unref();
  }

  return {
    state: (item) => tasks.get(item)?.state,
    get load() {
      return { running, waiting: waiting.length };
    },
    forget,
    settled: () => (running === 0 ? Promise.resolve() : new Promise((resolve) => watchers.push(resolve))),
    ensure: (item, job) => {
      const task = tasks.get(item);
      if (task !== undefined && stillFits(task, job)) {
        if (job.request === undefined || job.request === task.request) return task.state;
        task.request = job.request;
        if (!task.busy) enqueue(item, task);
        return task.state;
      }
      forget(item);
      const fresh: Task = {
        job,
        cancel: new AbortController(),
        state: { content: job.have, failure: undefined, progress: undefined, answered: undefined },
        failures: 0,
        timer: undefined,
        busy: false,
        request: job.request,
      };
      tasks.set(item, fresh);
      // Other bounds are tried at once: the source may be out of them now.
      const bounded = task !== undefined && !sameEgress(task.job, job);
      if (job.have === undefined || job.request !== undefined || bounded) enqueue(item, fresh);
      else again(item, fresh, job.interval);
      return fresh.state;
    },
  };
}

/** Bytes that are here stay good while they fit: a bound that moves is no reason to fetch again, nor is it for a tighter one. */
function stillFits({ job, state }: Task, wanted: FetchJob): boolean {
  if (job.fingerprint !== wanted.fingerprint || job.writer !== wanted.writer || !sameEgress(job, wanted)) return false;
  return state.content !== undefined || job.maxSize === wanted.maxSize;
}

function sameEgress(a: FetchJob, b: FetchJob): boolean {
  return JSON.stringify(a.egress) === JSON.stringify(b.egress);
}

async function* counted(bytes: AsyncIterable<Uint8Array>, progress: { bytes: number }): AsyncIterable<Uint8Array> {
  for await (const chunk of bytes) {
    progress.bytes += chunk.length;
    yield chunk;
  }
}
