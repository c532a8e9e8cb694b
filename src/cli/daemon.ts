import { createDaemon, type DaemonLimits, daemonLimits } from '../daemon/daemon.ts';
import { createStoreWatch } from '../daemon/store-watch.ts';
import { stopped } from '../lib/lifecycle.ts';
import type { Log } from '../lib/log.ts';
import { createMetrics } from '../lib/metrics.ts';
import { serveMetrics } from '../lib/metrics-server.ts';
import { sweepInstances } from '../store/hosts.ts';
import { createStoreReader } from '../store/reader.ts';
import type { StoreReader } from '../store/types.ts';

export interface DaemonOptions {
  /** Name of a datastore -> its folder. */
  readonly datastores: ReadonlyMap<string, string>;
  readonly host: string;
  readonly runDir: string;
  /** Namespace -> folders in which it may name sockets by absolute paths. */
  readonly socketRoots: ReadonlyMap<string, readonly string[]>;
  readonly logDir?: string | undefined;
  /** `[HOST]:PORT` for /metrics, /healthz and /readyz; no port opens without it. */
  readonly metrics?: string | undefined;
  readonly version?: string | undefined;
  readonly limits?: Partial<DaemonLimits> | undefined;
}

/** `gueststore daemon`: serves this host's VMs until `signal` aborts, then lets what is under way end. */
export async function runDaemon(options: DaemonOptions, log: Log, signal: AbortSignal): Promise<void> {
  const metrics = createMetrics();
  await using readers = new AsyncDisposableStack();
  const stores = new Map<string, StoreReader>();
  const watch = createStoreWatch(metrics, options.limits?.stuckAfter ?? daemonLimits.stuckAfter);
  for (const [name, folder] of options.datastores) {
    const reader = await createStoreReader({ folder, watcher: watch.watcherOf(name) });
    const gone = await sweepInstances(folder, options.host, new Date());
    if (gone.length > 0)
      log.info({ datastore: name, instances: gone }, 'acknowledgements of daemons that are gone were removed');
    readers.defer(() => reader.close());
    stores.set(name, reader);
  }
  await using daemon = await createDaemon({ ...options, stores, log, metrics });
  await using served = await serveMetrics({
    address: options.metrics,
    metrics,
    prefix: 'gstored',
    version: options.version ?? '0.0.0',
    probes: { alive: [watch.check, ...daemon.alive], ready: daemon.ready },
  });
  log.info({ host: options.host, sockets: daemon.sockets, metrics: served.address }, 'daemon ready');
  await stopped(signal);
  log.info({ host: options.host }, 'daemon stops');
}
