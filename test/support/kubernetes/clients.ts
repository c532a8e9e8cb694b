import { KubeConfig } from '@kubernetes/client-node';
import { createAccess } from '../../../src/kube/access.ts';
import { type Client, createClient } from '../../../src/kube/client.ts';
import { createTransport, type Transport } from '../../../src/kube/transport.ts';
import type { Cluster } from './api-server.ts';

export interface ClientFor {
  /** Another way to the same server: a proxy. */
  readonly url?: string;
  readonly token?: string;
  readonly userAgent?: string;
  /** Milliseconds. */
  readonly timeout?: number;
}

/** A client of ours, as admin unless said otherwise. */
export function clientFor(cluster: Cluster, options: ClientFor = {}): Client {
  return createClient(transportFor(cluster, options));
}

export function transportFor(cluster: Cluster, options: ClientFor = {}): Transport {
  const { url = cluster.url, token = cluster.tokens.admin, userAgent = 'test' } = options;
  const config = new KubeConfig();
  const caData = Buffer.from(cluster.ca).toString('base64');
  const plain = url.startsWith('http:');
  config.loadFromClusterAndUser(
    plain
      ? { name: 'test', server: url, skipTLSVerify: true }
      : { name: 'test', server: url, caData, skipTLSVerify: false },
    { name: 'test', token },
  );
  const timeout = options.timeout === undefined ? {} : { timeout: options.timeout };
  return createTransport({ access: createAccess(() => config), userAgent, ...timeout });
}

export function portOf(cluster: Cluster): number {
  return Number(new URL(cluster.url).port);
}
