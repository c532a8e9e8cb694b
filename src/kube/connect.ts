import type { Metrics } from '../lib/metrics.ts';
import { loadAccess } from './access.ts';
import { type Client, createClient } from './client.ts';
import { fenced } from './fence.ts';
import { createTransport } from './transport.ts';

export interface ConnectOptions {
  /** File; undefined: as kubectl finds it, then the pod's service account. */
  readonly kubeconfig?: string | undefined;
  readonly userAgent: string;
  readonly metrics?: Metrics;
}

export interface Connection {
  readonly client: Client;
  /** The same client for a leader: once `mayWrite` is false it changes nothing any more (`Superseded`). Not to be closed. */
  readonly fenced: (mayWrite: () => boolean) => Client;
  /** Namespace of the kubeconfig's context or of the pod. */
  readonly namespace: string | undefined;
}

/** A client for the API server of `kubeconfig`; nothing is sent yet. Throws `InvalidArgument` when there is no such configuration. */
export async function connect({ kubeconfig, ...options }: ConnectOptions): Promise<Connection> {
  const access = await loadAccess(kubeconfig);
  const transport = createTransport({ ...options, access });
  return {
    client: createClient(transport),
    fenced: (mayWrite) => createClient(fenced(transport, mayWrite)),
    namespace: access.namespace,
  };
}
