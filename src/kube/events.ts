import { createHash, randomUUID } from 'node:crypto';
import type { Log } from '../lib/log.ts';
import type { Metrics } from '../lib/metrics.ts';
import type { Client } from './client.ts';
import type { KubeObject, ObjectName, Stored } from './objects.ts';
import type { Resource } from './resource.ts';
import { systemTimers, type Timers } from './timers.ts';

/** What happened to an object, for whoever runs `kubectl describe`. */
export interface Happening {
  readonly type: 'Normal' | 'Warning';
  /** CamelCase; the same word as the condition's reason. */
  readonly reason: string;
  /** What was being done: `Publish`, `Fetch`. */
  readonly action: string;
  /** At most 1,024 bytes are kept. */
  readonly note: string;
}

export interface EventRecorder extends AsyncDisposable {
  /**
   * To be called on a change, not on every look. The same happening again within six minutes is counted in the first
   * event's series. Never waits and never throws: an event that cannot be delivered is dropped and counted.
   */
  record(regarding: Stored<KubeObject>, happening: Happening): void;
  /** Resolves when everything recorded until now is delivered or dropped. */
  flush(): Promise<void>;
}

export interface EventRecorderOptions {
  readonly client: Client;
  /** A qualified name: `example.org/operator`. */
  readonly controller: string;
  /** This process. */
  readonly instance: string;
  readonly log: Log;
  readonly metrics?: Metrics | undefined;
  readonly now?: () => Date;
  readonly timers?: Timers;
}

interface KubeEvent extends KubeObject {
  readonly eventTime: string;
  readonly reportingController: string;
  readonly reportingInstance: string;
  readonly action: string;
  readonly reason: string;
  readonly regarding: Readonly<Record<string, string | undefined>>;
  readonly note: string;
  readonly type: Happening['type'];
  readonly series?: { readonly count: number; readonly lastObservedTime: string };
}

const events: Resource<KubeEvent> = {
  group: 'events.k8s.io',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
  namespaced: true,
};

/** Milliseconds after its last occurrence that a happening begins a new event. */
const seriesEnd = 360_000;
/** Milliseconds between two writes of one series. */
const seriesPace = 60_000;
/** Different events of one object: so many at once, then one every five minutes. */
const burst = 25;
const refill = 300_000;
/** Undelivered events that are kept. */
const backlog = 1_000;
const longestNote = 1_024;

interface Series {
  readonly event: ObjectName;
  count: number;
  lastAt: number;
  lastTime: Date;
  cancelWrite: (() => void) | undefined;
}

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { client, log, timers = systemTimers, now = () => new Date() } = options;
  const dropped = options.metrics?.counter('events_dropped_total', 'Events that were not delivered, by reason.');
  const series = new Map<string, Series>();
  const allowance = createAllowance(timers);
  const closing = new AbortController();
  let sending = Promise.resolve();
  let pending = 0;
  let forgotAt = timers.now();

  function drop(reason: string): void {
    dropped?.add({ reason });
  }

  /** One after the other, so that a series never overtakes the event that it belongs to. */
  function send(what: (signal: AbortSignal) => Promise<unknown>): void {
    if (pending >= backlog) {
      drop('backlog');
      return;
    }
    pending += 1;
    sending = sending
      .then(() => what(closing.signal))
      .then(
        () => undefined,
        (error: unknown) => {
          drop('refused');
          log.debug({ err: error }, 'event not delivered');
        },
      )
      .finally(() => {
        pending -= 1;
      });
  }

  function writeSeries(one: Series): void {
    one.cancelWrite = undefined;
    const value = { series: { count: one.count, lastObservedTime: micro(one.lastTime) } };
    send((signal) => client.patch(events, one.event, { type: 'merge', value }, { signal }));
  }

  function repeat(one: Series): void {
    one.count += 1;
    one.lastAt = timers.now();
    one.lastTime = now();
    one.cancelWrite ??= timers.after(seriesPace, () => writeSeries(one));
  }

  function begin(identity: string, regarding: Stored<KubeObject>, happening: Happening): void {
    if (!allowance.take(regarding.metadata.uid)) {
      drop('rate');
      return;
    }
    const event = eventOf(options, regarding, happening, now());
    series.set(identity, {
      event: event.metadata,
      count: 1,
      lastAt: timers.now(),
      lastTime: now(),
      cancelWrite: undefined,
    });
    send((signal) => client.create(events, event, { signal }));
  }

  /** Now and then: with each event it would cost as many steps as there are objects. */
  function forgetOld(): void {
    if (timers.now() - forgotAt < seriesEnd / 10) return;
    forgotAt = timers.now();
    for (const [identity, { lastAt, cancelWrite }] of series)
      if (cancelWrite === undefined && timers.now() - lastAt > seriesEnd) series.delete(identity);
  }

  return {
    record(regarding, happening) {
      forgetOld();
      const identity = identityOf(regarding, happening);
      const known = series.get(identity);
      const over = known === undefined || (known.cancelWrite === undefined && timers.now() - known.lastAt > seriesEnd);
      if (over) begin(identity, regarding, happening);
      else repeat(known);
    },
    async flush() {
      for (const one of series.values())
        if (one.cancelWrite !== undefined) {
          one.cancelWrite();
          writeSeries(one);
        }
      await sending;
    },
    async [Symbol.asyncDispose]() {
      for (const { cancelWrite } of series.values()) cancelWrite?.();
      closing.abort();
      await sending;
    },
  };
}

function eventOf(
  { controller, instance }: EventRecorderOptions,
  regarding: Stored<KubeObject>,
  { type, reason, action, note }: Happening,
  at: Date,
): KubeEvent {
  const { namespace, name, uid, resourceVersion } = regarding.metadata;
  const { apiVersion, kind } = regarding;
  return {
    // An event of a cluster-scoped object stands in `default`.
    metadata: { namespace: namespace ?? 'default', name: `${name.slice(0, 200)}.${randomUUID().slice(0, 13)}` },
    eventTime: micro(at),
    reportingController: controller,
    reportingInstance: instance.slice(0, 128),
    action,
    reason,
    regarding: { apiVersion, kind, namespace, name, uid, resourceVersion },
    note: truncated(note),
    type,
  };
}

function identityOf(regarding: Stored<KubeObject>, { type, reason, action, note }: Happening): string {
  const parts = [regarding.metadata.uid, type, reason, action, note];
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64');
}

/** Cut between characters. */
function truncated(note: string): string {
  const bytes = Buffer.from(note);
  if (bytes.length <= longestNote) return note;
  return `${new TextDecoder().decode(bytes.subarray(0, longestNote - 4), { stream: true })}…`;
}

/** metav1.MicroTime. */
function micro(time: Date): string {
  return time.toISOString().replace('Z', '000Z');
}

/** A bucket of events per object, so that one that flaps does not fill the cluster's event store. */
function createAllowance(timers: Timers): { take(uid: string): boolean } {
  const buckets = new Map<string, { left: number; at: number }>();
  let sweptAt = timers.now();
  return {
    take(uid) {
      const now = timers.now();
      if (now - sweptAt > refill) {
        sweptAt = now;
        for (const [other, { left, at }] of buckets) if (left + (now - at) / refill >= burst) buckets.delete(other);
      }
      const { left, at } = buckets.get(uid) ?? { left: burst, at: now };
      const tokens = Math.min(burst, left + (now - at) / refill);
      if (tokens < 1) return false;
      buckets.set(uid, { left: tokens - 1, at: now });
      return true;
    },
  };
}
