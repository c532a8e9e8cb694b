import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Agent, request } from 'node:https';
import type { Cluster } from './api-server.ts';

/** What is done to one request in place of passing it on. */
export type Fault =
  | {
      readonly type: 'answer';
      readonly status: number;
      readonly body: string;
      readonly headers?: Record<string, string>;
    }
  /** The real answer, each piece of it as `edit` makes it; undefined ends the answer there, in good order. */
  | { readonly type: 'edit'; readonly edit: (chunk: Buffer) => Buffer | undefined }
  /** The real answer, once the promise has resolved. */
  | { readonly type: 'hold'; readonly until: Promise<unknown> };

export interface HttpProxy extends AsyncDisposable {
  /** Plain http. */
  readonly url: string;
  /** Decides on each request; undefined passes it to the real server. */
  fault: (url: URL, method: string) => Fault | undefined;
}

/** Stands in front of the real API server and falsifies single answers, for faults that it cannot be made to show. */
export async function createHttpProxy(cluster: Cluster): Promise<HttpProxy> {
  const agent = new Agent({ ca: cluster.ca, keepAlive: true });
  const server = createServer((incoming, outgoing) => {
    const fault = proxy.fault(new URL(incoming.url ?? '/', cluster.url), incoming.method ?? 'GET');
    if (fault?.type === 'answer') {
      incoming.resume();
      outgoing.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers });
      outgoing.end(fault.body);
      return;
    }
    if (fault?.type === 'hold') void fault.until.then(() => pass(cluster, agent, incoming, outgoing, undefined));
    else pass(cluster, agent, incoming, outgoing, fault?.edit);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const proxy: HttpProxy = {
    url: `http://127.0.0.1:${address.port}`,
    fault: () => undefined,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      agent.destroy();
      await closed;
    },
  };
  return proxy;
}

function pass(
  cluster: Cluster,
  agent: Agent,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  edit: ((chunk: Buffer) => Buffer | undefined) | undefined,
): void {
  const headers = { ...incoming.headers, host: new URL(cluster.url).host };
  const asked = request(`${cluster.url}${incoming.url}`, { agent, method: incoming.method, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    outgoing.flushHeaders();
    answer.on('error', () => outgoing.destroy());
    answer.on('end', () => outgoing.end());
    answer.on('data', (chunk: Buffer) => {
      if (outgoing.writableEnded) return;
      const edited = edit === undefined ? chunk : edit(chunk);
      if (edited !== undefined) outgoing.write(edited);
      else {
        outgoing.end();
        answer.destroy();
      }
    });
  });
  asked.on('error', () => outgoing.destroy());
  outgoing.on('close', () => asked.destroy());
  incoming.pipe(asked);
}
