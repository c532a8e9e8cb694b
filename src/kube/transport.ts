import { Agent, type Dispatcher, ProxyAgent, request } from 'undici';
import { GuestStoreError, messageOf } from '../lib/errors.ts';
import type { Counter, Metrics } from '../lib/metrics.ts';
import type { Access, Credentials } from './access.ts';
import { ApiError, parseStatus } from './api-error.ts';
import { guarded } from './guarded.ts';
import { createOutageWatch } from './outage.ts';
import { systemTimers, type Timers, wait } from './timers.ts';

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Absolute, already encoded. */
  readonly path: string;
  /** Undefined values are left out. */
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  /** Doing it twice is as good as once: it may be tried again when no answer came. */
  readonly idempotent: boolean;
  /** Asked in the moment in which the request would leave; when it says false, nothing does: `Superseded`. */
  readonly mayBegin?: () => boolean;
}

export interface Transport extends AsyncDisposable {
  /** The answer's body. Throws `ApiError`, or `GuestStoreError` with code `Aborted` when `signal` did. */
  call(call: Call, signal?: AbortSignal): Promise<string>;
  /** The answer's body as it comes, on connections of its own; it has no end that we know of. */
  stream(call: Call, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** A signal that aborts when the server next answers anybody after it has answered nobody for a while. */
  backAgain(): AbortSignal;
  close(): Promise<void>;
}

export interface TransportOptions {
  readonly access: Access;
  readonly userAgent: string;
  readonly metrics?: Metrics;
  /** Milliseconds for one attempt at a call, and for the head of a stream. */
  readonly timeout?: number;
  /** Connections for calls at the same time; more calls wait. */
  readonly connections?: number;
  readonly random?: () => number;
  readonly timers?: Timers;
}

interface Pool {
  readonly connection: string;
  readonly calls: Dispatcher;
  /** Watches hold their connection for minutes: they must not take those of calls. */
  readonly streams: Dispatcher;
}

const attempts = 4;
/** Milliseconds; the wait before a second attempt is random up to the first, doubling to the other. */
const firstWait = 250;
const longestWait = 5_000;

export function createTransport(options: TransportOptions): Transport {
  const { access, userAgent, timeout = 30_000, random = Math.random, timers = systemTimers } = options;
  const outage = createOutageWatch(timers);
  const requests = options.metrics?.counter('rest_client_requests_total', 'Requests to the API server by result.');
  const closing = new AbortController();
  let pool: Pool | undefined;

  function poolFor(credentials: Credentials): Pool {
    if (pool?.connection === credentials.connection) return pool;
    // Calls under way end on the old connections.
    if (pool !== undefined) void closePool(pool);
    pool = createPool(credentials, options.connections ?? 32);
    return pool;
  }

  async function send(call: Call, kind: 'calls' | 'streams', signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const credentials = await access.credentials();
    const pooled = poolFor(credentials)[kind];
    const response = await request(urlOf(credentials.server, call), {
      dispatcher: call.mayBegin === undefined ? pooled : guarded(pooled, call.mayBegin),
      method: call.method,
      headers: headersOf(call, userAgent, credentials),
      body: call.body === undefined ? null : JSON.stringify(call.body),
      signal,
      headersTimeout: timeout,
      bodyTimeout: kind === 'streams' ? 0 : timeout,
    }).catch(async (error: unknown) => {
      if (!isTlsFailure(error)) throw error;
      // A CA that was rotated lies on disk already.
      await access.renew(credentials);
      throw untrusted(call, credentials, error);
    });
    count(requests, call, credentials, `${response.statusCode}`);
    // These are what a load balancer says in the server's stead, and the server in etcd's.
    if ([502, 503, 504].includes(response.statusCode)) outage.unanswered();
    else outage.answered();
    if (response.statusCode === 401) {
      await access.renew(credentials);
      throw unauthorized(call, credentials, await response.body.text());
    }
    return response;
  }

  async function attempt(call: Call, signal: AbortSignal): Promise<string> {
    const late = AbortSignal.timeout(timeout);
    try {
      const response = await send(call, 'calls', AbortSignal.any([signal, late]));
      const text = await response.body.text();
      if (response.statusCode >= 400) throw refusal(call, response, text);
      return text;
    } catch (error) {
      throw unanswered(failure(call, error, signal, late), signal);
    }
  }

  /** Takes note where there was no answer; a caller who set a time limit of his own has waited for one too. */
  function unanswered(error: GuestStoreError, signal: AbortSignal): GuestStoreError {
    const noAnswer = error instanceof ApiError && error.status === 0;
    if (noAnswer || (signal.aborted && isTimeout(signal.reason))) outage.unanswered();
    return error;
  }

  return {
    async call(call, caller) {
      const signal = caller === undefined ? closing.signal : AbortSignal.any([caller, closing.signal]);
      for (let tried = 1; ; tried += 1) {
        try {
          return await attempt(call, signal);
        } catch (error) {
          if (tried >= attempts || !mayTryAgain(call, error, tried)) throw error;
          const jittered = random() * Math.min(firstWait * 2 ** (tried - 1), longestWait);
          if (!(await wait(Math.max(jittered, retryAfterOf(error)), signal))) throw aborted(call, signal);
        }
      }
    },
    async stream(call, caller) {
      const signal = AbortSignal.any([caller, closing.signal]);
      const never = new AbortController().signal;
      try {
        const response = await send(call, 'streams', signal);
        if (response.statusCode >= 400) throw refusal(call, response, await response.body.text());
        return chunksOf(call, response.body, signal);
      } catch (error) {
        throw unanswered(failure(call, error, signal, never), signal);
      }
    },
    backAgain: outage.ended,
    close,
    [Symbol.asyncDispose]: close,
  };

  async function close(): Promise<void> {
    closing.abort(new GuestStoreError('Aborted', 'the client was closed'));
    if (pool !== undefined) await closePool(pool);
  }
}

async function* chunksOf(call: Call, body: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncIterable<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    throw failure(call, error, signal, new AbortController().signal);
  }
}

