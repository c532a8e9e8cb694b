import type { GuestStoreError } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { Metrics } from '../lib/metrics.ts';
import { type Cache, type Change, createCache, type IndexBy } from './cache.ts';
import type { Client, Selection } from './client.ts';
import { type Key, type KubeObject, keyOf, type Stored } from './objects.ts';
import { type ReflectorPace, runReflector } from './reflector.ts';
import type { Resource } from './resource.ts';
import { systemTimers, type Timers } from './timers.ts';

export interface InformerOptions<T extends KubeObject> extends Selection {
  readonly client: Client;
  readonly resource: Resource<T>;
  readonly indices?: Readonly<Record<string, IndexBy<T>>>;
  /** As of the reflector: the list as a stream, where the server can. */
  readonly streamList?: boolean | undefined;
  readonly log: Log;
  readonly metrics?: Metrics | undefined;
  /** Freeze every object, so that a reader who writes to the cache is caught. For tests. */
  readonly freeze?: boolean;
  readonly pace?: ReflectorPace;
  readonly timers?: Timers;
  readonly random?: () => number;
}

export type ChangeHandler<T extends KubeObject> = (change: Change<T>) => void;

/** A local copy of one selection of objects that tells what changes in it. */
export interface Informer<T extends KubeObject> extends Cache<T> {
  readonly resource: Resource<T>;
  /** Resolves when the first list has been delivered to all handlers; stays pending while there is none. */
  readonly synced: Promise<void>;
  readonly hasSynced: boolean;
  /** Why there is no first list yet, as the server said it; undefined before it was asked, and once there is one. */
  readonly trouble: string | undefined;
  /** Called for each change, in order; at once with all that is there already. A handler that throws is logged. */
  onChange(handler: ChangeHandler<T>): void;
  /**
   * Says that we have written `object` ourselves (as the server answered): `settled` of its key waits until the cache has
   * seen that write, or 10 s have passed.
   */
  wrote(object: Stored<T>): void;
  settled(key: Key, signal: AbortSignal): Promise<void>;
  /** Follows the server until `signal` aborts. Once. */
  run(signal: AbortSignal): Promise<void>;
}

export function createInformer<T extends KubeObject>(options: InformerOptions<T>): Informer<T> {
  const { resource, log, timers = systemTimers } = options;
  const cache = createCache<T>(forgiving(options.indices ?? {}, resource, log));
  const handlers: ChangeHandler<T>[] = [];
  const own = createOwnWrites<T>(timers);
  const { promise: synced, resolve: markSynced } = Promise.withResolvers<void>();
  let hasSynced = false;
  let trouble: string | undefined;

  function tell(handler: ChangeHandler<T>, change: Change<T>): void {
    try {
      handler(change);
    } catch (error) {
      log.error({ resource: resource.plural, key: change.key, err: error }, 'change handler failed');
    }
  }

  function deliver(changes: readonly Change<T>[]): void {
    for (const change of changes) for (const handler of handlers) tell(handler, change);
  }

  const kept = (object: Stored<T>) => (options.freeze === true ? deepFreeze(object) : object);

  const target = {
    replace(objects: readonly Stored<T>[], startedAt: number) {
      deliver(cache.replace(objects.map(kept)));
      own.listed(startedAt);
      hasSynced = true;
      trouble = undefined;
      markSynced();
    },
    put(object: Stored<T>) {
      deliver(cache.put(kept(object)));
      own.seen(object);
    },
    remove(object: Stored<T>) {
      deliver(cache.remove(kept(object)));
      own.seen(object);
    },
    failed({ message }: GuestStoreError) {
      if (!hasSynced) trouble = message;
    },
  };

  return {
    resource,
    synced,
    get hasSynced() {
      return hasSynced;
    },
    get trouble() {
      return trouble;
    },
    get size() {
      return cache.size;
    },
    get: cache.get,
    keys: cache.keys,
    values: cache.values,
    byIndex: cache.byIndex,
    onChange(handler) {
      handlers.push(handler);
      for (const object of cache.values()) tell(handler, { type: 'added', key: keyOf(object), object });
    },
    wrote(object) {
      const cached = cache.get(keyOf(object));
      if (cached?.metadata.resourceVersion !== object.metadata.resourceVersion) own.wrote(object);
    },
    settled: own.settled,
    run: (signal) => runReflector(options, target, signal),
  };
}

/** An object that an index cannot be told from (older than its schema, say) is filed nowhere, and keeps nobody else out. */
function forgiving<T extends KubeObject>(
  indices: Readonly<Record<string, IndexBy<T>>>,
  resource: Resource<T>,
  log: Log,
): Readonly<Record<string, IndexBy<T>>> {
  const one = (index: string, by: IndexBy<T>) => (object: Stored<T>) => {
    try {
      return [...by(object)];
    } catch (error) {
      log.error({ resource: resource.plural, key: keyOf(object), index, err: error }, 'index failed');
      return [];
    }
  };
  return Object.fromEntries(Object.entries(indices).map(([index, by]) => [index, one(index, by)]));
}

interface OwnWrite {
  readonly uid: string;
  readonly version: string;
  readonly at: number;
  readonly settled: PromiseWithResolvers<void>;
}

/** Milliseconds; a watch that lags longer than this is not waited for. */
const patience = 10_000;

interface OwnWrites<T extends KubeObject> {
  wrote(object: Stored<T>): void;
  seen(object: Stored<T>): void;
  listed(startedAt: number): void;
  settled(key: Key, signal: AbortSignal): Promise<void>;
}

/** Own writes that the watch has not shown yet. */
function createOwnWrites<T extends KubeObject>(timers: Timers): OwnWrites<T> {
  const pending = new Map<Key, OwnWrite>();

  function settle(key: Key, write: OwnWrite): void {
    if (pending.get(key) === write) pending.delete(key);
    write.settled.resolve();
  }

  return {
    wrote(object) {
      const key = keyOf(object);
      const before = pending.get(key);
      const { uid, resourceVersion: version } = object.metadata;
      const write = { uid, version, at: timers.now(), settled: Promise.withResolvers<void>() };
      pending.set(key, write);
      before?.settled.resolve(write.settled.promise);
    },
    seen(object) {
      const key = keyOf(object);
      const write = pending.get(key);
      if (write === undefined) return;
      // A watch skips no version, so ours comes by; with another uid it never will.
      if (object.metadata.resourceVersion === write.version || object.metadata.uid !== write.uid) settle(key, write);
    },
    listed(startedAt) {
      for (const [key, write] of pending) if (write.at <= startedAt) settle(key, write);
    },
    async settled(key, signal) {
      const write = pending.get(key);
      if (write === undefined) return;
      const { promise: givenUp, resolve: giveUp } = Promise.withResolvers<void>();
      const cancel = timers.after(Math.max(0, write.at + patience - timers.now()), () => settle(key, write));
      signal.addEventListener('abort', () => giveUp(), { once: true });
      if (!signal.aborted) await Promise.race([write.settled.promise, givenUp]);
      cancel();
    },
  };
}

function deepFreeze<V>(value: V): V {
  if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) deepFreeze(inner);
    Object.freeze(value);
  }
  return value;
}
