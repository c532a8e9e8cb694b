import { mkdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { destination } from 'pino';
import { createDaemon } from '../daemon/daemon.ts';
import { createStoreWatch } from '../daemon/store-watch.ts';
import { GuestStoreError } from '../lib/errors.ts';
import { stopped } from '../lib/lifecycle.ts';
import { createLog, type Log } from '../lib/log.ts';
import { createMetrics } from '../lib/metrics.ts';
import { serveMetrics } from '../lib/metrics-server.ts';
import { createInstruments } from '../operator/instruments.ts';
import { createOperator } from '../operator/operator.ts';
import type { StatusSink } from '../operator/types.ts';
import { watchFolders } from '../operator/world/folder-watch.ts';
import { type FolderWorld, openFolderWorld } from '../operator/world/folder-world.ts';
import { createFetchHttp } from '../sources/http.ts';
import { readHttpEnvironment } from '../sources/http-environment.ts';
import { openImport } from '../sources/import-file.ts';
import { sweepInstances } from '../store/hosts.ts';
import { createStoreReader } from '../store/reader.ts';
import type { StoreReader, StoreWriter } from '../store/types.ts';
import { createStoreWriter } from '../store/writer.ts';
import type { ExitCode, Io } from './io.ts';
import { createScreen } from './screen.ts';
import { statusHeader, statusRows, troubleRows } from './status-rows.ts';
import { formatTable } from './table.ts';

export interface UpOptions {
  readonly manifests: string;
  readonly datastores: ReadonlyMap<string, string>;
  readonly runDir: string;
  /** This machine's name by default. */
  readonly host: string | undefined;
  /** Import folder by namespace; `default` without a name is for all. */
  readonly importFolders: ReadonlyMap<string, string>;
  readonly socketRoots: ReadonlyMap<string, readonly string[]>;
  readonly logDir: string | undefined;
  readonly logLevel: string;
  readonly metrics: string | undefined;
  /** Milliseconds. */
  readonly stuckAfter: number;
  readonly once: boolean;
  readonly version: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Who owns a datastore that `up` made. */
const installation = 'up';

/**
 * `gueststore up`: operator and daemon in one process, from a folder of manifests. Prints status whenever it changes,
 * until it is told to stop; with `once` applies, prints, and returns 1 unless everything is Ready.
 */
export async function runUp(
  options: UpOptions,
  io: Io,
  /** Where status goes; tests look at all that is written. */
  sinkOf: (world: FolderWorld) => StatusSink = (world) => world,
): Promise<ExitCode> {
  refuseGit(options.manifests);
  await using stack = new AsyncDisposableStack();
  const log = await openLog(options, stack);
  const host = options.host ?? hostname().toLowerCase();

  const metrics = createMetrics();
  const { datastores, stuckAfter } = options;
  let world: FolderWorld | undefined;
  const objects = () => (world === undefined ? [] : shownOf(world));
  const instruments = stack.use(createInstruments({ metrics, log, datastores, objects, stuckAfter }));
  const writers = new Map<string, StoreWriter>();
  const readers = new Map<string, StoreReader>();
  const watch = createStoreWatch(metrics, stuckAfter);
  for (const [name, folder] of datastores) {
    const open = () => createStoreWriter({ folder, installation, claim: 'lazy', by: host, now, create: true });
    const writer = await instruments.opened(name, open);
    stack.defer(() => writer.close());
    writers.set(name, writer);
    await sweepInstances(folder, host, now());
    const reader = await createStoreReader({ folder, watcher: watch.watcherOf(name) });
    stack.defer(() => reader.close());
    readers.set(name, reader);
  }
  const [home] = writers.values();
  if (home === undefined) throw new GuestStoreError('InvalidArgument', '--datastore: name at least one');

  const stop = new AbortController();
  const signal = AbortSignal.any([io.signal, stop.signal]);
  const { manifests: _, ...shared } = options;
  const daemon = stack.use(
    await createDaemon({
      ...shared,
      stores: readers,
      host,
      log: log.child({ logger: 'daemon' }),
      metrics,
      limits: { stuckAfter },
    }),
  );
  const probes = { alive: [...instruments.checks, watch.check, ...daemon.alive], ready: daemon.ready };
  const { version } = options;
  stack.use(await serveMetrics({ address: options.metrics, metrics, prefix: 'gueststore', version, probes }));

  world = await openFolderWorld(resolve(options.manifests), home, log);
  const folders = await world.scan();
  const { proxies, extraCa } = await readHttpEnvironment(options.environment);
  const fetchHttp = stack.use(createFetchHttp({ proxies, extraCa, allowLoopback: true }));
  const { importFolders } = options;
  const operator = createOperator(
    { world, sink: sinkOf(world), writers, importFolders, fetchHttp, openImport, now, log, instruments },
    signal,
  );
  const running = operator.run(signal);
  const screen = createScreen(io.stdout);
  try {
    await Promise.race([running, operator.settled()]);
    if (options.once) {
      io.stdout.write(tableOf(world));
      return allReady(world) && !io.signal.aborted ? 0 : 1;
    }
    const watching = watchFolders(() => world.scan(), [...folders, ...importFolders.values()], log, signal);
    const showing = screen.run(() => tableOf(world), signal);
    log.info({ host, sockets: daemon.sockets, manifests: options.manifests }, 'up');
    await Promise.race([running, stopped(signal)]);
    stop.abort();
    await Promise.all([watching, showing]);
    return 0;
  } finally {
    stop.abort();
    await running;
  }
}

function now(): Date {
  return new Date();
}

function shownOf(world: FolderWorld) {
  const hosts = [...world.hosts].map(([name, status]) => ({ kind: 'GuestStoreHost', metadata: { name }, status }));
  return [...world.objects(), ...hosts];
}

function tableOf(world: FolderWorld): string {
  const rows = [...statusRows(shownOf(world)), ...troubleRows(world.trouble.values())];
  return formatTable(statusHeader, rows);
}

function allReady(world: FolderWorld): boolean {
  return world.trouble.size === 0 && statusRows(world.objects()).every(([, , ready]) => ready === 'True');
}

/** A screen is for status; what would scroll it away goes into a file. */
async function openLog(options: UpOptions, stack: AsyncDisposableStack): Promise<Log> {
  const folder = options.logDir ?? join(options.runDir, 'log');
  await mkdir(folder, { recursive: true });
  const file = destination({ dest: join(folder, 'up.log'), sync: false });
  stack.defer(() => new Promise((done) => file.end() ?? file.once('close', () => done())));
  return createLog(options.logLevel, file);
}

function refuseGit(manifests: string): void {
  if (!/^(?:git\+|https?:|ssh:|git@)/.test(manifests)) return;
  throw new GuestStoreError(
    'NotSupportedYet',
    `--manifests ${manifests}: a Git address is not supported by this version; clone it and name the folder.`,
  );
}
