import { createHttpChannel } from '../guest/http-channel.ts';
import { parseChannel } from '../guest/parse-channel.ts';
import { defaultPipe } from '../guest/pipe-path.ts';
import { defaultPluginSettings, type PluginSettings, startPlugin } from '../guest/plugin.ts';
import { GuestStoreError } from '../lib/errors.ts';
import { stopped } from '../lib/lifecycle.ts';
import type { Log } from '../lib/log.ts';

export interface PluginOptions extends Partial<PluginSettings> {
  /** The way to the host, e.g. `unix:/run/gueststore/web-7.vsock_1024`. */
  readonly channel: string;
  /** Where clients connect; VMware's place by default. */
  readonly pipe?: string | undefined;
}

/** Node's timers hold no more milliseconds than this many seconds. */
const maxSeconds = 2_147_483;

/** `gueststore plugin`: serves the clients of this guest until `signal` aborts. Throws `InvalidArgument`, `ChannelRefused`. */
export async function runPlugin(options: PluginOptions, log: Log, signal: AbortSignal): Promise<void> {
  const { channel, pipe: pipePath = defaultPipe, ...given } = options;
  const settings = checkSettings({ ...defaultPluginSettings, ...given });
  const address = parseChannel(channel);
  await using pipe = await startPlugin(pipePath, createHttpChannel(address.path), settings, log, Date.now);
  if (process.geteuid?.() !== 0) {
    log.warn({ uid: process.geteuid?.() }, "not root: VMware's own clients will refuse to talk to this plugin");
  }
  log.info({ pipe: pipePath, channel }, 'plugin ready');
  await Promise.race([stopped(signal), pipe.failed]);
}

function checkSettings(settings: PluginSettings): PluginSettings {
  const { maxConnections, clientRecvTimeout, connTimeout } = settings;
  if (!Number.isSafeInteger(maxConnections)) {
    throw new GuestStoreError('InvalidArgument', `maxConnections ${maxConnections}: must be a whole number`);
  }
  for (const [name, seconds] of Object.entries({ clientRecvTimeout, connTimeout })) {
    // Below a second only tests go.
    if (!(seconds > 0 && seconds <= maxSeconds)) {
      throw new GuestStoreError('InvalidArgument', `${name} ${seconds}: must be from 1 to ${maxSeconds} seconds`);
    }
  }
  return settings;
}
