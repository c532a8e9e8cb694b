import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import { type AddressInfo, connect } from 'node:net';

export interface HttpProxy extends AsyncDisposable {
  readonly url: string;
  /** `CONNECT host:port` for tunnels, `GET http://host/path` for forwarded requests, with credentials when there were. */
  readonly requests: readonly string[];
}

/**
 * A real forward proxy on loopback: CONNECT tunnels and absolute-form requests. Every host is reached at 127.0.0.1, so
 * that names which exist nowhere can be asked for. `credentials` (`user:password`) are insisted on when given.
 */
export async function startHttpProxy(credentials?: string): Promise<HttpProxy> {
  const requests: string[] = [];
  const wanted = credentials === undefined ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`;
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    if (wanted !== undefined && request.headers['proxy-authorization'] !== wanted) {
      return void response.writeHead(407).end();
    }
    const { 'proxy-authorization': _ours, ...headers } = request.headers;
    const { port, pathname, search } = new URL(request.url ?? '');
    const onward = httpRequest({ host: '127.0.0.1', port, path: `${pathname}${search}`, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  const tunnels = new Set<{ destroy(): void }>();
  server.on('connect', (request, client, head) => {
    requests.push(`CONNECT ${request.url}`);
    if (wanted !== undefined && request.headers['proxy-authorization'] !== wanted) {
      return void client.end('HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n');
    }
    const upstream = connect(Number(request.url?.split(':').at(-1)), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      upstream.write(head);
      upstream.pipe(client).pipe(upstream);
    });
    for (const end of [client, upstream]) {
      tunnels.add(end);
      end.on('error', () => end.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      for (const end of tunnels) end.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
