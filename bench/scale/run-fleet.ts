import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '../../src/kube/client.ts';
import { connect } from '../../src/kube/connect.ts';
import { resources } from '../../src/operator/world/cluster-resources.ts';
import { createInstallation, type Installation } from '../../test/support/installation.ts';
import { askRaw } from '../../test/support/raw-client.ts';
import { median } from '../row.ts';
import { type AuditTail, tailAudit, totalOf } from './audit-tail.ts';
import {
  createFleet,
  edit,
  everyVm,
  type FleetSize,
  fleet,
  hostOf,
  itemName,
  itemPath,
  liveHosts,
  marked,
  policyCount,
  vmName,
} from './fleet.ts';
import { type Follower, followStatus } from './follower.ts';
import type { ProbeAnswer } from './probe.ts';
import { type Watched, watched, watchedRuntime } from './watched-process.ts';

export interface RunOptions extends FleetSize {
  /** Seconds at rest. */
  readonly rest: number;
  /** Label changes that are measured. */
  readonly rounds: number;
  /** False: only what two sizes are compared by. */
  readonly whole: boolean;
  /** Arguments for the operator's Node, such as a profiler's. */
  readonly node: readonly string[];
  /** What else is done while all is at rest, to save time; only writes are counted then. */
  readonly meanwhile?: (() => Promise<void>) | undefined;
}

/** Seconds unless said otherwise. */
export interface FleetFigures {
  readonly create: number;
  /** An operator that finds an empty datastore and objects without status. */
  readonly first: { readonly served: number; readonly ready: number; readonly writes: number };
  readonly label: EditCost;
  readonly item: { readonly latency: number; readonly writes: number };
  readonly policy: {
    readonly enforced: number;
    readonly slowestOther: number;
    readonly wave: number;
    readonly writes: number;
  };
  /** From the start of an operator that finds all as it was, but for one edit, to that edit served and Ready. */
  readonly restart: number;
  readonly rest: { readonly seconds: number; readonly writes: number; readonly cpu: number };
  /** Bytes: what is needed at rest, and the most that was ever in use or held. */
  readonly memory: { readonly heap: number; readonly mostHeap: number; readonly mostRss: number };
  readonly connections: { readonly most: number; readonly atRest: number };
  /** By what went on. */
  readonly loops: readonly LoopDelay[];
}

/** What one label change costs, over what the process costs anyway. */
interface EditCost {
  /** From the answer of the API server to the new decision at the VM's socket. */
  readonly latency: number;
  readonly operatorCpu: number;
  readonly daemonCpu: number;
}

export interface LoopDelay {
  readonly process: 'operator' | 'daemon';
  readonly during: string;
  readonly loop: ProbeAnswer['loop'];
}

const user = 'system:serviceaccount:gueststore-system:gueststore-operator';
/** Milliseconds. */
const tooLong = 900_000;
/** Milliseconds without a write after which a wave of statuses is over. */
const quiet = 2_000;

interface Ground {
  readonly options: RunOptions;
  readonly installation: Installation;
  readonly client: Client;
  readonly follower: Follower;
  readonly audit: AuditTail;
  readonly say: (text: string) => void;
}

