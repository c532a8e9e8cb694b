import { conditionOf } from '../../core/conditions.ts';
import type { ObjectKey } from '../../core/names.ts';
import { asGuestStoreError } from '../../lib/errors.ts';
import { pause } from '../../lib/lifecycle.ts';
import type { Log } from '../../lib/log.ts';
import { sameRecord } from '../publish/draft.ts';
import type { Publisher } from '../publish/publisher.ts';
import type { Declared, DeclaredKind, StatusSink, World, WrittenStatus } from '../types.ts';
import type { HostReports } from './host-reports.ts';
import { hostStatus } from './host-statuses.ts';
import type { Statuses } from './statuses.ts';

/** Milliseconds between looks at the hosts while somebody waits for them, and otherwise. */
const watchful = 100;
const relaxed = 2_000;
/** Milliseconds that hosts have to follow before a status says that they are waited for. */
const patience = 400;
/** How many statuses are written at once. */
const pens = 8;
/** Milliseconds after which a write that failed is tried again. */
const retryAfter = 2_000;

/** Tells people: writes the status of what the publisher looked at, and again when the hosts have followed. */
export interface Reporter {
  touch(kind: DeclaredKind, key: ObjectKey): void;
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when every status is written and nobody waits for a live host. */
  settled(): Promise<void>;
}

export interface ReporterOptions {
  readonly world: World;
  readonly publisher: Publisher;
  readonly statuses: Statuses;
  readonly reports: HostReports;
  readonly sink: StatusSink;
  readonly now: () => Date;
  readonly log: Log;
}

interface Due {
  readonly kind: DeclaredKind;
  readonly key: ObjectKey;
  /** performance.now() since when hosts are waited for. */
  since: number | undefined;
  /** Not looked at before that time. */
  notBefore: number;
}

