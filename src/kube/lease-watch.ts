import type { Log } from '../lib/log.ts';
import type { Client } from './client.ts';
import { createInformer } from './informer.ts';
import { leases } from './resource.ts';

/** Tells of changes of one Lease at once. Should the watch be refused, whoever waits has a clock of his own. */
export interface LeaseWatch extends AsyncDisposable {
  /** A signal that aborts with the next change. */
  changed(): AbortSignal;
  /** A signal that aborts with the next change after which the Lease is not held by `identity`. */
  taken(): AbortSignal;
}

export interface LeaseWatchOptions {
  readonly client: Client;
  readonly namespace: string;
  readonly name: string;
  readonly identity: string;
  readonly log: Log;
}

export function watchLease(options: LeaseWatchOptions, signal: AbortSignal): LeaseWatch {
  const { client, namespace, name, identity, log } = options;
  const stop = new AbortController();
  const changes = createBell();
  const losses = createBell();
  const informer = createInformer({ client, resource: leases, namespace, fieldSelector: `metadata.name=${name}`, log });
  informer.onChange((change) => {
    changes.ring();
    if (change.type === 'deleted' || change.object.spec?.holderIdentity !== identity) losses.ring();
  });
  const running = informer.run(AbortSignal.any([signal, stop.signal]));
  return {
    changed: changes.next,
    taken: losses.next,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

interface Bell {
  ring(): void;
  /** Aborts with the next ring. */
  next(): AbortSignal;
}

function createBell(): Bell {
  let coming = new AbortController();
  return {
    ring() {
      coming.abort();
      coming = new AbortController();
    },
    next: () => coming.signal,
  };
}
