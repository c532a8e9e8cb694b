import { createHash, X509Certificate } from 'node:crypto';
import type { TlsOptions } from 'node:tls';
import type { KubeConfig } from '@kubernetes/client-node';
import { errnoOf, GuestStoreError, messageOf } from '../lib/errors.ts';
import { createKubeconfigLoader } from './kubeconfig.ts';
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
  /** Whose these are, for messages: the user and where it is written down, and what is plainly wrong with it. */
  readonly who: string;
  /** Equal exactly when server, TLS material and proxy are: one pool of connections serves all of them. */
  readonly connection: string;
}

export type Tls = Pick<TlsOptions, 'ca' | 'cert' | 'key' | 'passphrase' | 'rejectUnauthorized'> & {
  readonly servername?: string;
};

/** Who we are to which API server. */
export interface Access {
  /**
   * Read anew once a minute: tokens, certificates and exec plugins' answers all run out. Throws `ApiUnavailable` when they
   * cannot be had now, whosever fault it is: a later call tries again.
   */
  credentials(): Promise<Credentials>;
  /** The server did not accept `used`, or was not believed with it: reads everything again, unless somebody else did meanwhile. */
  renew(used: Credentials): Promise<void>;
  /** Namespace of the kubeconfig's context or of the pod. */
  readonly namespace: string | undefined;
}

/** Milliseconds. */
const freshFor = 60_000;
/** Milliseconds that an exec plugin has to answer. */
const patience = 60_000;

/**
 * Access by a kubeconfig file, or without one as kubectl finds it (`KUBECONFIG`, the home folder, the pod's service account).
 * Throws `InvalidArgument` when there is none, or it leads nowhere.
 */
export async function loadAccess(kubeconfig?: string, timers: Timers = systemTimers): Promise<Access> {
  const load = await createKubeconfigLoader(kubeconfig);
  return createAccess(load, kubeconfig ?? 'the default kubeconfig', timers);
}

/** The same on any source of client-node's KubeConfig; `load` is called again when the credentials were not accepted. */
export function createAccess(load: () => KubeConfig, where = 'the kubeconfig', timers: Timers = systemTimers): Access {
  let config = load();
  let reading: Promise<Credentials> | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  /** What the plugin gave was of no use: client-node would keep it. */
  let spoilt = false;

  async function read(): Promise<Credentials> {
    try {
      if (spoilt) config = load();
      spoilt = false;
      return await withinTime(readCredentials(config, where), timers);
    } catch (error) {
      spoilt = true;
      throw new GuestStoreError('ApiUnavailable', `${whoIn(config, where)}: ${reasonOf(config, error)}`, {
        cause: error,
      });
    }
  }

  function credentials(): Promise<Credentials> {
    if (reading !== undefined && timers.now() - readAt < freshFor) return reading;
    readAt = timers.now();
    const attempt = read();
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
      if (reading !== undefined && (await reading.catch(() => used)) !== used) return;
      spoilt = true;
      reading = undefined;
    },
    namespace: config.getContextObject(config.currentContext)?.namespace,
  };
}

function withinTime<T>(promise: Promise<T>, timers: Timers): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const cancel = timers.after(patience, () => reject(new Error(`no answer within ${patience / 1000} s`)));
  return Promise.race([promise, late]).finally(cancel);
}

function whoIn(config: KubeConfig, where: string): string {
  const user = config.getCurrentUser();
  if (user === null) return `nobody (${where} names no user)`;
  const command: unknown = user.exec?.command;
  const plugin = typeof command === 'string' ? `, exec plugin "${command}"` : '';
  return `user "${user.name}" of ${where}${plugin}`;
}

/** Why there are no credentials, and the way out. */
function reasonOf(config: KubeConfig, error: unknown): string {
  if (error instanceof GuestStoreError) return error.message;
  const plugin = config.getCurrentUser()?.exec !== undefined && config.getCurrentUser()?.exec !== null;
  if (!plugin) return messageOf(error);
  if (errnoOf(error) === 'ENOENT') return 'no such command; install it, or correct users[].user.exec.command';
  if (error instanceof SyntaxError || error instanceof TypeError)
    return 'what it printed is no ExecCredential; run it by hand to see what it says instead';
  return `it failed: ${messageOf(error).trim().slice(0, 500) || 'it printed no reason'}`;
}

async function readCredentials(config: KubeConfig, where: string): Promise<Credentials> {
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error('it has no current cluster');
  const options: Parameters<KubeConfig['applyToHTTPSOptions']>[0] = {};
  await config.applyToHTTPSOptions(options);
  const dispatcher = config.createDispatcherOptions(cluster, options as Tls);
  const proxy = dispatcher.type === 'proxy' ? dispatcher.uri : undefined;
  const tls = tlsOf(options as Tls);
  const server = cluster.server.replace(/\/+$/, '');
  const headers = { ...(options.headers as Record<string, string> | undefined) };
  if (typeof options.auth === 'string') headers.Authorization = `Basic ${Buffer.from(options.auth).toString('base64')}`;
  const who = `${whoIn(config, where)}${expiryOf(tls.cert)}`;
  return { server, headers, tls, proxy, who, connection: fingerprint([server, proxy, tls]) };
}

/** What to say of a client certificate whose time is over; the server only says 401. */
function expiryOf(cert: Tls['cert']): string {
  if (typeof cert !== 'string' && !Buffer.isBuffer(cert)) return '';
  const { validTo, validToDate } = new X509Certificate(cert);
  return validToDate.getTime() < Date.now() ? `, whose client certificate ran out on ${validTo}: get a new one` : '';
}

function tlsOf({ ca, cert, key, passphrase, rejectUnauthorized, servername }: Tls): Tls {
  const all = { ca, cert, key, passphrase, rejectUnauthorized, servername };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

function fingerprint(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}