/** One installation with the real operator and a daemon for each live host, from nothing to rest. */
export async function runFleet(options: RunOptions, say: (text: string) => void): Promise<FleetFigures> {
  await using installation = await createInstallation({ checked: false });
  const { server, folder } = installation;
  const { client } = await connect({ kubeconfig: server.kubeconfig, userAgent: 'bench' });
  await using closing = new AsyncDisposableStack();
  closing.use(client);

  const begun = performance.now();
  await createFleet(client, options);
  const create = since(begun);
  say(`${options.items} items and ${options.vms} VMs created in ${create.toFixed(1)} s`);
  const follower = closing.use(await followStatus(client));
  const ground = { options, installation, client, follower, audit: await tailAudit(server.auditFile, user), say };

  const daemons: Watched[] = [];
  for (const host of liveHosts) {
    daemons.push(watched(folder, host, await installation.startDaemon(host, watchedRuntime(folder, host))));
  }
  const [daemon] = daemons;
  if (daemon === undefined) throw new Error('no daemon');
  const startOperator = async () =>
    watched(folder, 'operator', await installation.startOperator(watchedRuntime(folder, 'operator', options.node)));

  const port = Number(new URL(server.url).port);
  let started = performance.now();
  let operator = await startOperator();
  const connections = closing.use(countConnections(() => operator, port));
  const loops: LoopDelay[] = [];
  const note = async (during: string) => {
    for (const [name, { ask }] of [
      ['operator', operator],
      ['daemon', daemon],
    ] as const) {
      loops.push({ process: name, during, loop: (await ask()).loop });
    }
  };

  const firstServed = (async () => {
    await answers(0, itemPath(options.items - 1), '200');
    return since(started);
  })();
  const count = options.items + options.vms + policyCount + 1;
  const ready = (await follower.allReady(count)) - started;
  const first = { served: await firstServed, ready: ready / 1000, writes: await writesUntilQuiet(ground) };
  say(`first start: served after ${first.served.toFixed(1)} s, all Ready after ${first.ready.toFixed(1)} s`);
  await note('first start');

  const label = await measureLabels(ground, operator, daemon);
  say(`label change: ${ms(label.latency)}, CPU ${ms(label.operatorCpu)} + ${ms(label.daemonCpu)}`);
  await note('label changes');
  const item = await measureItem(ground);
  say(`item edit: ${ms(item.latency)}, ${item.writes} writes`);
  const policy = await measurePolicy(ground);
  say(
    `policy of all: ${ms(policy.enforced)}, others ${ms(policy.slowestOther)}, ${policy.writes} writes in ${policy.wave.toFixed(1)} s`,
  );
  await note('policy of all VMs');

  let restart = Number.NaN;
  let most = { heap: 0, rss: 0 };
  if (options.whole) {
    most = mostOf(await operator.ask());
    await operator.program.stop();
    const generation = await editItem(client, 1, 'edited while nobody looked');
    started = performance.now();
    operator = await startOperator();
    restart = ((await follower.readyAt('ContentItem', itemName(1), generation)) - started) / 1000;
    say(`restart: ${restart.toFixed(1)} s`);
    await writesUntilQuiet(ground);
    await note('restart');
  }

  await ground.audit.writes();
  const cpu = operator.cpu();
  const resting = performance.now();
  await Promise.all([delay(options.rest * 1000), options.meanwhile?.()]);
  const seconds = since(resting);
  const writes = await ground.audit.writes();
  for (const [what, times] of writes) say(`written at rest: ${what} ${times} times`);
  const rest = { seconds, writes: totalOf(writes), cpu: operator.cpu() - cpu };
  const atRest = operator.connections(port);
  if (options.meanwhile === undefined) await note('rest');
  const latest = mostOf(await operator.ask());
  const { heapUsed: heap } = await operator.ask(true);
  return {
    create,
    first,
    label,
    item,
    policy,
    restart,
    rest,
    memory: { heap, mostHeap: Math.max(most.heap, latest.heap), mostRss: Math.max(most.rss, latest.rss) },
    connections: { most: connections.most, atRest },
    loops,
  };

  async function answers(vm: number, path: string, wanted: string): Promise<void> {
    await untilAnswers(installation, options, vm, path, wanted);
  }
}

async function measureLabels(ground: Ground, operator: Watched, daemon: Watched): Promise<EditCost> {
  const { options, installation, client } = ground;
  const pace = 1_000;
  const cpus = () => [operator.cpu(), daemon.cpu()] as const;
  const idleFrom = cpus();
  await delay(options.rounds * pace);
  const from = cpus();
  const times: number[] = [];
  for (let round = 0; round < options.rounds; round += 1) {
    // The big host's, whose daemon is the watched one: each ten apart, the last of the hundred are of a dead host.
    const vm = 10 * ((round >> 1) % 9);
    const edited = round % 2 === 0 ? marked.edited : 'no';
    await edit(client, resources.GuestVM, vmName(vm), { metadata: { labels: { edited } } });
    const applied = performance.now();
    await untilAnswers(installation, options, vm, itemPath(0), edited === 'no' ? '200' : '403');
    times.push(since(applied));
    await delay(Math.max(0, pace - (performance.now() - applied)));
  }
  const to = cpus();
  const cost = (index: 0 | 1) => (to[index] - from[index] - (from[index] - idleFrom[index])) / options.rounds;
  return { latency: median(times), operatorCpu: Math.max(0, cost(0)), daemonCpu: Math.max(0, cost(1)) };
}

