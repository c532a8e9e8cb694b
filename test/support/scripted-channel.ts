import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

/** What a script does with one request: `target` is as it came over the wire, one character a byte. */
export type Script = (target: string, socket: Socket) => void | Promise<void>;

export interface ScriptedChannel extends AsyncDisposable {
  readonly channel: string;
  /** Whole requests, in the order in which they came. */
  readonly requests: readonly string[];
  /** Connections that the guest has not closed yet. */
  open(): number;
}

/**
 * The host's end of an HTTP channel, for answers that a real host does not give. It reads one request of each connection and
 * leaves the rest to the script; what the script leaves open stays open.
 */
export async function startScriptedChannel(path: string, script: Script): Promise<ScriptedChannel> {
  const sockets = new Set<Socket>();
  const requests: string[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => {});
    // A guest does not close by halves, so its end is the end.
    socket.on('end', () => socket.destroy());
    let request = '';
    socket.on('data', (bytes) => {
      request += bytes.toString('latin1');
      if (!request.endsWith('\r\n\r\n')) return;
      requests.push(request);
      const target = request.split(' ')[1] ?? '';
      request = '';
      void script(target, socket);
    });
  });
  server.listen(path);
  await once(server, 'listening');
  return {
    channel: `unix:${path}`,
    requests,
    open: () => sockets.size,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A head as a host may write it: spelled differently from the plugin's own, so that a test sees who wrote it. */
export function hostHead(status: string, length: number): string {
  return `HTTP/1.1 ${status}\r\nServer: scripted\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n`;
}
