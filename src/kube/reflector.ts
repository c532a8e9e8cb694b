import { asGuestStoreError, GuestStoreError } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { Metrics } from '../lib/metrics.ts';
import { ApiError, isExpired } from './api-error.ts';
import { type BackoffOptions, createBackoff } from './backoff.ts';
import type { Client, Selection, WatchEvent } from './client.ts';
import type { KubeObject, Stored } from './objects.ts';
import { apiVersionOf, type Resource } from './resource.ts';
import { systemTimers, type Timers, wait } from './timers.ts';

/** Who is told what the server has. Calls come one after the other. */
export interface ReflectorTarget<T extends KubeObject> {
  /** The whole selection, as one list gave it. `startedAt` is when that list was asked for (Timers.now). */
  replace(objects: readonly Stored<T>[], startedAt: number): void;
  put(object: Stored<T>): void;
  remove(object: Stored<T>): void;
  /** Why `target` is not followed now. */
  failed(error: GuestStoreError): void;
}

/** Milliseconds unless said otherwise. The defaults are for production; tests of faults want them shorter. */
export interface ReflectorPace {
  /** Objects a page. */
  readonly pageSize: number;
  /** How long the server is asked to keep a watch, random between the two so that not all end at once. */
  readonly watch: readonly [number, number];
  /** A watch that has shown bookmarks (one a minute) and is silent for this long is dead. */
  readonly silence: number;
  /** A watch that the server ends sooner than this was refused in disguise. */
  readonly shortest: number;
  readonly backoff: BackoffOptions;
}

export const reflectorPace: ReflectorPace = {
  pageSize: 500,
  watch: [300_000, 600_000],
  silence: 150_000,
  shortest: 1_000,
  backoff: { first: 800, longest: 30_000, forgetAfter: 120_000 },
};

export interface ReflectorOptions<T extends KubeObject> extends Selection {
  readonly client: Client;
  readonly resource: Resource<T>;
  /**
   * Ask for the list as a stream (`sendInitialEvents`), which costs the server less memory and needs no right to list; a
   * server that cannot do it is noticed, and asked for pages from then on. False if not given.
   */
  readonly streamList?: boolean | undefined;
  readonly log: Log;
  readonly metrics?: Metrics | undefined;
  readonly pace?: ReflectorPace;
  readonly timers?: Timers;
  readonly random?: () => number;
}

/** Milliseconds for a question of no weight: the next one takes another connection. */
const patience = 10_000;

/**
 * Keeps `target` like the server's selection until `signal` aborts: lists, watches, and begins again after whatever goes
 * wrong. While the server is away, or the kind is unknown, `target` keeps what it has.
 */
export async function runReflector<T extends KubeObject>(
  options: ReflectorOptions<T>,
  target: ReflectorTarget<T>,
  signal: AbortSignal,
): Promise<void> {
  const { resource, log, pace = reflectorPace, timers = systemTimers, random = Math.random } = options;
  const lists = options.metrics?.counter('reflector_lists_total', 'Full lists, at start and when a watch was lost.');
  const failures = options.metrics?.counter('reflector_failures_total', 'Lists and watches that failed, by reason.');
  const backoff = createBackoff(pace.backoff, timers, random);
  let version: string | undefined;
  /** The server was away: the one that we meet next may have been restored from a backup. */
  let wasAway = false;
  let streams = options.streamList === true;

  while (!signal.aborted) {
    let listing: Stored<T>[] | undefined;
    const back = options.client.backAgain();
    const startedAt = timers.now();
    try {
      if (version === undefined) lists?.add({ resource: resource.plural });
      if (version === undefined && streams) listing = [];
      else if (version === undefined) {
        const listed = await listAll(options, pace.pageSize, signal);
        target.replace(listed.objects, startedAt);
        version = listed.version;
      } else if (wasAway) {
        await assertKnown(options, version, AbortSignal.any([signal, AbortSignal.timeout(patience)]));
      }
      wasAway = false;
      for await (const event of watchAlive(options, pace, timers, random, version, signal)) {
        if (listing !== undefined) {
          if (event.type !== 'BOOKMARK') listing.push(withoutManagedFields(event.object));
          else if (event.allListed) {
            target.replace(listing, startedAt);
            listing = undefined;
            version = event.resourceVersion;
          }
          continue;
        }
        version = event.type === 'BOOKMARK' ? event.resourceVersion : event.object.metadata.resourceVersion;
        if (event.type === 'DELETED') target.remove(withoutManagedFields(event.object));
        else if (event.type !== 'BOOKMARK') target.put(withoutManagedFields(event.object));
      }
      if (back.aborted) backoff.reset();
      if (listing !== undefined) throw lost(resource, 'Short', 'it ended before all was listed');
    } catch (error) {
      if (signal.aborted) return;
      if (listing !== undefined && cannotStream(error)) {
        streams = false;
        log.info({ resource: resource.plural, err: error }, 'the server lists in pages only');
        continue;
      }
      if (needsList(error)) version = undefined;
      wasAway ||= isAway(error);
      const { reason, retryAfter } = error instanceof ApiError ? error : { reason: 'Internal', retryAfter: undefined };
      failures?.add({ resource: resource.plural, reason });
      // The outage ended while this was under way: what it waited until then counts no more.
      if (back.aborted) backoff.reset();
      const delay = Math.max(backoff.next(), retryAfter ?? 0);
      target.failed(asGuestStoreError(error));
      const facts = { resource: resource.plural, reason, relist: version === undefined, delay, err: error };
      if (error instanceof ApiError && error.status === 404)
        log.warn(
          { ...facts, apiVersion: apiVersionOf(resource) },
          'kind not served: apply its CustomResourceDefinition',
        );
      else log.warn(facts, 'watch lost');
      // Who was asked for patience keeps it; others need not wait out an outage that is over.
      const over = retryAfter === undefined ? (back.aborted ? options.client.backAgain() : back) : signal;
      if (await wait(delay, AbortSignal.any([signal, over]), timers)) continue;
      backoff.reset();
      // Not all at once.
      await wait(random() * pace.backoff.first, signal, timers);
    }
  }
}

