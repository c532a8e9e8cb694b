import { randomUUID } from 'node:crypto';
import { chmod, mkdir, realpath, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Digest } from '../core/digest.ts';
import { heartbeatInterval } from '../core/hosts.ts';
import type { Check } from '../lib/health.ts';
import type { Log } from '../lib/log.ts';
import { createMetrics, type Metrics } from '../lib/metrics.ts';
import { createProgress, progressCheck } from '../lib/progress.ts';
import { createDecider } from '../rules/decision-cache.ts';
import { readableFormats } from '../store/format.ts';
import { processMark } from '../store/process-mark.ts';
import type { Acknowledgement, Snapshot, StoreReader } from '../store/types.ts';
import { type Contents, createContents } from './contents.ts';
import { createDoors, type Refusals } from './doors.ts';
import { type LogFileLimits, logFileLimits } from './log-files.ts';
import { createDaemonMetrics } from './metrics.ts';
import { createNodeTransport } from './node-transport.ts';
import type { Roots } from './place.ts';
import { createRequestLog } from './request-log.ts';
import { createServices } from './service.ts';
import { type Transport, type TransportLimits, transportLimits } from './transport.ts';

export interface DaemonLimits extends TransportLimits {
  /** Bytes of content kept in memory. */
  readonly cacheSize: number;
  /** Milliseconds between two acknowledgements of one revision. */
  readonly heartbeat: number;
  /** Milliseconds without progress after which the daemon is stuck. */
  readonly stuckAfter: number;
  readonly logs: LogFileLimits;
}

export const daemonLimits: DaemonLimits = {
  ...transportLimits,
  cacheSize: 64 * 1024 * 1024,
  heartbeat: heartbeatInterval,
  stuckAfter: 300_000,
  logs: logFileLimits,
};

export interface DaemonConfig {
  /** By the name that repositories use. The caller closes them, after the daemon. */
  readonly stores: ReadonlyMap<string, StoreReader>;
  /** Name of this host: only GuestVMs that carry it are served. */
  readonly host: string;
  /** Folder of the sockets; made if it is missing. */
  readonly runDir: string;
  /** Folders in which a namespace may name sockets by absolute paths. */
  readonly socketRoots: ReadonlyMap<string, readonly string[]>;
  /** `<runDir>/log` by default. */
  readonly logDir?: string | undefined;
  readonly log: Log;
  readonly limits?: Partial<DaemonLimits> | undefined;
  readonly metrics?: Metrics | undefined;
  /** Program version, for the acknowledgement. */
  readonly version?: string | undefined;
  /** Milliseconds since 1970. */
  readonly now?: (() => number) | undefined;
  readonly transport?: ((limits: TransportLimits, now: () => number) => Transport) | undefined;
}

export interface Daemon extends AsyncDisposable {
  readonly metrics: Metrics;
  /** Names this process in acknowledgements. */
  readonly instance: string;
  /** Readiness: each datastore has a revision, and its sockets are open (or refused, with the reason acknowledged). */
  readonly ready: readonly Check[];
  /** Liveness: sockets are settled and acknowledgements written. */
  readonly alive: readonly Check[];
  /** Sockets that are listened at. */
  readonly sockets: number;
  /** Looks for new revisions; resolves when those are listened for, served and acknowledged. */
  settle(): Promise<void>;
  /** All request log lines are in their files. */
  flushLogs(): Promise<void>;
  /** Orderly: no new connections, replies under way end (within a bound), acknowledgements are withdrawn. */
  stop(): Promise<void>;
}

/**
 * Serves the VMs of one host from any number of datastores until it is stopped. A datastore that holds nothing yet, or
 * whose newest revision cannot be read, is waited for: what was good is served meanwhile.
 */
