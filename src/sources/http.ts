import type { Egress } from '../core/bounds.ts';
import { createAddressGuard, type ResolveAll, resolveBySystem } from './http-address.ts';
import { announcedSize, conditionOf, errorOfStatus, validatorsOf } from './http-answer.ts';
import { type Patience, resumedBytes, tooLarge } from './http-body.ts';
import { type Agents, createAgents, createTrust, type Proxies } from './http-connect.ts';
import { createOpenUrl, giveUp, type Opened, type OpenUrl } from './http-open.ts';
import { parseSourceUrl } from './http-url.ts';
import type { FetchHttp, HttpAnswer, HttpJob } from './types.ts';

export interface FetchHttpOptions {
  /** From `readHttpEnvironment`; none by default. */
  readonly proxies?: Proxies;
  /** PEM; trusted besides Node's own authorities. */
  readonly extraCa?: readonly string[];
  /** Loopback is refused by default: what listens there trusts this machine. */
  readonly allowLoopback?: boolean;
  /** Milliseconds without a byte after which a server is given up. */
  readonly stall?: number;
  /** Milliseconds for resolving, connecting and TLS together. */
  readonly connectTimeout?: number;
  readonly patience?: Patience;
  /** The system's name service by default. */
  readonly resolve?: ResolveAll;
}

/** One for a process: its connections are shared by all jobs. Dispose of it to close them. */
export function createFetchHttp(options: FetchHttpOptions = {}): FetchHttp & AsyncDisposable {
  const { stall = 30_000, connectTimeout = 10_000, patience = { resumes: 20, delay: 500 } } = options;
  const proxies = options.proxies ?? { http: '', https: '', except: '' };
  const trust = createTrust(options.extraCa ?? []);
  /** A connection that was judged by one egress must not be used for another: each has agents of its own. */
  const byEgress = new Map<string, { readonly agents: Agents; readonly open: OpenUrl }>();

  function openFor(egress: Egress | undefined): OpenUrl {
    const key = JSON.stringify(egress ?? null);
    const known = byEgress.get(key);
    if (known !== undefined) return known.open;
    const guard = createAddressGuard(options.allowLoopback ?? false, options.resolve ?? resolveBySystem, egress);
    const agents = createAgents(guard, proxies, trust, connectTimeout);
    const open = createOpenUrl(agents, guard, stall, connectTimeout + stall);
    byEgress.set(key, { agents, open });
    return open;
  }

  /** Whoever gets `fetched` reads its bytes, or aborts `signal` to give them up. */
  async function fetchHttp(job: HttpJob, signal: AbortSignal): Promise<HttpAnswer> {
    const url = parseSourceUrl(job.url);
    const condition = conditionOf(job.known);
    const open = openFor(job.egress);
    const opened = await open(url, condition, signal);
    if (opened.status === 200) return fetched(opened);
    giveUp(opened.body);
    if (opened.status === 304 && Object.keys(condition).length > 0) return { outcome: 'unchanged' };
    throw errorOfStatus(opened.status, opened.fields, opened.where);

    function fetched({ fields, body, where }: Opened): HttpAnswer {
      const size = announcedSize(fields);
      if (size !== undefined && size > job.maxSize) {
        giveUp(body);
        throw tooLarge(where, job.maxSize, size);
      }
      const resume = (first: number, ifRange: string) =>
        open(url, { range: `bytes=${first}-`, 'if-range': ifRange }, signal);
      const bytes = resumedBytes(opened, job.maxSize, resume, patience, signal);
      return { outcome: 'fetched', sourceRevision: validatorsOf(fields).revision, size, bytes };
    }
  }

  return Object.assign(fetchHttp, {
    [Symbol.asyncDispose]: async () => {
      await Promise.all(byEgress.values().map(({ agents }) => agents.close()));
    },
  });
}
