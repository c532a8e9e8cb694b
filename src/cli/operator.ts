import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { Client } from '../kube/client.ts';
import { connect } from '../kube/connect.ts';
import { createEventRecorder } from '../kube/events.ts';
import { electionPace, type Leadership, runLeaderElection } from '../kube/leader-election.ts';
import { namespaces } from '../kube/resource.ts';
import { messageOf } from '../lib/errors.ts';
import type { Check } from '../lib/health.ts';
import { exitAtOnce, pause } from '../lib/lifecycle.ts';
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
  /** Milliseconds. */
  readonly leaseDuration: number;
  readonly version: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Milliseconds after which a watch shows, as a rule, what an earlier leader wrote last. */
const watchLag = 5_000;
const leaseName = 'gueststore-operator';
const serviceAccountName = 'gueststore-operator';
const namespaceFile = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';
/** Milliseconds that an orderly stop may take, before the 30 s are over after which a pod is killed. */
const stopWithin = 25_000;
/** Milliseconds that events have to leave in an orderly stop. */
const lastEvents = 500;
/** Milliseconds between two looks for what has to be known before anybody can lead. */
const lookAgain = 2_000;

/**
 * `gueststore operator`: follows the resources of a cluster and publishes them while it holds the Lease, until the signal
 * aborts. A standby is Ready too, its caches are warm; who may not even stand is not.
 *
 * It stops in this order: watches end and fetches are given up; a commit under way is finished; what it changed is said in
 * status and events; the datastores are closed; the Lease is given back; connections are closed.
 */
export async function runOperator(options: OperatorCommandOptions, log: Log, signal: AbortSignal): Promise<ExitCode> {
  const { environment, importFolders, retireHostsAfter } = options;
  const metrics = createMetrics();
  await using stack = new AsyncDisposableStack();
  stack.defer(endInTime(log, signal));
  const { client, fenced } = await connect({
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
  let refused: string | undefined;
  const lease: Check = {
    name: 'lease',
    trouble: () => (refused === undefined ? undefined : `this process may not stand for it: ${refused}`),
  };
  const { address } = stack.use(
    await serveMetrics({
      address: options.metrics,
      metrics,
      prefix: 'gueststore',
      version: options.version,
      probes: { alive: instruments.checks, ready: [...world.checks, lease] },
    }),
  );
  if (address !== undefined) log.info({ metrics: address }, 'metrics served');
  const fetchHttp = stack.use(createFetchHttp({ ...(await readHttpEnvironment(environment)), allowLoopback: true }));

  async function lead(installation: string, leadership: Leadership): Promise<void> {
    const { signal: leading, lost, acquired, holds } = leadership;
    await using term = new AsyncDisposableStack();
    // Of this term alone: what an earlier one remembers of its writes another leader may have overtaken.
    const leader = fenced(holds);
    const recorder = term.use(
      createEventRecorder({ client: leader, controller: 'gueststore.dev/operator', instance: identity, log, metrics }),
    );
    const settled = acquired === 'created' ? 0 : performance.now() + watchLag;
    const sink = createClusterSink(leader, world, recorder, now, () => performance.now() < settled);
    // Whoever did not hand over in order may still be running: its next commit must find its place taken.
    const claim = acquired === 'released' ? 'lazy' : 'empty';
    const open = (folder: string, name: string) =>
      instruments.opened(name, () => createStoreWriter({ folder, installation, claim, holds, by: identity, now }));
    term.defer(() => instruments.rest());
    const writers = await openWriters(options.datastores, open, world, sink, now, log, leading);
    if (writers === undefined) return;
    for (const writer of writers.values()) term.defer(() => writer.close());
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
    await createOperator(parts, leading).run(leading, lost);
    const flushed = new AbortController();
    const flushing = recorder.flush().finally(() => flushed.abort());
    await Promise.race([flushing, pause(lastEvents, AbortSignal.any([lost, flushed.signal]))]);
  }

  const stop = new AbortController();
  const all = AbortSignal.any([signal, stop.signal]);
  const following = world.run(all);
  try {
    await Promise.race([world.synced, following]);
    const installation = await installationOf(client, log, all);
    if (installation === undefined) return 0;
    log.info({ identity, namespace }, 'caches synced');
    await runLeaderElection(
      {
        client,
        namespace,
        name: leaseName,
        identity,
        lead: (leadership) => lead(installation, leadership),
        onStuck: () => {
          log.error({ identity }, 'work goes on after the leadership was lost: exiting');
          exitAtOnce(1);
        },
        onRefused: (message) => {
          refused = message;
        },
        pace: electionPace(options.leaseDuration),
        log: log.child({ logger: 'leader' }),
        metrics,
      },
      all,
    );
  } finally {
    stop.abort();
    await following;
  }
  return 0;
}

/** Whose datastores these are: a cluster's. Waits until it can be known; undefined when `signal` aborts first. */
async function installationOf(client: Client, log: Log, signal: AbortSignal): Promise<string | undefined> {
  let told: string | undefined;
  while (!signal.aborted) {
    try {
      const system = await client.get(namespaces, { name: 'kube-system' }, signal);
      return `cluster ${system.metadata.uid}`;
    } catch (error) {
      const message = messageOf(error);
      if (!signal.aborted && message !== told) log.warn({ err: error }, 'cannot tell which cluster this is');
      told = message;
    }
    await pause(lookAgain, signal);
  }
  return undefined;
}

/** A file system that does not answer must not keep the process until it is killed. Gives back what calls that off. */
function endInTime(log: Log, signal: AbortSignal): () => void {
  let timer: NodeJS.Timeout | undefined;
  const late = () => {
    log.error({ seconds: stopWithin / 1000 }, 'not stopped in time: exiting');
    exitAtOnce(1);
  };
  const begin = () => {
    timer = setTimeout(late, stopWithin);
  };
  signal.addEventListener('abort', begin, { once: true });
  return () => {
    signal.removeEventListener('abort', begin);
    clearTimeout(timer);
  };
}

async function podNamespace(): Promise<string> {
  try {
    return (await readFile(namespaceFile, 'utf8')).trim();
  } catch {
    return 'gueststore-system';
  }
}
