import type { Log } from '../lib/log.ts';
import type { Metrics } from '../lib/metrics.ts';
import type { Client } from './client.ts';
import type { Controller } from './controller.ts';
import type { Informer } from './informer.ts';
import { type ElectionPace, runLeaderElection } from './leader-election.ts';

export interface OperatorOptions {
  readonly client: Client;
  /** Name of the Lease, and its namespace. */
  readonly name: string;
  readonly namespace: string;
  /** Unique to this process. */
  readonly identity: string;
  readonly informers: readonly Pick<Informer<never>, 'synced' | 'run'>[];
  readonly controllers: readonly Pick<Controller, 'run'>[];
  /** Work that goes on after the leadership was lost: the process should exit. */
  readonly onStuck: () => void;
  readonly log: Log;
  readonly metrics?: Metrics | undefined;
  readonly pace?: ElectionPace;
}

/**
 * Follows what the informers select and, once they have all of it, stands for the Lease; while this process holds it, the
 * controllers work. When `signal` aborts, they end first, then the Lease is given back; the client stays open.
 */
export async function runOperator(options: OperatorOptions, signal: AbortSignal): Promise<void> {
  const { informers, controllers } = options;
  const stop = new AbortController();
  const all = AbortSignal.any([signal, stop.signal]);
  const following = Promise.all(informers.map((informer) => informer.run(all)));
  const lead = async ({ signal: leading }: { readonly signal: AbortSignal }) => {
    await Promise.all(controllers.map((controller) => controller.run(leading)));
  };
  try {
    await Promise.race([Promise.all(informers.map(({ synced }) => synced)), following]);
    await runLeaderElection({ ...options, lead }, all);
  } finally {
    stop.abort();
    await following;
  }
}
