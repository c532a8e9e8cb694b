import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import type { KeyPair } from './certificates.ts';

/** What a path of the server does. Everything is off unless said. */
interface Behaviour {
  /** Its bytes, or how many bytes of `patternOf` it has. */
  readonly body?: Uint8Array | number;
  readonly etag?: string;
  readonly lastModified?: string;
  /** Answers Range requests with 206, If-Range judged by etag or lastModified. */
  readonly ranges?: boolean;
  /** The connection is cut after so many bytes of the answer's body; the list is used up one an answer. */
  readonly cutAfter?: readonly number[];
  /** Sends so many bytes of the body and then nothing more, the connection held open. */
  readonly stallAfter?: number;
  /** Sends nothing at all. */
  readonly silent?: boolean;
  /** Sends "103 Early Hints" again and again, and never an answer. */
  readonly hinting?: boolean;
  /** Answers with this status (302 by default) and Location. */
  readonly redirect?: string;
  readonly status?: number;
  /** Content-Length to announce, whatever follows. */
  readonly announce?: number;
  /** No Content-Length, chunks instead. */
  readonly chunked?: boolean;
  readonly gzip?: boolean;
  /** Sent besides, or in place of what the server would say. */
  readonly headers?: Readonly<Record<string, string>>;
}

interface LoggedRequest {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  /** Of the answer. */
  status: number;
}

export interface HttpServer extends AsyncDisposable {
  readonly port: number;
  /** By name `localhost`, or as an address. */
  url(path: string, host?: string): string;
  /** From now on, also for answers to requests that come to a path for the second time. */
  serve(path: string, behaviour: Behaviour): void;
  /** In the order in which they came. */
  readonly requests: readonly LoggedRequest[];
}

/** A real HTTP server (HTTPS with `tls`) on a port of its own, on loopback. */
export async function startHttpServer(tls?: KeyPair, address = '127.0.0.1'): Promise<HttpServer> {
  const behaviours = new Map<string, Behaviour>();
  const answers = new Map<string, number>();
  const requests: LoggedRequest[] = [];

  const listener = (request: IncomingMessage, response: ServerResponse) => {
    const path = (request.url ?? '').replace(/\?.*$/, '');
    const logged: LoggedRequest = { path: request.url ?? '', headers: request.headers, status: 0 };
    requests.push(logged);
    response.on('error', () => undefined);
    const turn = answers.get(path) ?? 0;
    answers.set(path, turn + 1);
    answer(behaviours.get(path), turn, request, response);
    logged.status = response.statusCode;
  };

  const server = tls === undefined ? createServer(listener) : createTlsServer({ ...tls }, listener);
  // A client that refuses our certificate is part of the tests.
  server.on('tlsClientError', () => undefined);
  server.listen(0, address);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: (path, host = 'localhost') => `${tls === undefined ? 'http' : 'https'}://${host}:${port}${path}`,
    serve: (path, behaviour) => {
      behaviours.set(path, behaviour);
      answers.delete(path);
    },
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Bytes that differ from place to place, so that a wrong offset shows. `first` and `end` are places, `end` exclusive. */
export function patternOf(first: number, end: number): Buffer {
  const bytes = Buffer.allocUnsafe(end - first);
  for (let at = first; at < end; at++) bytes[at - first] = (at * 31 + (at >> 8) * 17 + (at >> 16)) & 0xff;
  return bytes;
}

function answer(behaviour: Behaviour | undefined, turn: number, request: IncomingMessage, response: ServerResponse) {
  if (behaviour?.silent) return;
  if (behaviour?.hinting) {
    const hints = setInterval(() => response.writeEarlyHints({ link: '</a>; rel=preload' }), 50);
    response.on('close', () => clearInterval(hints));
    return;
  }
  if (behaviour === undefined) return void response.writeHead(404).end('not here');
  if (behaviour.redirect !== undefined) {
    return void response.writeHead(behaviour.status ?? 302, { location: behaviour.redirect }).end('elsewhere');
  }
  if (behaviour.status !== undefined) {
    return void response.writeHead(behaviour.status, { ...behaviour.headers }).end('<secret of the server>');
  }
  if (isKnown(behaviour, request)) return void response.writeHead(304, validators(behaviour)).end();

  const whole = behaviour.gzip && typeof behaviour.body === 'object' ? gzipSync(behaviour.body) : behaviour.body;
  const size = typeof whole === 'number' ? whole : (whole?.length ?? 0);
  const first = rangeStart(behaviour, request);
  if (first !== undefined && first >= size) {
    return void response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
  }
  const start = first ?? 0;
  const head: Record<string, string> = { ...validators(behaviour) };
  if (!behaviour.chunked) head['content-length'] = String(behaviour.announce ?? size - start);
  if (behaviour.gzip) head['content-encoding'] = 'gzip';
  if (behaviour.ranges) head['accept-ranges'] = 'bytes';
  if (first !== undefined) head['content-range'] = `bytes ${start}-${size - 1}/${size}`;
  response.writeHead(first === undefined ? 200 : 206, { ...head, ...behaviour.headers });
  response.flushHeaders();

  const cut = behaviour.cutAfter?.[turn];
  const stop = Math.min(size, start + (cut ?? behaviour.stallAfter ?? size));
  const body = Readable.from(slices(whole ?? 0, start, stop));
  body.pipe(response, { end: false });
  body.on('end', () => {
    if (behaviour.stallAfter !== undefined) return;
    if (cut === undefined) return void response.end();
    // Only once the bytes have left: a reset would take them back.
    response.write('', () => response.socket?.destroySoon());
  });
}

function* slices(whole: Uint8Array | number, start: number, stop: number): Generator<Buffer> {
  const slice = 256 * 1024;
  for (let at = start; at < stop; at += slice) {
    const end = Math.min(stop, at + slice);
    yield typeof whole === 'number' ? patternOf(at, end) : Buffer.from(whole.subarray(at, end));
  }
}

function validators({ etag, lastModified }: Behaviour): Record<string, string> {
  return {
    ...(etag === undefined ? {} : { etag }),
    ...(lastModified === undefined ? {} : { 'last-modified': lastModified }),
  };
}

function isKnown({ etag, lastModified }: Behaviour, { headers }: IncomingMessage): boolean {
  if (headers['if-none-match'] !== undefined) return headers['if-none-match'] === etag;
  return headers['if-modified-since'] !== undefined && headers['if-modified-since'] === lastModified;
}

/** Where a Range request that is honoured begins. */
function rangeStart({ ranges, etag, lastModified }: Behaviour, { headers }: IncomingMessage): number | undefined {
  const first = /^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1];
  if (!ranges || first === undefined) return undefined;
  const condition = headers['if-range'];
  return condition === undefined || condition === etag || condition === lastModified ? Number(first) : undefined;
}
