import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { GuestStoreError, messageOf } from './errors.ts';
import { type Metrics, metricsContentType } from './metrics.ts';

export interface MetricsServer extends AsyncDisposable {
  /** `host:port` as it was bound; undefined when no port was asked for. */
  readonly address: string | undefined;
}

/**
 * Serves `/metrics`, `/healthz` (the process answers) and `/readyz` (503 until `ready`) at `address`, which is `HOST:PORT`,
 * `[IPV6]:PORT` or `:PORT` for every interface; port 0 takes a free one. Without an address no port opens. Throws
 * `InvalidArgument` for an address that is none or cannot be had.
 */
export async function serveMetrics(
  address: string | undefined,
  metrics: Metrics,
  ready: () => boolean,
): Promise<MetricsServer> {
  if (address === undefined) return { address: undefined, [Symbol.asyncDispose]: () => Promise.resolve() };
  const { host, port } = parseAddress(address);
  const server = createServer((request, response) => {
    const path = (request.url ?? '').replace(/\?.*$/, '');
    const answer = (status: number, type: string, body: string) =>
      response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) }).end(body);
    if (path === '/metrics') answer(200, metricsContentType, metrics.render());
    else if (path === '/healthz') answer(200, 'text/plain', 'ok\n');
    else if (path === '/readyz') answer(ready() ? 200 : 503, 'text/plain', ready() ? 'ok\n' : 'not ready\n');
    else answer(404, 'text/plain', 'not found\n');
  });
  await listen(server, host, port, address);
  const bound = server.address() as AddressInfo;
  return {
    address: `${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`,
    [Symbol.asyncDispose]: () => close(server),
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