function createPool({ connection, tls, proxy }: Credentials, connections: number): Pool {
  const connect = { ...tls, keepAlive: true, keepAliveInitialDelay: 15_000, timeout: 10_000 };
  const create = (limit: number | null): Dispatcher => {
    // HTTP/2 would put all on one connection, and giving up a request does not close it: one that is half open would be
    // taken again and again.
    const options = { connections: limit, keepAliveTimeout: 60_000, pipelining: 1, allowH2: false };
    return proxy === undefined
      ? new Agent({ ...options, connect })
      : new ProxyAgent({ ...options, uri: proxy, requestTls: connect, connect });
  };
  return { connection, calls: create(connections), streams: create(null) };
}

async function closePool({ calls, streams }: Pool): Promise<void> {
  await Promise.all([calls.close(), streams.close()]);
}

function urlOf(server: string, { path, query = {} }: Call): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, `${value}`);
  return parameters.size === 0 ? `${server}${path}` : `${server}${path}?${parameters}`;
}

function headersOf(call: Call, userAgent: string, { headers }: Credentials): Record<string, string> {
  const all: Record<string, string> = {
    ...headers,
    accept: call.accept ?? 'application/json',
    'user-agent': userAgent,
  };
  if (call.body !== undefined) all['content-type'] = call.contentType ?? 'application/json';
  return all;
}

/** A 401 was not acted on, and the credentials are new now; so was a 429. Else only what may be done twice. */
function mayTryAgain(call: Call, error: unknown, tried: number): boolean {
  if (!(error instanceof ApiError)) return false;
  if (error.status === 401) return tried === 1;
  // Where there was no connection nothing was sent.
  if (error.status === 429 || error.reason === 'Untrusted') return true;
  return call.idempotent && (error.status === 0 || error.status === 502 || error.status === 503);
}

function retryAfterOf(error: unknown): number {
  return error instanceof ApiError ? (error.retryAfter ?? 0) : 0;
}

function refusal(call: Call, { statusCode, headers }: Dispatcher.ResponseData, text: string): ApiError {
  const seconds = Number(headers['retry-after']);
  const retryAfter = Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined;
  return new ApiError(statusCode, parseStatus(text), whatOf(call), retryAfter);
}

function unauthorized(call: Call, { who }: Credentials, text: string): ApiError {
  const body = parseStatus(text);
  const message = `${body.message ?? 'Unauthorized'}: the server does not accept ${who}`;
  return new ApiError(401, { ...body, message }, whatOf(call));
}

/** OpenSSL's and Node's names for a certificate or a handshake that is wrong. */
function isTlsFailure(error: unknown): error is Error {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^(CERT_|DEPTH_ZERO_|ERR_SSL_|ERR_TLS_|SELF_SIGNED_|UNABLE_TO_)/.test(code);
}

function untrusted(call: Call, { server, who }: Credentials, cause: Error): ApiError {
  const message = `no trust in ${server}: ${cause.message}; the CA that counts is that of the cluster of ${who}`;
  return new ApiError(0, { reason: 'Untrusted', message }, whatOf(call), undefined, { cause });
}

/** Whatever was thrown below, as one of the two errors that callers know. */
function failure(call: Call, thrown: unknown, signal: AbortSignal, late: AbortSignal): GuestStoreError {
  if (thrown instanceof GuestStoreError) return thrown;
  if (signal.aborted) return aborted(call, signal);
  const reason = late.aborted ? 'Timeout' : 'Unreachable';
  return new ApiError(0, { reason, message: messageOf(thrown) }, whatOf(call), undefined, { cause: thrown });
}

function aborted(call: Call, signal: AbortSignal): GuestStoreError {
  return new GuestStoreError('Aborted', `${whatOf(call)}: given up`, { cause: signal.reason });
}

/** What `AbortSignal.timeout` gives as its reason. */
function isTimeout(reason: unknown): boolean {
  return reason instanceof Error && reason.name === 'TimeoutError';
}

/** How errors name a call. */
export function whatOf({ method, path }: Call): string {
  return `${method} ${path}`;
}

function count(requests: Counter | undefined, { method }: Call, { server }: Credentials, code: string): void {
  requests?.add({ code, method, host: new URL(server).host });
}
