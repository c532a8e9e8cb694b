import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { GuestStoreError, messageOf } from './errors.ts';
import { answerProbe, type Probes } from './health.ts';
import { watchLoopDelay } from './loop-delay.ts';
import { type Metrics, metricsContentType } from './metrics.ts';
import { registerProcessMetrics } from './process-metrics.ts';

export interface MetricsServer extends AsyncDisposable {
  /** `host:port` as it was bound; undefined when no port was asked for. */
  readonly address: string | undefined;
}

/** What no address names. */
const nowhere = new URL('http://localhost/-');

export interface MetricsServerOptions {
  /** `HOST:PORT`, `[IPV6]:PORT` or `:PORT` for every interface; port 0 takes a free one. Undefined: no port opens. */
  readonly address: string | undefined;
  readonly metrics: Metrics;
  /** First word of the names of metrics of this process. */
  readonly prefix: 'gueststore' | 'gstored';
  readonly version: string;
  readonly probes: Probes;
}

/**
 * Serves `/metrics` (with what every process has beside them), `/healthz` and `/readyz`. Throws `InvalidArgument` for an
 * address that is none or cannot be had.
 */
export async function serveMetrics(options: MetricsServerOptions): Promise<MetricsServer> {
  const { address, metrics, prefix, version, probes } = options;
  if (address === undefined) return { address: undefined, [Symbol.asyncDispose]: () => Promise.resolve() };
  const { host, port } = parseAddress(address);
  await using stack = new AsyncDisposableStack();
  const loop = stack.use(watchLoopDelay({ metrics, prefix }));
  stack.use(registerProcessMetrics(metrics));
  metrics.gauge(`${prefix}_build_info`, 'Version of this program.').set(1, { version });
  const alive = [loop.check, ...probes.alive];
  const server = createServer((request, response) => {
    const { pathname, searchParams } = URL.parse(request.url ?? '/', 'http://localhost') ?? nowhere;
    const answer = (status: number, type: string, body: string) =>
      response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) }).end(body);
    const answerChecks = (probe: 'healthz' | 'readyz') => {
      const { status, body } = answerProbe(probe, probe === 'healthz' ? alive : probes.ready, searchParams);
      answer(status, 'text/plain; charset=utf-8', body);
    };
    if (pathname === '/metrics') answer(200, metricsContentType, metrics.render());
    else if (pathname === '/healthz') answerChecks('healthz');
    else if (pathname === '/readyz') answerChecks('readyz');
    else answer(404, 'text/plain', 'not found\n');
  });
  await listen(server, host, port, address);
  stack.defer(() => close(server));
  const bound = server.address() as AddressInfo;
  const kept = stack.move();
  return {
    address: `${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function parseAddress(address: string): { readonly host: string | undefined; readonly port: number } {
  const [, host = '', port = ''] = /^(.*):(\d{1,5})$/.exec(address) ?? [];
  if (port === '' || Number(port) > 65_535 || (host.includes(':') && !/^\[[^\]]+\]$/.test(host))) {
    throw new GuestStoreError('InvalidArgument', `--metrics ${address}: write HOST:PORT, [IPV6]:PORT or :PORT`);
  }
  return { host: host === '' ? undefined : host.replace(/^\[|\]$/g, ''), port: Number(port) };
}

function listen(server: Server, host: string | undefined, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(new GuestStoreError('InvalidArgument', `--metrics ${address}: ${messageOf(error)}`, { cause: error })),
    );
    server.listen({ port, ...(host === undefined ? {} : { host }) }, resolve);
  });
}

function close(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
