import { GuestStoreError } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { Metrics } from '../lib/metrics.ts';
import { isApiError } from './api-error.ts';
import type { Client } from './client.ts';
import { createInformer } from './informer.ts';
import type { Stored } from './objects.ts';
import { type Lease, type LeaseSpec, leases } from './resource.ts';
import { systemTimers, type Timers, wait } from './timers.ts';

/** How the Lease came to us: what its last holder is known to have done before. */
export type Acquired =
  /** There was none, or nobody ever held it. */
  | 'created'
  /** Its holder gave it back when nothing of it could write any more. */
  | 'released'
  /** Its holder has not renewed it in time, and may still believe that it holds it. */
  | 'expired';

export interface Leadership {
  /** Aborts the moment that leading is over, or might be. */
  readonly signal: AbortSignal;
  readonly acquired: Acquired;
  /** False as soon as the last renewal is too old, also when no timer has run yet (a stopped process that just woke). */
  holds(): boolean;
}

export interface LeaderElectionOptions {
  readonly client: Client;
  readonly namespace: string;
  readonly name: string;
  /** Unique to this process. */
  readonly identity: string;
  /** The leader's work: ends soon after its signal aborts. Its failure ends the election, after the Lease was given back. */
  readonly lead: (leadership: Leadership) => Promise<void>;
  /** Work that has not ended 5 s after the leadership was lost: the process should exit. */
  readonly onStuck: () => void;
  readonly log: Log;
  readonly metrics?: Metrics | undefined;
  readonly pace?: ElectionPace;
  readonly timers?: Timers;
}

/** Milliseconds. */
export interface ElectionPace {
  /** Others take a Lease that they have not seen change for this long. */
  readonly leaseDuration: number;
  /** The holder gives up when it could not renew for this long. */
  readonly renewDeadline: number;
  readonly retryPeriod: number;
  /** Time that the work has to end after a loss. */
  readonly stopWithin: number;
}

export const electionPace: ElectionPace = {
  leaseDuration: 15_000,
  renewDeadline: 10_000,
  retryPeriod: 2_000,
  stopWithin: 5_000,
};

/**
 * Stands for the Lease until `signal` aborts: leads while it holds it, and stands again after a loss. Gives the Lease back
 * when the work has ended. Rejects with what `lead` threw.
 */
export async function runLeaderElection(options: LeaderElectionOptions, signal: AbortSignal): Promise<void> {
  const { identity, log, pace = electionPace, timers = systemTimers } = options;
  const status = options.metrics?.gauge('leader_election_master_status', 'Whether this process is the leader.');
  const labels = { name: options.name };
  const candidate = createCandidate(options, pace, timers);
  status?.set(0, labels);

  while (!signal.aborted) {
    const term = await candidate.acquire(signal);
    if (term === undefined) return;
    log.info({ lease: options.name, identity, acquired: term.acquired }, 'leading');
    status?.set(1, labels);
    await leadOneTerm(options, pace, timers, candidate, term, signal).finally(() => status?.set(0, labels));
  }
}

async function leadOneTerm(
  { lead, log, name, onStuck }: LeaderElectionOptions,
  pace: ElectionPace,
  timers: Timers,
  candidate: Candidate,
  term: Term,
  signal: AbortSignal,
): Promise<void> {
  const lost = new AbortController();
  const ended = new AbortController();
  const holds = () => !lost.signal.aborted && timers.now() < term.renewedAt() + pace.renewDeadline;
  const renewing = candidate.keep(term, ended.signal).then((kept) => {
    if (!kept) lost.abort(new GuestStoreError('Superseded', `Lease ${name} could not be renewed in time`));
  });
  const leading = AbortSignal.any([signal, lost.signal]);
  const working = lead({ signal: leading, acquired: term.acquired, holds });
  let late = () => {};
  leading.addEventListener('abort', () => {
    if (lost.signal.aborted) log.error({ lease: name, err: lost.signal.reason }, 'leadership lost');
    late = timers.after(pace.stopWithin, () => {
      if (lost.signal.aborted) onStuck();
    });
  });
  try {
    await working;
  } finally {
    late();
    ended.abort();
    await renewing;
    // Only now can nothing of ours write any more.
    if (!lost.signal.aborted) await candidate.release(term);
  }
  // Work that ends by itself while it leads wants no second term.
  if (!leading.aborted) throw new GuestStoreError('Internal', `the work under Lease ${name} ended by itself`);
}

interface Term {
  readonly acquired: Acquired;
  /** Timers.now when the request of the last good renewal was sent. */
  renewedAt(): number;
}

interface Candidate {
  /** Resolves with a term once the Lease is ours, undefined when `signal` aborts first. */
  acquire(signal: AbortSignal): Promise<Term | undefined>;
  /** Renews until `signal` aborts (true), or until the Lease is lost (false). */
  keep(term: Term, signal: AbortSignal): Promise<boolean>;
  release(term: Term): Promise<void>;
}