async function listAll<T extends KubeObject>(
  options: ReflectorOptions<T>,
  pageSize: number,
  signal: AbortSignal,
): Promise<{ readonly objects: readonly Stored<T>[]; readonly version: string }> {
  const { client, resource, namespace, labelSelector, fieldSelector, metadataOnly } = options;
  const selection = { namespace, labelSelector, fieldSelector, metadataOnly, signal };
  const objects: Stored<T>[] = [];
  let token: string | undefined;
  for (;;) {
    try {
      const page = await client.list(resource, { ...selection, limit: pageSize, continue: token });
      for (const item of page.items) objects.push(withoutManagedFields(item));
      if (page.continue === undefined) return { objects, version: page.resourceVersion };
      token = page.continue;
    } catch (error) {
      if (token === undefined || !isExpired(error)) throw error;
      // The server forgot that version while we paged: in one piece it cannot.
      const whole = await client.list(resource, selection);
      return { objects: whole.items.map(withoutManagedFields), version: whole.resourceVersion };
    }
  }
}

/**
 * Throws 504 where the server has never come as far as `version`: it would take a watch from there, and say nothing until
 * it has, if ever.
 */
async function assertKnown<T extends KubeObject>(
  { client, resource, namespace, labelSelector, fieldSelector }: ReflectorOptions<T>,
  version: string,
  signal: AbortSignal,
): Promise<void> {
  const selection = { namespace, labelSelector, fieldSelector, metadataOnly: true, signal };
  await client.list(resource, { ...selection, limit: 1, notOlderThan: version });
}

/** Ends when the server ends the watch in good order; throws when it breaks, or is dead without saying so. */
async function* watchAlive<T extends KubeObject>(
  options: ReflectorOptions<T>,
  pace: ReflectorPace,
  timers: Timers,
  random: () => number,
  resourceVersion: string | undefined,
  signal: AbortSignal,
): AsyncIterable<WatchEvent<T>> {
  const { client, resource, namespace, labelSelector, fieldSelector, metadataOnly } = options;
  const [least, most] = pace.watch;
  const length = least + random() * (most - least);
  const dead = new AbortController();
  const outage = client.backAgain();
  const startedAt = timers.now();
  const tooLong = timers.after(length + pace.silence, () => dead.abort());
  // Of a list as a stream each piece, and its end, must come soon: who does not know how to end it never will.
  let silence = resourceVersion === undefined ? Math.min(patience, pace.silence) : pace.silence;
  let tooSilent = resourceVersion === undefined ? timers.after(silence, () => dead.abort()) : () => {};
  let bookmarks = resourceVersion === undefined;
  let events = 0;
  try {
    const watch = client.watch(resource, {
      namespace,
      labelSelector,
      fieldSelector,
      metadataOnly,
      resourceVersion,
      timeoutSeconds: Math.ceil(length / 1000),
      // What has outlived an outage may be half open: begun again it costs nothing.
      signal: AbortSignal.any([signal, dead.signal, outage]),
    });
    for await (const event of watch) {
      events += 1;
      bookmarks ||= event.type === 'BOOKMARK';
      if (event.type === 'BOOKMARK') silence = pace.silence;
      tooSilent();
      if (bookmarks) tooSilent = timers.after(silence, () => dead.abort());
      yield event;
    }
  } catch (error) {
    if (outage.aborted && !signal.aborted) return;
    if (dead.signal.aborted && !signal.aborted)
      throw lost(resource, 'Silent', 'nothing came, not even a bookmark', error);
    throw error;
  } finally {
    tooLong();
    tooSilent();
  }
  if (events === 0 && timers.now() - startedAt < pace.shortest) throw lost(resource, 'Short', 'it was ended at once');
}

function lost(resource: Resource<KubeObject>, reason: string, message: string, cause?: unknown): ApiError {
  return new ApiError(0, { reason, message }, `watch of ${resource.plural}`, undefined, { cause });
}

/** False where the watch may go on from the version it had: no answer, a broken connection, a busy server. */
function needsList(error: unknown): boolean {
  if (!(error instanceof ApiError)) return !(error instanceof GuestStoreError && error.code === 'Aborted');
  if (isExpired(error) || error.reason === 'Undecodable') return true;
  // 504 says that the version is from the future.
  return error.status !== 0 && error.status !== 429 && error.status !== 500 && error.status !== 503;
}

/** Refused as a request, or taken for a plain watch that never says that all was listed. */
function cannotStream(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false;
  return error.status === 400 || error.status === 422 || error.reason === 'Silent' || error.reason === 'Short';
}

function isAway(error: unknown): boolean {
  return error instanceof ApiError && (error.reason === 'Unreachable' || error.status >= 500);
}

/** Half of a small object's bytes, and of no use to us. */
function withoutManagedFields<T extends KubeObject>(object: Stored<T>): Stored<T> {
  delete (object.metadata as { managedFields?: unknown }).managedFields;
  return object;
}
