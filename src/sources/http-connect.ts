import { createSecureContext, getCACertificates } from 'node:tls';
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
  readonly close: () => Promise<void>;
}

/**
 * The agents for all http sources of a process. What is reached directly is resolved by the guard; a proxy is the
 * administrator's own choice, wherever it lies, and resolves names itself. `connectTimeout`: milliseconds for resolving,
 * connecting and TLS together.
 */
export function createAgents(
  guard: AddressGuard,
  proxies: Proxies,
  extraCa: readonly string[],
  connectTimeout: number,
): Agents {
  // Parsed once: a hundred and fifty roots for every connection would cost more than the handshake.
  const secureContext = createSecureContext({ ca: [...getCACertificates('default'), ...extraCa] });
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
    close: async () => {
      await Promise.all([http.destroy(), https.destroy()]);
    },
  };
}
