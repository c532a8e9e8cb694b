import { createHash } from 'node:crypto';
import type { TlsOptions } from 'node:tls';
import type { KubeConfig } from '@kubernetes/client-node';
import { GuestStoreError, messageOf } from '../lib/errors.ts';
import { systemTimers, type Timers } from './timers.ts';

/** What one connection needs: read once, good until something on disk or at the provider changes. */
export interface Credentials {
  /** URL without a trailing slash; may have a path. */
  readonly server: string;
  /** `Authorization`, where there is any. */
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: Tls;
  /** URL of an HTTP proxy. */
  readonly proxy: string | undefined;
  /** Equal exactly when server, TLS material and proxy are: one pool of connections serves all of them. */
  readonly connection: string;
}

export type Tls = Pick<TlsOptions, 'ca' | 'cert' | 'key' | 'passphrase' | 'rejectUnauthorized'> & {
  readonly servername?: string;
};

/** Who we are to which API server. */
export interface Access {
  /** Read anew once a minute: tokens, certificates and exec plugins' answers all run out. */
  credentials(): Promise<Credentials>;
  /** The server said 401 to `used`: reads everything again, unless somebody else did meanwhile. */
  renew(used: Credentials): Promise<void>;
  /** Namespace of the kubeconfig's context or of the pod. */
  readonly namespace: string | undefined;
}

const freshFor = 60_000;

/**
 * Access by a kubeconfig file, or without one as kubectl finds it (`KUBECONFIG`, the home folder, the pod's service account).
 * Throws `InvalidArgument` when there is none.
 */
export async function loadAccess(kubeconfig?: string, timers: Timers = systemTimers): Promise<Access> {
  // Half a second and 60 MB of generated models, which only those pay who need a cluster.
  const { KubeConfig } = await import('@kubernetes/client-node');
  const load = () => {
    const config = new KubeConfig();
    if (kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(kubeconfig);
    return config;
  };
  return createAccess(readable(load, kubeconfig), timers);
}

/** The same on any source of client-node's KubeConfig; `load` is called again after a 401. */
export function createAccess(load: () => KubeConfig, timers: Timers = systemTimers): Access {
  let config = load();
  let reading: Promise<Credentials> | undefined;
  let readAt = Number.NEGATIVE_INFINITY;

  function credentials(): Promise<Credentials> {
    if (reading !== undefined && timers.now() - readAt < freshFor) return reading;
    readAt = timers.now();
    const attempt = readCredentials(config);
    reading = attempt;
    // A failure is for those who wait for it now; the next caller tries again.
    attempt.catch(() => {
      if (reading === attempt) reading = undefined;
    });
    return attempt;
  }

  return {
    credentials,
    async renew(used) {
      if (reading !== undefined && (await reading) !== used) return;
      config = load();
      reading = undefined;
    },
    namespace: config.getContextObject(config.currentContext)?.namespace,
  };
}

function readable(load: () => KubeConfig, kubeconfig: string | undefined): () => KubeConfig {
  const where = kubeconfig ?? 'the default kubeconfig or the service account of this pod';
  return () => {
    let config: KubeConfig;
    try {
      config = load();
    } catch (error) {
      throw new GuestStoreError('InvalidArgument', `cannot read ${where}: ${messageOf(error)}`, { cause: error });
    }
    const cluster = config.getCurrentCluster();
    // What client-node falls back to when it finds nothing at all.
    if (cluster === null || cluster.server === 'http://localhost:8080')
      throw new GuestStoreError(
        'InvalidArgument',
        `${where} names no cluster; give --kubeconfig FILE or set KUBECONFIG`,
      );
    return config;
  };
}

async function readCredentials(config: KubeConfig): Promise<Credentials> {
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new GuestStoreError('InvalidArgument', 'the kubeconfig has no current cluster');
  const options: Parameters<KubeConfig['applyToHTTPSOptions']>[0] = {};
  await config.applyToHTTPSOptions(options);
  const dispatcher = config.createDispatcherOptions(cluster, options as Tls);
  if (dispatcher.type === 'socks')
    throw new GuestStoreError(
      'InvalidArgument',
      `proxy ${dispatcher.uri}: SOCKS proxies are not supported; use an HTTP proxy`,
    );
  const proxy = dispatcher.type === 'proxy' ? dispatcher.uri : undefined;
  const tls = tlsOf(options as Tls);
  const server = cluster.server.replace(/\/+$/, '');
  const headers = { ...(options.headers as Record<string, string> | undefined) };
  if (typeof options.auth === 'string') headers.Authorization = `Basic ${Buffer.from(options.auth).toString('base64')}`;
  return { server, headers, tls, proxy, connection: fingerprint([server, proxy, tls]) };
}

function tlsOf({ ca, cert, key, passphrase, rejectUnauthorized, servername }: Tls): Tls {
  const all = { ca, cert, key, passphrase, rejectUnauthorized, servername };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

function fingerprint(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}
