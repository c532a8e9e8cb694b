import type { Log } from '../lib/log.ts';
import type { Channel } from './channel.ts';
import { createClientQueue } from './client-queue.ts';
import { listenOnPipe, type Pipe } from './pipe.ts';
import { createServe, type ServeTimes } from './serve-client.ts';

/** How VMware's plugin may be set up, by the names of its settings. */
export interface PluginSettings {
  /** Only the owner of the pipe may connect. */
  readonly adminOnly: boolean;
  /** Clients at once, the one that is served included; a negative number is no limit. */
  readonly maxConnections: number;
  /** Seconds for a whole request. */
  readonly clientRecvTimeout: number;
  /** Seconds without progress. */
  readonly connTimeout: number;
}

export const defaultPluginSettings: PluginSettings = {
  adminOnly: false,
  maxConnections: 8,
  clientRecvTimeout: 3,
  connTimeout: 900,
};

/** Milliseconds; VMware's host has as long to call back. */
const connectTimeout = 5000;

/**
 * Opens the pipe and serves its clients, one after another, with what the host answers. Disposing closes every connection.
 * Throws `ChannelRefused` when the pipe cannot be opened.
 */
export async function startPlugin(
  pipePath: string,
  channel: Channel,
  settings: PluginSettings,
  log: Log,
  now: () => number,
): Promise<Pipe> {
  const times: ServeTimes = {
    receive: settings.clientRecvTimeout * 1000,
    connect: connectTimeout,
    inactivity: settings.connTimeout * 1000,
  };
  const queue = createClientQueue(settings.maxConnections, createServe(channel, times, log, now), () =>
    log.warn({ limit: settings.maxConnections }, 'client turned away'),
  );
  const pipe = await listenOnPipe(pipePath, settings.adminOnly, queue.accept);
  return {
    failed: pipe.failed,
    [Symbol.asyncDispose]: async () => {
      // The server is closed only when its connections are.
      await Promise.all([pipe[Symbol.asyncDispose](), queue.close()]);
    },
  };
}