async function measureItem(ground: Ground): Promise<FleetFigures['item']> {
  await ground.audit.writes();
  const began = performance.now();
  const generation = await editItem(ground.client, 2, 'edited once');
  const at = await ground.follower.readyAt('ContentItem', itemName(2), generation);
  return { latency: (at - began) / 1000, writes: await writesUntilQuiet(ground) };
}

/** One edit that concerns every VM, and people who go on editing other things until the last status is written. */
async function measurePolicy(ground: Ground): Promise<FleetFigures['policy']> {
  const { options, installation, client, follower } = ground;
  await ground.audit.writes();
  const path = itemPath(27);
  const sampled = Array.from({ length: options.vms }, (_, index) => index).filter(
    (index) => index % Math.ceil(options.vms / 60) === 0 && liveHosts.includes(hostOf(index, options)),
  );
  await edit(client, resources.VMAccessPolicy, everyVm, { spec: { deny: ['/never/.*', '/content/27/.*'] } });
  const applied = performance.now();
  let over = false;
  const enforced = Promise.all(sampled.map((vm) => untilAnswers(installation, options, vm, path, '403'))).then(() =>
    since(applied),
  );
  const others: number[] = [];
  const editing = (async () => {
    for (let round = 0; !over; round += 1) {
      const began = performance.now();
      const generation = await editItem(client, 3, `edited in round ${round}`);
      const ready = follower.readyAt('ContentItem', itemName(3), generation);
      const vm = 1 + 10 * (round % 3);
      const edited = Math.floor(round / 3) % 2 === 0 ? marked.edited : 'no';
      await edit(client, resources.GuestVM, vmName(vm), { metadata: { labels: { edited } } });
      await untilAnswers(installation, options, vm, itemPath(0), edited === 'no' ? '200' : '403');
      others.push(since(began), ((await ready) - began) / 1000);
      await delay(500);
    }
  })();
  const time = await enforced;
  let [writes, statuses] = [0, 0];
  // Each VM says which rules it has: the wave is over when all have.
  while (statuses < options.vms && since(applied) * 1000 < tooLong) {
    await delay(200);
    const more = await ground.audit.writes();
    writes += totalOf(more);
    statuses += more.get('patch guestvms/status') ?? 0;
  }
  const wave = since(applied);
  over = true;
  await editing;
  await writesUntilQuiet(ground);
  return { enforced: time, slowestOther: Math.max(...others), wave, writes };
}

async function editItem(client: Client, index: number, text: string): Promise<number> {
  return await edit(client, resources.ContentItem, itemName(index), { spec: { source: { inline: { text } } } });
}

/** Counts until nothing was written for a while. */
async function writesUntilQuiet({ audit }: Ground): Promise<number> {
  let sum = 0;
  for (;;) {
    await delay(quiet);
    const more = totalOf(await audit.writes());
    sum += more;
    if (more === 0) return sum;
  }
}

async function untilAnswers(
  installation: Installation,
  size: FleetSize,
  vm: number,
  path: string,
  wanted: string,
): Promise<void> {
  const socket = installation.socket(hostOf(vm, size), fleet, vmName(vm));
  const deadline = performance.now() + tooLong;
  for (;;) {
    const answer = await askRaw(socket, `GET ${path} HTTP/1.1\r\n\r\n`).catch(() => undefined);
    const status = answer?.text.slice(9, 12);
    if (status === wanted) return;
    if (performance.now() > deadline) throw new Error(`${socket} answers ${status} for ${path}, not ${wanted}`);
    await delay(5);
  }
}

/** The most connections to the API server that the operator of the moment was ever seen with, looked at once a second. */
function countConnections(operator: () => Watched, port: number): Disposable & { readonly most: number } {
  let most = 0;
  const look = () => {
    try {
      most = Math.max(most, operator().connections(port));
    } catch {
      // Between two operators there is none.
    }
  };
  const timer = setInterval(look, 1_000);
  return {
    get most() {
      return most;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

function mostOf({ mostHeap, mostRss }: ProbeAnswer): { readonly heap: number; readonly rss: number } {
  return { heap: mostHeap, rss: mostRss };
}

function since(moment: number): number {
  return (performance.now() - moment) / 1000;
}

function ms(seconds: number): string {
  return `${Math.round(seconds * 1000)} ms`;
}