function createCandidate(options: LeaderElectionOptions, pace: ElectionPace, timers: Timers): Candidate {
  const { client, namespace, name, identity, log } = options;
  /** The Lease as last seen, and when it was first seen so: another host's clock is never compared with ours. */
  let seen: { readonly lease: Stored<Lease>; readonly since: number } | undefined;
  let renewedAt = Number.NEGATIVE_INFINITY;

  function see(lease: Stored<Lease>): void {
    if (seen?.lease.metadata.resourceVersion !== lease.metadata.resourceVersion) seen = { lease, since: timers.now() };
  }

  /** Writes our name into the Lease; throws `Conflict` or `AlreadyExists` when somebody was faster. */
  async function claim(lease: Stored<Lease> | undefined, signal: AbortSignal): Promise<void> {
    const sentAt = timers.now();
    const spec = claimed(lease?.spec, identity, pace.leaseDuration);
    const request = { signal };
    const written =
      lease === undefined
        ? await client.create(leases, { metadata: { namespace, name }, spec }, request)
        : await client.replace(leases, { ...lease, spec }, request);
    see(written);
    renewedAt = sentAt;
  }

  /** One look, and one try if there is something to try. */
  async function tryOnce(signal: AbortSignal): Promise<Acquired | undefined> {
    const lease = await client.find(leases, { namespace, name }, signal);
    if (lease === undefined) {
      await claim(undefined, signal);
      return 'created';
    }
    see(lease);
    const acquirable = acquirableAs(lease.spec, identity, timers.now() - (seen?.since ?? timers.now()));
    if (acquirable !== undefined) await claim(lease, signal);
    return acquirable;
  }

  return {
    async acquire(signal) {
      await using changes = watchLease(options, signal);
      while (!signal.aborted) {
        const released = changes.released();
        try {
          const acquired = await tryOnce(AbortSignal.any([signal, AbortSignal.timeout(pace.renewDeadline)]));
          if (acquired !== undefined) return { acquired, renewedAt: () => renewedAt };
        } catch (error) {
          const outrun = isApiError(error, 'Conflict') || isApiError(error, 'AlreadyExists');
          if (!signal.aborted && !outrun) log.warn({ lease: name, err: error }, 'cannot stand for the lease');
        }
        await wait(pace.retryPeriod, AbortSignal.any([signal, released]), timers);
      }
      return undefined;
    },

    async keep(_, signal) {
      for (;;) {
        if (!(await wait(pace.retryPeriod, signal, timers))) return true;
        const left = renewedAt + pace.renewDeadline - timers.now();
        // Also where this process was stopped and wakes only now: first of all it must stop writing.
        if (left <= 0) return false;
        try {
          const request = AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(left))]);
          await claim(seen?.lease, request);
        } catch (error) {
          if (signal.aborted) return true;
          log.warn({ lease: name, err: error }, 'cannot renew the lease');
          if (!(await stillOurs(signal))) return false;
        }
      }
    },

    async release() {
      const lease = seen?.lease;
      if (lease?.spec?.holderIdentity !== identity) return;
      const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: now() };
      try {
        await client.replace(leases, { ...lease, spec }, { signal: AbortSignal.timeout(pace.stopWithin) });
        log.info({ lease: name }, 'lease released');
      } catch (error) {
        log.warn({ lease: name, err: error }, 'cannot release the lease; others wait until it runs out');
      }
    },
  };

  /** After a failed renewal: false when the Lease is known to be another's. */
  async function stillOurs(signal: AbortSignal): Promise<boolean> {
    const left = renewedAt + pace.renewDeadline - timers.now();
    if (left <= 0) return false;
    try {
      const lease = await client.find(
        leases,
        { namespace, name },
        AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(left))]),
      );
      // Deleted: our next claim must create it, and another may be faster.
      if (lease === undefined) {
        seen = undefined;
        return true;
      }
      see(lease);
      return lease.spec?.holderIdentity === identity;
    } catch {
      // No answer says nothing; the deadline decides.
      return true;
    }
  }
}

/** Whether, and as what, a Lease may be taken that has not changed for `unchanged` milliseconds. */
function acquirableAs(spec: LeaseSpec | undefined, identity: string, unchanged: number): Acquired | undefined {
  const holder = spec?.holderIdentity ?? '';
  if (holder === '') return spec?.acquireTime === undefined ? 'created' : 'released';
  // Ours from a term that we lost: nobody took it meanwhile, yet work of that term was cut short.
  if (holder === identity) return 'expired';
  return unchanged > (spec?.leaseDurationSeconds ?? 0) * 1000 ? 'expired' : undefined;
}

function claimed(before: LeaseSpec | undefined, identity: string, leaseDuration: number): LeaseSpec {
  const renewTime = now();
  const leaseDurationSeconds = Math.ceil(leaseDuration / 1000);
  const transitions = before?.leaseTransitions ?? 0;
  if (before?.holderIdentity === identity) return { ...before, renewTime, leaseDurationSeconds };
  return {
    holderIdentity: identity,
    leaseDurationSeconds,
    acquireTime: renewTime,
    renewTime,
    leaseTransitions: before === undefined ? transitions : transitions + 1,
  };
}

/** For people only: nothing is decided by it. metav1.MicroTime wants six digits. */
function now(): string {
  return new Date().toISOString().replace('Z', '000Z');
}

interface LeaseWatch extends AsyncDisposable {
  /** A signal that aborts when the Lease is next seen released or deleted. */
  released(): AbortSignal;
}

/** Tells a standby of a released Lease at once; should the watch be refused, the retry period remains. */
function watchLease(options: LeaderElectionOptions, signal: AbortSignal): LeaseWatch {
  const { client, namespace, name, log } = options;
  const stop = new AbortController();
  let next = new AbortController();
  const informer = createInformer({ client, resource: leases, namespace, fieldSelector: `metadata.name=${name}`, log });
  informer.onChange((change) => {
    const free = change.type === 'deleted' || (change.object.spec?.holderIdentity ?? '') === '';
    if (!free) return;
    next.abort();
    next = new AbortController();
  });
  const running = informer.run(AbortSignal.any([signal, stop.signal]));
  return {
    released: () => next.signal,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}
