import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { type Dispatcher, EnvHttpProxyAgent } from 'undici';
import type { AddressGuard } from './http-address.ts';

/** As the usual environment variables give them; empty for none. */
export interface Proxies {
  readonly http: string;
  readonly https: string;
  /** Hosts that are reached directly, in NO_PROXY's form. */
  readonly except: string;
}

export interface Agents {
  readonly forUrl: (url: URL) => Dispatcher;
  /** Whether there is a proxy for it, NO_PROXY aside. */
  readonly proxied: (url: URL) => boolean;
  readonly close: () => Promise<void>;
}

/** Parsed once: a hundred and fifty roots for every connection would cost more than the handshake. */
export function createTrust(extraCa: readonly string[]): SecureContext {
  return createSecureContext({ ca: [...getCACertificates('default'), ...extraCa] });
}

/**
 * The agents for all http sources under one guard. What is reached directly is resolved by the guard; a proxy is the
 * administrator's own choice, wherever it lies, and resolves names itself. `connectTimeout`: milliseconds for resolving,
 * connecting and TLS together.
 */
export function createAgents(
  guard: AddressGuard,
  proxies: Proxies,
  secureContext: SecureContext,
  connectTimeout: number,
): Agents {
  // Said here, so that NODE_TLS_REJECT_UNAUTHORIZED=0 cannot unsay it.
  const tls = { secureContext, rejectUnauthorized: true, allowH2: false, timeout: connectTimeout };
  const agent = (proxy: string) =>
    new EnvHttpProxyAgent({
      allowH2: false,
      connect: { ...tls, lookup: guard.lookup },
      requestTls: tls,
      proxyTls: tls,
      httpProxy: proxy,
      httpsProxy: proxy,
      noProxy: proxies.except,
    });
  // Two, since one alone would send https to HTTP_PROXY where HTTPS_PROXY is not set.
  const http = agent(proxies.http);
  const https = agent(proxies.https);
  return {
    forUrl: (url) => (url.protocol === 'https:' ? https : http),
    proxied: (url) => (url.protocol === 'https:' ? proxies.https : proxies.http) !== '',
    close: async () => {
      await Promise.all([http.destroy(), https.destroy()]);
    },
  };
}