export function createReporter(options: ReporterOptions): Reporter {
  const { world, publisher, statuses, reports, sink, log } = options;
  const due = new Map<string, Due>();
  const written = new Map<string, WrittenStatus>();
  const hosts = new Map<string, WrittenStatus>();
  const waiters: (() => void)[] = [];
  let woken = Promise.withResolvers<void>();
  let vmsTouched = true;
  /** What an earlier run said of hosts: not written again, and no reason to remove any, who may be another operator's. */
  let earlier: ReadonlyMap<string, WrittenStatus> | undefined;
  /** Why status was last not kept. */
  let unkept: string | undefined;

  function touch(kind: DeclaredKind, key: ObjectKey): void {
    due.set(`${kind} ${key}`, { kind, key, since: undefined, notBefore: 0 });
    if (kind === 'GuestVM') vmsTouched = true;
    woken.resolve();
  }

  async function run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      woken = Promise.withResolvers();
      await refreshHosts(signal);
      await writeDue(signal);
      await flush(signal);
      if (due.size === 0) for (const resolve of waiters.splice(0)) resolve();
      const wait = due.size > 0 ? watchful : relaxed;
      // New work wakes at once; what only waits for hosts is looked at again in a moment.
      await Promise.race([woken.promise, pause(wait, signal)]);
    }
    await flush(signal);
    for (const resolve of waiters.splice(0)) resolve();
  }

  /** What cannot be kept is shown all the same, and stays due: it ends no work and nobody's waiting. */
  async function flush(signal: AbortSignal): Promise<void> {
    try {
      await sink.flush();
      unkept = undefined;
    } catch (thrown) {
      const error = asGuestStoreError(thrown, 'StoreUnavailable');
      if (error.message !== unkept) log.error({ code: error.code, err: error }, 'status not kept');
      unkept = signal.aborted ? undefined : error.message;
    }
  }

  async function refreshHosts(signal: AbortSignal): Promise<void> {
    const changed = await reports.refresh(options.now());
    if (changed) {
      for (const key of world.repositories.keys()) touch('GuestStoreRepository', key);
      for (const [key, { spec }] of world.vms) {
        if (spec.host !== undefined && publisher.outcomes.vms.has(key)) touch('GuestVM', key);
      }
      for (const key of world.policies.keys()) touch('VMAccessPolicy', key);
      for (const key of world.clusterPolicies.keys()) touch('ClusterVMAccessPolicy', key);
      touchUnservedItems();
    }
    if (changed || vmsTouched) await writeHosts(signal);
    vmsTouched = false;
  }

  /** Items are many: only those that no host served are looked at again, whichever hosts come and go. */
  function touchUnservedItems(): void {
    for (const key of publisher.outcomes.items.keys()) {
      const ready = conditionOf(written.get(`ContentItem ${key}`)?.conditions, 'Ready');
      if (ready?.reason === 'Published') touch('ContentItem', key);
    }
  }

  async function writeHosts(signal: AbortSignal): Promise<void> {
    earlier ??= new Map(sink.hostStatuses());
    const vms = new Map<string, number>();
    for (const { spec } of world.vms.values()) {
      if (spec.host !== undefined) vms.set(spec.host, (vms.get(spec.host) ?? 0) + 1);
    }
    for (const host of new Set([...reports.hosts(), ...vms.keys()])) {
      const fresh = publisher.datastores.some((name) => reports.views(name).get(host)?.fresh === true);
      const said = reports.acknowledgements(host);
      const before = hosts.get(host) ?? earlier.get(host);
      const status = hostStatus(host, fresh, said, vms.get(host) ?? 0, before?.conditions ?? [], options.now());
      if (sameRecord(status, before)) {
        hosts.set(host, status);
        continue;
      }
      await attempt(`GuestStoreHost ${host}`, () => sink.writeHost(host, status, signal), signal);
      hosts.set(host, status);
    }
    for (const host of [...hosts.keys()]) {
      if (reports.hosts().has(host) || vms.has(host)) continue;
      await attempt(`GuestStoreHost ${host}`, () => sink.removeHost(host, signal), signal);
      hosts.delete(host);
    }
  }

  async function writeDue(signal: AbortSignal): Promise<void> {
    const now = performance.now();
    const ready = [...due].filter(([, { notBefore }]) => notBefore <= now).values();
    const write = async () => {
      for (const [name, one] of ready) {
        if (signal.aborted) return;
        await writeOne(name, one, signal);
      }
    };
    await Promise.all(Array.from({ length: pens }, write));
  }

  async function writeOne(name: string, one: Due, signal: AbortSignal): Promise<void> {
    const { kind, key } = one;
    const object = objectOf(world, kind, key);
    if (object === undefined || object.metadata.deletionTimestamp !== undefined) {
      if (object !== undefined && goneFromStore(kind, key)) {
        if (!(await attempt(name, () => sink.release(kind, key, signal), signal))) return later(one);
      }
      forget(name, one);
      return;
    }
    const previous = written.get(name) ?? statusOf(object);
    const report = statuses.statusOf(kind, key, previous);
    if (report === undefined) {
      forget(name, one);
      return;
    }
    one.since ??= performance.now();
    if (report.waiting && performance.now() - one.since < patience) return;
    if (!(await attempt(name, () => sink.hold(kind, key, signal), signal))) return later(one);
    if (!sameRecord(report.status, previous)) {
      const done = await attempt(name, () => sink.writeStatus(kind, key, report.status, signal), signal);
      if (!done) return later(one);
      tellEvent(kind, key, report.status, previous);
    }
    written.set(name, report.status);
    // Touched again meanwhile: then another entry stands there.
    if (!report.waiting && due.get(name) === one) due.delete(name);
  }

  function later(one: Due): void {
    one.notBefore = performance.now() + retryAfter;
  }

  function forget(name: string, one: Due): void {
    if (due.get(name) === one) due.delete(name);
    written.delete(name);
    statuses.forget(one.kind, one.key);
  }

  function goneFromStore(kind: DeclaredKind, key: ObjectKey): boolean {
    const { outcomes, ledger } = publisher;
    if (kind === 'ContentItem') return !outcomes.items.has(key) && !publisher.holdsContent(key);
    if (kind === 'GuestStoreRepository') return !outcomes.repositories.has(key) && !publisher.holdsRepository(key);
    if (kind === 'GuestVM') return !outcomes.vms.has(key) && ledger.datastoresOf(key).length === 0;
    return true;
  }

  function tellEvent(
    kind: DeclaredKind,
    key: ObjectKey,
    status: WrittenStatus,
    previous: WrittenStatus | undefined,
  ): void {
    const ready = conditionOf(status.conditions, 'Ready');
    const before = conditionOf(previous?.conditions, 'Ready');
    if (ready === undefined || (ready.reason === before?.reason && ready.status === before.status)) return;
    const stalled = conditionOf(status.conditions, 'Stalled')?.status === 'True';
    const trouble =
      ready.status !== 'True' && (stalled || (ready.reason !== 'WaitingForHosts' && ready.reason !== 'Fetching'));
    sink.event(kind, key, { type: trouble ? 'Warning' : 'Normal', reason: ready.reason, message: ready.message });
  }

  /** False when it failed: the log says so, and it is tried again. */
  async function attempt(object: string, write: () => Promise<void>, signal: AbortSignal): Promise<boolean> {
    try {
      await write();
      return true;
    } catch (thrown) {
      if (signal.aborted) return false;
      const error = asGuestStoreError(thrown, 'ApiUnavailable');
      log.warn({ object, code: error.code, err: error }, 'status not written');
      return false;
    }
  }

  return {
    touch,
    run,
    settled: () =>
      new Promise((resolve) => {
        waiters.push(resolve);
        woken.resolve();
      }),
  };
}

function objectOf(world: World, kind: DeclaredKind, key: ObjectKey): Declared | undefined {
  if (kind === 'ContentItem') return world.items.get(key);
  if (kind === 'GuestStoreRepository') return world.repositories.get(key);
  if (kind === 'GuestVM') return world.vms.get(key);
  if (kind === 'GuestStoreDatastore') return world.datastores.get(key);
  return kind === 'VMAccessPolicy' ? world.policies.get(key) : world.clusterPolicies.get(key);
}

/** The status that an object bears now; the schema's default counts as none. */
function statusOf({ status }: Declared): WrittenStatus | undefined {
  const { observedGeneration, conditions } = status;
  if (observedGeneration === undefined || observedGeneration < 0 || conditions === undefined) return undefined;
  return { ...status, observedGeneration, conditions };
}
