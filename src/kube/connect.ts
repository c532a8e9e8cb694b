import type { Metrics } from '../lib/metrics.ts';
import { loadAccess } from './access.ts';
import { type Client, createClient } from './client.ts';
import { createTransport } from './transport.ts';

export interface ConnectOptions {
  /** File; undefined: as kubectl finds it, then the pod's service account. */
  readonly kubeconfig?: string | undefined;
  readonly userAgent: string;
  readonly metrics?: Metrics;
}

export interface Connection {
  readonly client: Client;
  /** Namespace of the kubeconfig's context or of the pod. */
  readonly namespace: string | undefined;
}

/** A client for the API server of `kubeconfig`; nothing is sent yet. Throws `InvalidArgument` when there is no such configuration. */
export async function connect({ kubeconfig, ...options }: ConnectOptions): Promise<Connection> {
  const access = await loadAccess(kubeconfig);
  return { client: createClient(createTransport({ ...options, access })), namespace: access.namespace };
}
