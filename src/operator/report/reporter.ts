import { conditionOf } from '../../core/conditions.ts';
import type { ObjectKey } from '../../core/names.ts';
import { isApiError } from '../../kube/api-error.ts';
import { asGuestStoreError } from '../../lib/errors.ts';
import { createBreath, pause } from '../../lib/lifecycle.ts';
import type { Log } from '../../lib/log.ts';
import { sameRecord } from '../../store/canonical.ts';
import type { Instruments } from '../instruments.ts';
import type { Publisher } from '../publish/publisher.ts';
import type { Declared, DeclaredKind, StatusSink, World, WrittenStatus } from '../types.ts';
import { createDueList, type Due } from './due-list.ts';
import { happeningsBetween } from './happenings.ts';
import type { HostNews, HostReports } from './host-reports.ts';
import { createHostsReporter } from './hosts-reporter.ts';
import type { Statuses } from './statuses.ts';

/** Milliseconds between looks at the hosts while somebody waits for them, and otherwise. */
const watchful = 100;
const relaxed = 2_000;
/** Looks may take this part of the time where there are many hosts. */
const share = 1 / 5;
/**
 * Milliseconds that hosts have to follow before a status says that they are waited for: of an object that was edited, and
 * of one that only depends on what was, whose own generation promises nobody anything.
 */
const patience = 400;
const patienceOfOthers = 5_000;
/** Milliseconds that a host is away before its VMs say so: a daemon that is restarted writes no thousand statuses. */
const absence = 30_000;
/** How many statuses are written at once; one hand in four takes from large batches first. */
const pens = 8;
const patientPen = 4;
/** Milliseconds after which a write that failed is tried again; doubling to the other where the server refuses the object as it is. */
const retryAfter = 2_000;
const longestRetry = 300_000;

/** Tells people: writes the status of what the publisher looked at, and again when the hosts have followed. */
export interface Reporter {
  touch(kind: DeclaredKind, key: ObjectKey): void;
  /** How many statuses are to be looked at, those aside that wait for hosts. */
  readonly waiting: number;
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when every status is written and nobody waits for a live host. */
  settled(): Promise<void>;
  /** Resolves when all is written that can be now: what waits for hosts, or to be tried again, may wait on. */
  said(): Promise<void>;
}

export interface ReporterOptions {
  readonly world: World;
  readonly publisher: Publisher;
  readonly statuses: Statuses;
  readonly reports: HostReports;
  readonly sink: StatusSink;
  readonly forgetHost: (host: string) => Promise<void>;
  /** Milliseconds of silence after which a host that no VM names is retired. */
  readonly retireHostsAfter: number;
  readonly now: () => Date;
  readonly log: Log;
  readonly instruments: Pick<Instruments, 'reporter' | 'hosts'>;
}

