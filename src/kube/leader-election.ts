import { GuestStoreError } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { Metrics } from '../lib/metrics.ts';
import { type Candidate, createCandidate, type ElectionPace } from './candidate.ts';
import type { Client } from './client.ts';
import type { Acquired } from './lease.ts';
import { watchLease } from './lease-watch.ts';
import { systemTimers, type Timers } from './timers.ts';

export type { ElectionPace } from './candidate.ts';
export type { Acquired } from './lease.ts';

export interface Leadership {
  /** Aborts when leading is to end: what has not begun shall not begin. */
  readonly signal: AbortSignal;
  /**
   * Aborts the moment that the leadership is lost, or might be: nothing may be written any more. While only `signal` has
   * aborted, the Lease is still held, and what is under way may be brought to its end.
   */
  readonly lost: AbortSignal;
  readonly acquired: Acquired;
  /**
   * False as soon as the last renewal is too old, also when no timer has run yet (a stopped process that just woke). To be
   * asked before each write.
   */
  holds(): boolean;
}

export interface LeaderElectionOptions {
  readonly client: Client;
  readonly namespace: string;
  readonly name: string;
  /** Unique to this process. */
  readonly identity: string;
  /**
   * The leader's work: ends soon after its signal aborts. A failure with code `Superseded` (somebody else does the work)
   * is a loss; any other ends the election, after the Lease was given back.
   */
  readonly lead: (leadership: Leadership) => Promise<void>;
  /** Work that has not ended 5 s after the leadership was lost: the process should exit. */
  readonly onStuck: () => void;
  /** Why this process cannot even stand, when the server refuses it that; undefined once it can. */
  readonly onRefused?: (message: string | undefined) => void;
  readonly log: Log;
  readonly metrics?: Metrics | undefined;
  readonly pace?: ElectionPace;
  readonly timers?: Timers;
}

/** Milliseconds: 15 s, renewed within 10 s, every 2 s, as other controllers have it. */
export const usualLeaseDuration = 15_000;

/** The same proportions for another duration of the Lease. */
export function electionPace(leaseDuration: number): ElectionPace {
  return {
    leaseDuration,
    renewDeadline: Math.round((leaseDuration * 2) / 3),
    retryPeriod: Math.round((leaseDuration * 2) / 15),
    stopWithin: Math.round(leaseDuration / 3),
  };
}

/**
 * Stands for the Lease until `signal` aborts: leads while it holds it, and stands again after a loss. Gives the Lease back
 * when the work has ended. Rejects with what `lead` threw.
 */
export async function runLeaderElection(options: LeaderElectionOptions, signal: AbortSignal): Promise<void> {
  const {
    name,
    identity,
    log,
    pace = electionPace(usualLeaseDuration),
    timers = systemTimers,
    onRefused = () => {},
  } = options;
  const status = options.metrics?.gauge('leader_election_master_status', 'Whether this process is the leader.');
  const labels = { name };
  // It outlives `signal`: until the Lease is given back it has to be kept.
  await using watch = watchLease(options, new AbortController().signal);
  const candidate = createCandidate({ ...options, pace, timers, watch, onRefused });
  let disputed = false;
  status?.set(0, labels);

  while (!signal.aborted) {
    const acquired = await candidate.acquire(disputed, signal);
    if (acquired === undefined) return;
    log.info({ lease: name, identity, acquired }, 'leading');
    status?.set(1, labels);
    const end = await leadOneTerm(options, pace, timers, candidate, acquired, signal).finally(() =>
      status?.set(0, labels),
    );
    disputed = end === 'superseded';
  }
}

type EndOfTerm = 'stopped' | 'lost' | 'superseded';

async function leadOneTerm(
  { lead, log, name, onStuck }: LeaderElectionOptions,
  pace: ElectionPace,
  timers: Timers,
  candidate: Candidate,
  acquired: Acquired,
  signal: AbortSignal,
): Promise<EndOfTerm> {
  const loss = new AbortController();
  const lost = loss.signal;
  const ended = new AbortController();
  let cancelStuck = () => {};
  function lose(reason: unknown): void {
    if (lost.aborted || ended.signal.aborted) return;
    log.error({ lease: name, err: reason }, 'leadership lost');
    cancelStuck = timers.after(pace.stopWithin, onStuck);
    loss.abort(reason);
  }
  const superseded = (how: string) => new GuestStoreError('Superseded', `Lease ${name} ${how}`);
  function holds(): boolean {
    if (timers.now() >= candidate.deadline()) lose(superseded('was not renewed in time'));
    return !lost.aborted && !ended.signal.aborted;
  }

  const renewing = candidate.keep(ended.signal).then((end) => {
    if (end === 'late') lose(superseded('could not be renewed in time'));
    if (end === 'taken') lose(superseded('was taken by another'));
  });
  const leading = AbortSignal.any([signal, lost]);
  let disputed = false;
  try {
    await lead({ signal: leading, lost, acquired, holds });
  } catch (error) {
    const code = error instanceof GuestStoreError ? error.code : undefined;
    disputed = code === 'Superseded' && !lost.aborted;
    if (code === 'Superseded') lose(error);
    // Work that was told to end may end by throwing that.
    else if (code !== 'Aborted' || !leading.aborted) throw error;
  } finally {
    cancelStuck();
    ended.abort();
    await renewing;
    // Only now can nothing of ours write any more.
    if (!lost.aborted) await candidate.release();
  }
  if (lost.aborted) return disputed ? 'superseded' : 'lost';
  // Work that ends by itself while it leads wants no second term.
  if (!signal.aborted) throw new GuestStoreError('Internal', `the work under Lease ${name} ended by itself`);
  return 'stopped';
}
