import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../eventually.ts';
import { createInstallation, type Installation } from '../installation.ts';
import { clientFor } from '../kubernetes/clients.ts';
import { newestCommit, readJournal } from './journal.ts';
import { createOperators, type Operator, type Operators } from './operators.ts';
import { createRandom, pick } from './seeded.ts';
import { createWorkload } from './workload.ts';

export interface HandoverOptions {
  readonly rounds: number;
  readonly seed: number;
  readonly leaseSeconds: number;
  readonly say: (line: string) => void;
}

const kinds = ['SIGTERM', 'kill -9', 'SIGSTOP', 'Lease deleted'] as const;
type Kind = (typeof kinds)[number];

const namespace = 'handovers';
/** Milliseconds that everything has at the end to be as it was asked for. */
const patience = 120_000;

/**
 * Takes the Lease from one operator after another while somebody edits all the time, and gives back a line of figures. Throws
 * when in the end anything is not as it was asked for, or when the datastore's journal shows two writers at a time.
 */
export async function runHandovers(options: HandoverOptions): Promise<string> {
  const random = createRandom(options.seed);
  await using installation = await createInstallation();
  await using admin = clientFor(installation.server);
  await using operators = createOperators(installation, admin, options.leaseSeconds);
  await installation.kubectl(['create', 'namespace', namespace]);
  await installation.startDaemon('host-a');
  for (let count = 0; count < 3; count += 1) await operators.start();
  await operators.leader();

  const stop = new AbortController();
  const workload = createWorkload(admin, namespace, random);
  const editing = workload.run(stop.signal);
  const gaps = new Map<Kind, number[]>(kinds.map((kind) => [kind, []]));
  const rounds = async () => {
    for (let round = 1; round <= options.rounds; round += 1) {
      const kind = pick(kinds, random);
      const gap = await handOver(kind, operators, installation, random);
      gaps.get(kind)?.push(gap);
      options.say(`round ${round}: ${kind}, ${seconds(gap)} without a leader, ${workload.edits} edits`);
    }
  };
  await Promise.race([rounds(), editing]).finally(() => stop.abort());
  await editing;

  await workload.matches(installation.datastore, patience);
  for (const { identity, program } of operators.all) {
    if (program.exitCode !== undefined) throw new Error(`${identity} has ended: ${program.output.slice(-2_000)}`);
  }
  const { commits, writers, claims } = await readJournal(installation.datastore);
  const longest = kinds.map((kind) => {
    const all = gaps.get(kind) ?? [];
    return `${all.length} x ${kind}${all.length === 0 ? '' : ` (${seconds(Math.max(...all))})`}`;
  });
  return [
    `hand-overs: ${options.rounds} rounds, seed ${options.seed}, Lease of ${options.leaseSeconds} s`,
    `${longest.join(', ')} (longest time without a leader)`,
    `${workload.edits} edits in ${commits.length} commits, ${writers.size} epochs by ${new Set(writers.values()).size} operators, ${claims} empty claims`,
    'all is as it was asked for, never two writers',
  ].join('; ');
}

/** One change of leaders; milliseconds without one. Whoever was killed is replaced in the background. */
async function handOver(
  kind: Kind,
  operators: Operators,
  { datastore }: Installation,
  random: () => number,
): Promise<number> {
  const leader = await operators.leader();
  await operators.standby(leader);
  await committed(datastore, leader);
  await delay(random() * 300);
  const begun = performance.now();
  if (kind === 'Lease deleted') {
    await operators.deleteLease();
    return performance.now() - begun;
  }
  if (kind === 'SIGSTOP') {
    process.kill(leader.program.pid, 'SIGSTOP');
    const next = await operators.leader(leader);
    const gap = performance.now() - begun;
    await committed(datastore, next);
    await delay(random() * 300);
    process.kill(leader.program.pid, 'SIGCONT');
    await eventually(() => leader.program.lines('leadership lost').at(-1), patience);
    return gap;
  }
  const ending = kind === 'SIGTERM' ? leader.program.stop() : leader.program.kill();
  operators.forget(leader);
  await operators.leader(leader);
  const gap = performance.now() - begun;
  const code = await ending;
  if (kind === 'SIGTERM' && code !== 0)
    throw new Error(`${leader.identity} ended with ${code}: ${leader.program.output}`);
  await operators.start();
  return gap;
}

/** Resolves when that operator has committed something since it leads. */
async function committed(datastore: string, { identity }: Operator): Promise<void> {
  await eventually(async () => ((await newestCommit(datastore))?.by === identity ? true : undefined), patience);
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
