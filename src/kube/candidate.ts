import type { Log } from '../lib/log.ts';
import { ApiError, isApiError } from './api-error.ts';
import type { Client } from './client.ts';
import { type Acquired, acquiredAs, claimed, expiresAfter, holderOf, released } from './lease.ts';
import type { LeaseWatch } from './lease-watch.ts';
import type { Stored } from './objects.ts';
import { type Lease, leases } from './resource.ts';
import { type Timers, wait } from './timers.ts';

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

export interface CandidateOptions {
  readonly client: Client;
  readonly namespace: string;
  readonly name: string;
  readonly identity: string;
  readonly log: Log;
  readonly pace: ElectionPace;
  readonly timers: Timers;
  readonly watch: LeaseWatch;
  /** Why this process cannot even stand, when the server refuses it; undefined once it can. */
  readonly onRefused: (message: string | undefined) => void;
}

/** One process's dealings with the Lease: what it has seen of it and what it writes into it. */
export interface Candidate {
  /**
   * Resolves once the Lease is ours, with undefined when `signal` aborts first. `disputed`: somebody does the work without
   * it, so that a Lease that is still ours is left alone until it has run out, for whoever else may stand.
   */
  acquire(disputed: boolean, signal: AbortSignal): Promise<Acquired | undefined>;
  /** Timers.now from which on the Lease counts as lost. */
  deadline(): number;
  /** Renews until `signal` aborts, or until the Lease is lost: it could not be renewed in time, or another has it. */
  keep(signal: AbortSignal): Promise<'stopped' | 'late' | 'taken'>;
  /** Gives the Lease back, if it is still ours. */
  release(): Promise<void>;
}

export function createCandidate(options: CandidateOptions): Candidate {
  const { client, namespace, name, identity, log, pace, timers, watch, onRefused } = options;
  /** The Lease as last seen, and when it was first seen so: another host's clock is never compared with ours. */
  let seen: { readonly lease: Stored<Lease>; readonly since: number } | undefined;
  /** When the request of the last good renewal was sent. */
  let renewedAt = Number.NEGATIVE_INFINITY;
  /** What keeps us from standing, as it was last said. */
  let trouble: string | undefined;

  const deadline = () => renewedAt + pace.renewDeadline;

  function see(lease: Stored<Lease>): void {
    if (seen?.lease.metadata.resourceVersion !== lease.metadata.resourceVersion) seen = { lease, since: timers.now() };
  }

  async function look(signal: AbortSignal): Promise<Stored<Lease> | undefined> {
    const lease = await client.find(leases, { namespace, name }, signal);
    if (lease === undefined) seen = undefined;
    else see(lease);
    return lease;
  }

  /** Writes our name into the Lease; throws `Conflict` or `AlreadyExists` when somebody was faster. */
  async function claim(lease: Stored<Lease> | undefined, signal: AbortSignal): Promise<void> {
    const sentAt = timers.now();
    const spec = claimed(lease?.spec, identity, pace.leaseDuration);
    const written =
      lease === undefined
        ? await client.create(leases, { metadata: { namespace, name }, spec }, { signal })
        : await client.replace(leases, { ...lease, spec }, { signal });
    see(written);
    renewedAt = sentAt;
  }

  /** One look, and one try if there is something to try. Else milliseconds until there may be. */
  async function tryOnce(disputed: boolean, signal: AbortSignal): Promise<Acquired | number> {
    const lease = await look(signal);
    const since = seen?.since ?? timers.now();
    // Ours from a term that we lost: nobody took it meanwhile, yet work of that term was cut short.
    const own = !disputed && holderOf(lease?.spec) === identity;
    const left = own ? 0 : since + expiresAfter(lease?.spec, pace.leaseDuration) - timers.now();
    if (left > 0) return left;
    const acquired = acquiredAs(lease?.spec);
    await claim(lease, signal);
    return acquired;
  }

  function tell(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    if (message !== trouble) log.warn({ lease: name, err: error }, 'cannot stand for the lease');
    trouble = message;
    const refused = error instanceof ApiError && error.code === 'ApiRefused';
    onRefused(refused ? message : undefined);
  }

  function tellWell(): void {
    if (trouble !== undefined) log.info({ lease: name }, 'standing for the lease again');
    trouble = undefined;
    onRefused(undefined);
  }

  /** After a failed renewal. */
  async function whoHolds(signal: AbortSignal): Promise<'we' | 'nobody' | 'another'> {
    const left = Math.max(0, Math.ceil(deadline() - timers.now()));
    try {
      const lease = await look(AbortSignal.any([signal, AbortSignal.timeout(left)]));
      // Deleted: our next claim must create it, and another may be faster.
      if (lease === undefined) return 'nobody';
      return holderOf(lease.spec) === identity ? 'we' : 'another';
    } catch {
      // No answer says nothing; the deadline decides.
      return 'we';
    }
  }

  return {
    deadline,

    async acquire(disputed, signal) {
      for (;;) {
        const changed = watch.changed();
        let pause = pace.retryPeriod;
        try {
          const result = await tryOnce(disputed, AbortSignal.any([signal, AbortSignal.timeout(pace.renewDeadline)]));
          tellWell();
          if (typeof result === 'string') return result;
          pause = Math.min(pause, result);
        } catch (error) {
          const outrun = isApiError(error, 'Conflict') || isApiError(error, 'AlreadyExists');
          if (!signal.aborted && !outrun) tell(error);
        }
        await wait(pause, AbortSignal.any([signal, changed]), timers);
        if (signal.aborted) return undefined;
      }
    },

    async keep(signal) {
      for (let pause = pace.retryPeriod; ; ) {
        const taken = watch.taken();
        const late = Math.max(0, deadline() - timers.now());
        await wait(Math.min(pause, late), AbortSignal.any([signal, taken]), timers);
        if (signal.aborted) return 'stopped';
        const left = deadline() - timers.now();
        // Also where this process was stopped and wakes only now: first of all it must stop writing.
        if (left <= 0) return 'late';
        pause = pace.retryPeriod;
        try {
          await claim(seen?.lease, AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(left))]));
        } catch (error) {
          if (signal.aborted) return 'stopped';
          log.warn({ lease: name, err: error }, 'cannot renew the lease');
          const holder = await whoHolds(signal);
          if (signal.aborted) return 'stopped';
          if (holder === 'another') return 'taken';
          if (holder === 'nobody') pause = 0;
        }
      }
    },

    async release() {
      const signal = AbortSignal.timeout(pace.stopWithin);
      const write = async () => {
        const lease = seen?.lease;
        if (lease?.spec === undefined || holderOf(lease.spec) !== identity) return;
        await client.replace(leases, { ...lease, spec: released(lease.spec) }, { signal });
        log.info({ lease: name }, 'lease released');
      };
      try {
        await write().catch(async (error) => {
          if (!isApiError(error, 'Conflict')) throw error;
          // Somebody has changed it, perhaps only a label.
          await look(signal);
          await write();
        });
      } catch (error) {
        log.warn({ lease: name, err: error }, 'cannot release the lease; others wait until it runs out');
      }
    },
  };
}