export async function createDaemon(config: DaemonConfig): Promise<Daemon> {
  const { stores, host, log } = config;
  const now = config.now ?? Date.now;
  const limits: DaemonLimits = { ...daemonLimits, ...config.limits };
  const metrics = config.metrics ?? createMetrics();
  const roots = await prepareRoots(config);
  const contents = createContents(limits.cacheSize);
  const requestLog = createRequestLog(config.logDir ?? join(roots.runDir, 'log'), limits.logs, log, now);
  const decider = createDecider((digest, error) =>
    log.error({ ruleSet: digest, err: error }, 'rules cannot be understood: their VMs are answered 503'),
  );
  const counted = createDaemonMetrics(metrics);
  const transport = (config.transport ?? createNodeTransport)(limits, now);
  const doors = createDoors({
    host,
    transport,
    roots,
    serviceOf: createServices({
      host,
      contents,
      decide: decider.decide,
      now,
      log,
      lost: counted.lost,
      record(record) {
        counted.record(record);
        requestLog.write(record);
      },
    }),
  });

  const identity = {
    host,
    instance: randomUUID(),
    startedAt: new Date(now()).toISOString(),
    ...processMark(),
    formats: readableFormats,
    version: config.version ?? '0.0.0',
  };
  /** What was last listened for, by datastore: what is acknowledged. */
  let served: ReadonlyMap<string, { readonly reader: StoreReader; readonly snapshot: Snapshot }> = new Map();
  let refusals: Refusals = new Map();
  /** Datastores that could not take the last acknowledgement. */
  const unheard = new Set<string>();
  const progress = createProgress();
  let stopping = false;
  let running: Promise<void> = Promise.resolve();
  let queued: Promise<void> | undefined;

  async function serveNewest(): Promise<void> {
    if (stopping) return;
    progress.busy();
    try {
      await serve();
    } finally {
      progress.rest();
    }
  }

  async function serve(): Promise<void> {
    const newest = new Map<string, { readonly reader: StoreReader; readonly snapshot: Snapshot }>();
    for (const [name, reader] of stores) {
      if (reader.current !== undefined) newest.set(name, { reader, snapshot: reader.current });
    }
    const before = refusals;
    refusals = await doors.settle(newest);
    served = newest;
    tellRefusals(log, before, refusals);
    await acknowledge();
  }

  /** One pass at a time; calls that come while one waits to begin share it. */
  function settle(): Promise<void> {
    queued ??= running.then(() => {
      queued = undefined;
      running = serveNewest().catch((error: unknown) => log.error({ err: error }, 'revision cannot be served'));
      return running;
    });
    return queued;
  }

  async function acknowledge(): Promise<void> {
    for (const [name, reader] of stores) {
      const acknowledgement: Acknowledgement = {
        ...identity,
        seq: served.get(name)?.snapshot.seq ?? 0,
        heartbeat: new Date(now()).toISOString(),
        space: await spaceOf(reader),
        refused: refusals.get(name) ?? {},
        errors: errorsOf(reader, contents),
      };
      try {
        await reader.acknowledge(acknowledgement);
        unheard.delete(name);
        counted.acknowledged(name, now());
        progress.step();
      } catch (error) {
        // Told once: it is tried again with each heartbeat.
        if (!unheard.has(name)) log.warn({ datastore: name, err: error }, 'acknowledgement cannot be written');
        unheard.add(name);
        counted.notAcknowledged(name);
        progress.step();
      }
    }
  }

  async function beat(): Promise<void> {
    for (const digest of [...contents.trouble.keys()]) await recheck(digest);
    // Also opens what could not be opened before: a folder may have been mended meanwhile.
    await settle();
  }

  async function recheck(digest: Digest): Promise<void> {
    // Trouble with content that no repository names any more is no trouble.
    if (![...served.values()].some(({ snapshot }) => names(snapshot, digest))) contents.forget(digest);
    else if (await contents.recheck(digest)) log.info({ digest }, 'content is well again');
  }

  for (const [name, reader] of stores) {
    reader.onChange((snapshot) => {
      log.info({ datastore: name, seq: snapshot.seq }, 'revision loaded');
      void settle();
    });
  }
  registerGauges(metrics, {
    stores,
    sockets: () => doors.open,
    connections: () => transport.connections,
    held: () => contents.held,
    troubles: () => contents.trouble.size,
    dropped: () => requestLog.dropped,
    refusals: () => refusals,
  });
  await settle();
  const heart = setInterval(() => void beat(), limits.heartbeat);
  heart.unref();

  async function stop(): Promise<void> {
    if (stopping) return;
    stopping = true;
    clearInterval(heart);
    await (queued ?? running);
    await doors.close();
    await transport.close();
    for (const [name, reader] of stores) {
      await reader.withdraw(host, identity.instance).catch((error: unknown) => {
        log.warn({ datastore: name, err: error }, 'acknowledgement cannot be withdrawn');
      });
    }
    await requestLog.close();
  }

  return {
    metrics,
    instance: identity.instance,
    ready: [
      { name: 'running', trouble: () => (stopping ? 'the daemon stops' : undefined) },
      ...stores.entries().map(([name, reader]) => ({
        name: `datastore/${name}`,
        trouble: () => (served.has(name) ? undefined : whyUnserved(reader)),
      })),
    ],
    alive: [progressCheck('heartbeat', progress, limits.stuckAfter, 'an acknowledgement')],
    get sockets() {
      return doors.open;
    },
    async settle() {
      for (const reader of stores.values()) await reader.refresh();
      await settle();
    },
    flushLogs: requestLog.flush,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function whyUnserved({ current, trouble }: StoreReader): string {
  if (current !== undefined) return `the sockets of revision ${current.seq} are not open yet`;
  return trouble?.message ?? 'it holds no revision yet; the operator publishes the first';
}

/** The run folder is made, and named without links, so that no link on the way can lead elsewhere later. */
async function prepareRoots({ runDir, socketRoots }: DaemonConfig): Promise<Roots> {
  if ((await mkdir(runDir, { recursive: true, mode: 0o755 })) !== undefined) await chmod(runDir, 0o755);
  const real = new Map<string, readonly string[]>();
  for (const [namespace, folders] of socketRoots) {
    real.set(namespace, await Promise.all(folders.map((folder) => realpath(folder))));
  }
  return { runDir: await realpath(runDir), socketRoots: real };
}

function errorsOf(reader: StoreReader, contents: Contents): Acknowledgement['errors'] {
  const errors: { code: string; message: string }[] = [];
  if (reader.trouble !== undefined) {
    const code = 'code' in reader.trouble ? String(reader.trouble.code) : 'StoreUnavailable';
    errors.push({ code, message: reader.trouble.message });
  }
  for (const { blob, error } of contents.trouble.values()) {
    if (blob.file === reader.blobPath(blob.digest)) errors.push({ code: error.code, message: error.message });
  }
  return errors;
}

function names(snapshot: Snapshot, digest: Digest): boolean {
  for (const repository of snapshot.repositories.keys()) {
    for (const [, entry] of snapshot.entries(repository)) {
      if (entry.state !== 'pending' && entry.digest === digest) return true;
    }
  }
  return false;
}

/** Of the file system that holds the blobs; null where it does not say. */
async function spaceOf(reader: StoreReader): Promise<Acknowledgement['space']> {
  const zero: Digest = `sha256:${'0'.repeat(64)}`;
  // A blob's own folder comes with the first blob in it.
  for (let folder = dirname(reader.blobPath(zero)); folder !== dirname(folder); folder = dirname(folder)) {
    try {
      const { bavail, blocks, bsize } = await statfs(folder);
      return { free: bavail * bsize, total: blocks * bsize };
    } catch {
      // Not there yet, or not readable: the folder above says the same.
    }
  }
  return null;
}

/** A refusal is told once, when it comes; the acknowledgement holds it while it lasts. */
function tellRefusals(log: Log, before: Refusals, after: Refusals): void {
  for (const [store, vms] of after) {
    for (const [vm, { reason, message }] of Object.entries(vms)) {
      if (before.get(store)?.[vm]?.message !== message)
        log.warn({ store, vm, reason, why: message }, 'VM is not served');
    }
  }
}

function registerGauges(
  metrics: Metrics,
  read: {
    readonly stores: ReadonlyMap<string, StoreReader>;
    readonly sockets: () => number;
    readonly connections: () => number;
    readonly held: () => number;
    readonly troubles: () => number;
    readonly dropped: () => number;
    readonly refusals: () => Refusals;
  },
): void {
  metrics.gaugeOf('gstored_sockets', 'Sockets that are listened at.', read.sockets);
  metrics.gaugeOf('gstored_connections', 'Connections of guests that are open.', read.connections);
  metrics.gaugeOf('gstored_cache_bytes', 'Content kept in memory.', read.held);
  metrics.gaugeOf('gstored_broken_contents', 'Contents that cannot be served as they lie.', read.troubles);
  metrics.counterOf(
    'gstored_log_lines_dropped_total',
    'Request log lines lost to a full or failing disk.',
    read.dropped,
  );
  metrics.gaugesOf('gstored_refused_vms', 'VMs of this host that are not met as asked, by datastore and reason.', () =>
    read
      .refusals()
      .entries()
      .flatMap(([datastore, vms]) =>
        Map.groupBy(Object.values(vms), ({ reason }) => reason)
          .entries()
          .map(([reason, all]) => [{ datastore, reason }, all.length] as const),
      ),
  );
  for (const [datastore, reader] of read.stores) {
    const gauge = (name: string, help: string, value: () => number | undefined) =>
      metrics.gaugeOf(name, help, value, { datastore });
    gauge('gstored_revision', 'Newest revision that was loaded, by datastore.', () => reader.current?.seq ?? 0);
    gauge(
      'gstored_revision_timestamp_seconds',
      'When the revision that is served was published, in seconds since 1970.',
      () => (reader.current === undefined ? undefined : Date.parse(reader.current.commit.at) / 1000),
    );
    gauge('gstored_store_trouble', 'Whether the newest revision of the datastore cannot be read.', () =>
      reader.trouble === undefined ? 0 : 1,
    );
  }
}