export function createReporter(options: ReporterOptions): Reporter {
  const { world, publisher, statuses, reports, sink, log, now, instruments } = options;
  const due = createDueList();
  const written = new Map<string, WrittenStatus>();
  /** How often the server refused an object for what stands in it, by name; not for what was to be written. */
  const refusals = new Map<string, number>();
  const hosts = createHostsReporter({
    world,
    datastores: publisher.datastores,
    reports,
    sink,
    forgetHost: options.forgetHost,
    retireAfter: options.retireHostsAfter,
    now,
  });
  let waiters: (() => void)[] = [];
  const lookers: (() => void)[] = [];
  const listeners: (() => void)[] = [];
  /** performance.now() when the last look at the hosts began. */
  let lookedAt = Number.NEGATIVE_INFINITY;
  /** Hosts that stopped speaking, and when, until their VMs were told. */
  const away = new Map<string, number>();
  let woken = Promise.withResolvers<void>();
  let vmsTouched = true;
  /** Why status was last not kept, and hosts not read. */
  let unkept: string | undefined;
  let unread: string | undefined;

  function touch(kind: DeclaredKind, key: ObjectKey): void {
    due.touch(kind, key);
    if (kind === 'GuestVM') vmsTouched = true;
    instruments.reporter.touched();
    woken.resolve();
  }

  async function run(signal: AbortSignal): Promise<void> {
    // Whoever waits for work or for a look at the hosts is let go when this ends, however it does.
    const over = new AbortController();
    const ended = AbortSignal.any([signal, over.signal]);
    ended.addEventListener('abort', () => {
      due.close();
      woken.resolve();
      for (const look of lookers.splice(0)) look();
    });
    const hands = Array.from({ length: pens }, (_, index) => write(index % patientPen === 0, ended));
    try {
      await Promise.race([followHosts(ended), ...hands]);
    } finally {
      over.abort();
      await Promise.allSettled(hands);
      await flush(signal);
      for (const resolve of waiters.splice(0)) resolve();
    }
    await Promise.all(hands);
  }

  async function followHosts(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      woken = Promise.withResolvers();
      const asked = waiters;
      waiters = [];
      const begun = performance.now();
      await instruments.hosts.run(() => look(begun, signal));
      const took = performance.now() - begun;
      // What is written while the rest is brought to its place is not there yet.
      const settled = due.size === 0;
      await flush(signal);
      if (settled) for (const resolve of asked) resolve();
      else waiters.push(...asked);
      const wait = due.aside > 0 || waiters.length > 0 ? watchful : relaxed;
      // New work wakes at once; what only waits for hosts is looked at again in a moment.
      await Promise.race([woken.promise, pause(Math.max(wait, took / share), signal)]);
    }
  }

  /** False when the hosts could not be read. */
  async function look(begun: number, signal: AbortSignal): Promise<boolean> {
    const news = await readHosts();
    lookedAt = begun;
    if (news !== undefined) tellOf(news);
    for (const resolve of lookers.splice(0)) resolve();
    due.recall(news?.moved === true);
    const shown = news?.shown === true || vmsTouched || hosts.silent > 0 || hosts.asked;
    vmsTouched = false;
    if (shown) await hosts.write(attempt, signal);
    return news !== undefined;
  }

  /** Undefined where they cannot be read: then what they last said counts, and other statuses are written all the same. */
  async function readHosts(): Promise<HostNews | undefined> {
    try {
      const news = await reports.refresh(now());
      unread = undefined;
      return news;
    } catch (thrown) {
      const error = asGuestStoreError(thrown, 'StoreUnavailable');
      if (error.message !== unread) log.error({ code: error.code, err: error }, 'hosts not read');
      unread = error.message;
      return undefined;
    }
  }

  /** Resolves when the hosts were looked at since that moment: what is said of them is not older than what it is said for. */
  async function lookedSince(moment: number, signal: AbortSignal): Promise<void> {
    while (lookedAt < moment && !signal.aborted) {
      await new Promise<void>((resolve) => {
        lookers.push(resolve);
        woken.resolve();
      });
    }
  }

  function tellOf({ came, went }: HostNews): void {
    for (const host of went) away.set(host, performance.now());
    const concerned = new Set(came);
    for (const host of came) away.delete(host);
    for (const [host, since] of away) {
      if (performance.now() - since < absence) continue;
      away.delete(host);
      concerned.add(host);
    }
    if (concerned.size > 0) {
      for (const [key, { spec }] of world.vms) {
        if (concerned.has(spec.host ?? '') && publisher.outcomes.vms.has(key)) touch('GuestVM', key);
      }
    }
    if (came.size === 0 && went.size === 0) return;
    for (const key of world.repositories.keys()) touch('GuestStoreRepository', key);
    for (const key of world.policies.keys()) touch('VMAccessPolicy', key);
    for (const key of world.clusterPolicies.keys()) touch('ClusterVMAccessPolicy', key);
    if (came.size > 0) touchUnservedItems();
  }

  /** Items are many: only those that no host served are looked at again, whichever hosts come and go. */
  function touchUnservedItems(): void {
    for (const key of publisher.outcomes.items.keys()) {
      const ready = conditionOf(written.get(`ContentItem ${key}`)?.conditions, 'Ready');
      if (ready?.reason === 'Published') touch('ContentItem', key);
    }
  }

  async function write(patient: boolean, signal: AbortSignal): Promise<void> {
    const breathe = createBreath();
    while (!signal.aborted) {
      const one = due.take(patient);
      if (one === undefined) {
        await due.filled();
        continue;
      }
      await lookedSince(one.at, signal);
      await instruments.reporter.run(() => writeOne(one, signal), performance.now() - one.at);
      if (due.size === 0) woken.resolve();
      if (due.size === due.aside) for (const resolve of listeners.splice(0)) resolve();
      await breathe();
    }
  }

  /** False when something could not be written: it is tried again. */
  async function writeOne(one: Due, signal: AbortSignal): Promise<boolean> {
    const { name, kind, key } = one;
    const object = objectOf(world, kind, key);
    const leaving = object?.metadata.deletionTimestamp !== undefined;
    if (object === undefined || (leaving && goneFromStore(kind, key))) {
      if (leaving && !(await attempt(name, () => sink.release(kind, key, signal), signal))) return later(one);
      return forget(one);
    }
    const previous = written.get(name) ?? statusOf(object);
    const report = statuses.statusOf(kind, key, previous);
    if (report === undefined) return forget(one);
    if (report.waiting) {
      const edited = previous?.observedGeneration !== report.status.observedGeneration;
      const told = one.at + (edited ? patience : patienceOfOthers);
      if (performance.now() < told) {
        due.setAside(one, told);
        return true;
      }
    }
    if (!(await attempt(name, () => sink.hold(kind, key, signal), signal))) return unsaid(one, previous, report.status);
    if (!sameRecord(report.status, previous)) {
      const done = await attempt(name, () => sink.writeStatus(kind, key, report.status, signal), signal);
      if (!done) return unsaid(one, previous, report.status);
      for (const event of happeningsBetween(previous, report.status)) {
        // By the thousand, that all is well would keep statuses waiting; trouble is always told.
        if (one.urgent || event.type === 'Warning') sink.event(kind, key, event);
      }
    }
    written.set(name, report.status);
    if (report.waiting) due.setAside(one, Number.POSITIVE_INFINITY);
    else due.settle(one);
    return true;
  }

  function later(one: Due): false {
    const refused = refusals.get(one.name) ?? 0;
    const wait = Math.min(retryAfter * 2 ** Math.max(0, refused - 1), longestRetry);
    due.setAside(one, performance.now() + wait);
    return false;
  }

  /** An object that is older than its schema bears no status: then events are what is left to say it with. */
  function unsaid(one: Due, previous: WrittenStatus | undefined, status: WrittenStatus): false {
    if (refusals.get(one.name) === 2)
      for (const happening of happeningsBetween(previous, status)) sink.event(one.kind, one.key, happening);
    return later(one);
  }

  function forget(one: Due): true {
    written.delete(one.name);
    refusals.delete(one.name);
    statuses.forget(one.kind, one.key);
    due.settle(one);
    return true;
  }

  /** What cannot be kept is shown all the same: it ends no work and nobody's waiting. */
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

  function goneFromStore(kind: DeclaredKind, key: ObjectKey): boolean {
    const { outcomes, ledger } = publisher;
    if (kind === 'ContentItem') return !outcomes.items.has(key) && !publisher.holdsContent(key);
    if (kind === 'GuestStoreRepository') return !outcomes.repositories.has(key) && !publisher.holdsRepository(key);
    if (kind === 'GuestVM') return !outcomes.vms.has(key) && ledger.datastoresOf(key).length === 0;
    return true;
  }

  /** False when it failed: the log says so, and it is tried again. */
  async function attempt(object: string, write: () => Promise<void>, signal: AbortSignal): Promise<boolean> {
    try {
      await write();
      refusals.delete(object);
      return true;
    } catch (thrown) {
      if (signal.aborted) return false;
      const error = asGuestStoreError(thrown, 'ApiUnavailable');
      // Without causes it is a patch that came too late, which the next look puts right.
      if (isApiError(error, 'Invalid') && error.details.causes !== undefined)
        refusals.set(object, (refusals.get(object) ?? 0) + 1);
      log.warn({ object, code: error.code, err: error }, 'status not written');
      return false;
    }
  }

  return {
    touch,
    get waiting() {
      return due.size - due.aside;
    },
    run,
    settled: () =>
      new Promise((resolve) => {
        waiters.push(resolve);
        woken.resolve();
      }),
    said: () => (due.size === due.aside ? Promise.resolve() : new Promise((resolve) => listeners.push(resolve))),
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
