import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { connect } from '../kube/connect.ts';
import { createEventRecorder } from '../kube/events.ts';
import { type Leadership, runLeaderElection } from '../kube/leader-election.ts';
import { namespaces } from '../kube/resource.ts';
import type { Log } from '../lib/log.ts';
import { createMetrics } from '../lib/metrics.ts';
import { serveMetrics } from '../lib/metrics-server.ts';
import { createInstruments } from '../operator/instruments.ts';
import { createOperator } from '../operator/operator.ts';
import { openWriters } from '../operator/publish/open-writers.ts';
import { createClusterSink } from '../operator/world/cluster-sink.ts';
import { createClusterWorld } from '../operator/world/cluster-world.ts';
import { createFetchHttp } from '../sources/http.ts';
import { readHttpEnvironment } from '../sources/http-environment.ts';
import { openImport } from '../sources/import-file.ts';
import { createStoreWriter } from '../store/writer.ts';
import type { ExitCode } from './io.ts';

export interface OperatorCommandOptions {
  readonly datastores: ReadonlyMap<string, string>;
  readonly kubeconfig: string | undefined;
  readonly importFolders: ReadonlyMap<string, string>;
  /** Milliseconds; a day by default. */
  readonly retireHostsAfter?: number | undefined;
  readonly metrics: string | undefined;
  /** Milliseconds; five minutes by default. */
  readonly stuckAfter?: number | undefined;
  readonly version: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

const leaseName = 'gueststore-operator';
const serviceAccountName = 'gueststore-operator';
const namespaceFile = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';

/**
 * `gueststore operator`: follows the resources of a cluster and publishes them while it holds the Lease, until the signal
 * aborts. Ready as a standby too: its caches are warm.
 */
export async function runOperator(options: OperatorCommandOptions, log: Log, signal: AbortSignal): Promise<ExitCode> {
  const { environment } = options;
  const metrics = createMetrics();
  await using stack = new AsyncDisposableStack();
  const { client } = await connect({
    kubeconfig: options.kubeconfig,
    userAgent: `gueststore-operator/${options.version}`,
    metrics,
  });
  stack.defer(() => client.close());
  const namespace = environment.POD_NAMESPACE ?? (await podNamespace());
  const identity = environment.POD_NAME ?? `${hostname()}-${randomUUID().slice(0, 8)}`;
  const now = () => new Date();

  const world = createClusterWorld({
    client,
    log: log.child({ logger: 'kube' }),
    metrics,
    serviceAccount: `${namespace}:${serviceAccountName}`,
  });
  const instruments = stack.use(
    createInstruments({
      metrics,
      log,
      datastores: options.datastores,
      objects: world.objects,
      stuckAfter: options.stuckAfter,
    }),
  );
  const { address } = stack.use(
    await serveMetrics({
      address: options.metrics,
      metrics,
      prefix: 'gueststore',
      version: options.version,
      probes: { alive: instruments.checks, ready: world.checks },
    }),
  );
  if (address !== undefined) log.info({ metrics: address }, 'metrics served');
  const recorder = stack.use(
    createEventRecorder({ client, controller: 'gueststore.dev/operator', instance: identity, log, metrics }),
  );
  const sink = createClusterSink(client, world, recorder, now);
  const fetchHttp = stack.use(createFetchHttp({ ...(await readHttpEnvironment(environment)), allowLoopback: true }));

  async function lead({ signal: leading, acquired }: Leadership): Promise<void> {
    const installation = await installationOf(leading);
    // Whoever did not hand over in order may still be running: its next commit must find its place taken.
    const claim = acquired === 'released' ? 'lazy' : 'empty';
    const open = (folder: string, name: string) =>
      instruments.opened(name, () => createStoreWriter({ folder, installation, claim, now }));
    await using opened = new AsyncDisposableStack();
    opened.defer(() => instruments.rest());
    const writers = await openWriters(options.datastores, open, world, sink, now, log, leading);
    if (writers === undefined) return;
    for (const writer of writers.values()) opened.defer(() => writer.close());
    const { importFolders, retireHostsAfter } = options;
    const parts = {
      world,
      sink,
      writers,
      importFolders,
      retireHostsAfter,
      fetchHttp,
      openImport,
      now,
      log,
      instruments,
    };
    await createOperator(parts, leading).run(leading);
  }

  async function installationOf(leading: AbortSignal): Promise<string> {
    const system = await client.get(namespaces, { name: 'kube-system' }, leading);
    return `cluster ${system.metadata.uid}`;
  }

  const stop = new AbortController();
  const all = AbortSignal.any([signal, stop.signal]);
  const following = world.run(all);
  try {
    await Promise.race([world.synced, following]);
    if (!all.aborted) log.info({ identity, namespace }, 'caches synced');
    const onStuck = () => {
      log.error({ identity }, 'work goes on after the leadership was lost: exiting');
      process.exit(1);
    };
    await runLeaderElection(
      { client, namespace, name: leaseName, identity, lead, onStuck, log: log.child({ logger: 'leader' }), metrics },
      all,
    );
  } finally {
    stop.abort();
    await following;
  }
  return 0;
}

async function podNamespace(): Promise<string> {
  try {
    return (await readFile(namespaceFile, 'utf8')).trim();
  } catch {
    return 'gueststore-system';
  }
}
