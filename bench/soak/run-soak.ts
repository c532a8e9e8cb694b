import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '../../src/kube/connect.ts';
import type { Resource } from '../../src/kube/resource.ts';
import { resources } from '../../src/operator/world/cluster-resources.ts';
import { watchStatuses } from '../../test/support/checked-statuses.ts';
import { eventually } from '../../test/support/eventually.ts';
import { createInstallation } from '../../test/support/installation.ts';
import { createTcpProxy } from '../../test/support/kubernetes/tcp-proxy.ts';
import { fleetHost } from '../../test/support/manifests.ts';
import type { Shown } from '../scale/follower.ts';
import { type Watched, watched, watchedRuntime } from '../scale/watched-process.ts';
import { createChance } from './chance.ts';
import { createFaults, mountOnItself, unmount } from './faults.ts';
import { type Flatness, flatnessOf, type Series } from './flatness.ts';
import { createWorkload, type Workload } from './workload.ts';

export interface SoakOptions {
  readonly minutes: number;
  readonly seed: number;
}

export interface SoakResult {
  readonly flatness: readonly Flatness[];
  readonly faults: ReadonlyMap<string, number>;
  readonly edits: number;
  readonly requests: number;
  /** Why it failed; empty when all is well. */
  readonly failures: readonly string[];
}

/** Milliseconds between two looks, two edits and two requests. */
const pace = { look: 2_000, edit: 250, request: 50 };
/** Seconds between two faults. */
const faultPace = [4, 12] as const;
/** Part of the time that is warm-up. */
const warmUp = 0.2;
/** Milliseconds after the last fault until everything must be as declared. */
const convergence = 240_000;

/**
 * Operator, daemon and API server under random faults and edits: what must stay flat is, no guest is ever lied to, and in
 * the end all is as declared.
 */
export async function runSoak(options: SoakOptions, say: (text: string) => void): Promise<SoakResult> {
  await using installation = await createInstallation({ checked: false });
  const { server, folder, datastore } = installation;
  await using closing = new AsyncDisposableStack();
  const mounted = await mountOnItself(datastore);
  if (mounted) closing.defer(() => unmount(datastore));
  else say('no permission to mount: the datastore is never read-only');
  const proxy = closing.use(await createTcpProxy({ port: Number(new URL(server.url).port) }));
  const { client } = await connect({ kubeconfig: server.kubeconfig, userAgent: 'soak' });
  closing.use(client);

  const checked = await watchStatuses(server);
  const socketOf = (vm: string) => installation.socket(fleetHost, 'fleet', vm);
  const workload = createWorkload(client, socketOf, createChance(options.seed));
  const faults = createFaults(server, proxy, mounted ? datastore : undefined, createChance(options.seed + 1));
  await workload.prepare();
  const daemonProgram = await installation.startDaemon(fleetHost, watchedRuntime(folder, 'daemon'));
  const url = `https://127.0.0.1:${proxy.port}`;
  const operatorProgram = await installation.startOperator({ url, ...watchedRuntime(folder, 'operator') });
  const processes = {
    operator: watched(folder, 'operator', operatorProgram),
    daemon: watched(folder, 'daemon', daemonProgram),
  };
  await eventually(async () => ((await workload.differences()).length === 0 ? true : undefined), convergence);
  say('all is served: faults begin');

  const end = performance.now() + options.minutes * 60_000;
  const over = () => performance.now() >= end;
  const failures: string[] = [];
  const counts = new Map<string, number>();
  const series = Object.entries(processes).map(([name, one]) => seriesOf(name, one));
  const began = performance.now() + options.minutes * 60_000 * warmUp;
  await Promise.all([
    repeat(over, pace.edit, () => workload.edit()),
    repeat(over, pace.request, () => workload.request().catch(() => {})),
    repeat(over, pace.look, async () => {
      if (performance.now() > began) for (const { look } of series) await look();
    }),
    strikeAtRandom(),
  ]);
  await faults.heal();
  say('faults are over');

  for (const [name, { program }] of Object.entries(processes)) {
    if (program.exitCode !== undefined) failures.push(`the ${name} ended with ${program.exitCode}`);
  }
  failures.push(...(await unsettled(workload)), ...workload.lies.map((lie) => `a guest was lied to: ${lie}`));
  try {
    await checked[Symbol.asyncDispose]();
  } catch (error) {
    failures.push(String(error).slice(0, 2_000));
  }
  const flatness = series.flatMap(({ all }) => all.map(flatnessOf));
  for (const { what, first, last, flat } of flatness) {
    if (!flat) failures.push(`${what} grew from ${first.toFixed(1)} to ${last.toFixed(1)}`);
  }
  return { flatness, faults: counts, edits: workload.edits, requests: workload.requests, failures };

  async function strikeAtRandom(): Promise<void> {
    const chance = createChance(options.seed + 2);
    // Each kind once a round, so that a short run meets them all.
    for (let round: string[] = []; !over(); ) {
      await delay(chance.between(...faultPace) * 1000);
      if (round.length === 0) round = [...faults.names];
      const name = chance.one(round);
      round = round.filter((other) => other !== name);
      counts.set(name, (counts.get(name) ?? 0) + 1);
      await faults.strike(name);
    }
  }

  /** What is not as declared when everybody had time enough. */
  async function unsettled(of: Workload): Promise<readonly string[]> {
    let left: readonly string[] = [];
    const settled = eventually(async () => {
      left = [...(await of.differences()), ...(await notReady())];
      return left.length === 0 ? true : undefined;
    }, convergence);
    return await settled.then(
      () => [],
      (error: unknown) => (left.length > 0 ? left.slice(0, 20) : [String(error)]),
    );
  }

  async function notReady(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const kind of ['ContentItem', 'GuestVM', 'GuestStoreRepository', 'VMAccessPolicy'] as const) {
      for (const { metadata, status } of (await client.list(resources[kind] as Resource<Shown>)).items) {
        const ready = status?.conditions?.find(({ type }) => type === 'Ready');
        const current = status?.observedGeneration === metadata.generation;
        if (ready?.status !== 'True' || !current) found.push(`${kind} ${metadata.name}: ${ready?.reason}`);
      }
    }
    return found;
  }
}

function seriesOf(name: string, process: Watched): { readonly all: readonly Series[]; look(): Promise<void> } {
  const heap: Series = { what: `${name}: heap after collection`, unit: 'MiB', part: 0.15, more: 4, values: [] };
  // Calls keep up to 32 connections open for a minute after a burst.
  const sockets: Series = { what: `${name}: sockets`, unit: '', part: 0.1, more: 8, values: [] };
  const descriptors: Series = { what: `${name}: descriptors`, unit: '', part: 0.1, more: 8, values: [] };
  return {
    all: [heap, sockets, descriptors],
    async look() {
      const { heapUsed } = await process.ask(true);
      heap.values.push(heapUsed / 2 ** 20);
      sockets.values.push(process.sockets());
      descriptors.values.push(process.descriptors());
    },
  };
}

async function repeat(over: () => boolean, pause: number, step: () => Promise<void>): Promise<void> {
  while (!over()) {
    await step();
    await delay(pause);
  }
}
