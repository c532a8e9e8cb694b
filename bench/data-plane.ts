import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { availableParallelism, homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Entry } from '../src/core/catalog.ts';
import { type ContentPath, parseContentPath } from '../src/core/content-path.ts';
import type { RuleSet, VmRow } from '../src/core/settings.ts';
import { ruleSetDigest } from '../src/store/canonical.ts';
import type { StoreWriter } from '../src/store/types.ts';
import { createStoreWriter } from '../src/store/writer.ts';
import { type BenchRow, median } from './row.ts';

/**
 * The daemon beside nginx: the same files over as many Unix sockets, both on one core, the generator on another, in rounds
 * that take turns. Ratios are medians of what each round's pair gives; CPU is the server's own, from the kernel.
 */

const root = fileURLToPath(new URL('..', import.meta.url));
const host = 'bench-host';
const repository = 'bench/main';
const sockets = 256;
/** Odd, so that a median is one that was measured. */
let rounds = 7;
/** The part of a goal that noise may cost. */
const slack = 1.15;
const megabyte = 1024 * 1024;

const contents = { '/config/small.txt': 1024, '/big/10m.bin': 10 * megabyte, '/big/256m.bin': 256 * megabyte } as const;
type Content = keyof typeof contents;

/** What one run of the generator came to. */
interface Run {
  readonly answered: number;
  readonly bytes: number;
  readonly seconds: number;
  /** Server CPU, seconds. */
  readonly cpu: number;
}

interface Server {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly sockets: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

export async function dataPlaneRows(short = false): Promise<BenchRow[]> {
  if (short) rounds = 3;
  const folder = await mkdtemp(join(tmpdir(), 'gs-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(folder, { recursive: true, force: true }));

  const load = compileLoad();
  const datastore = join(folder, 'ds');
  const writer = await createStoreWriter({
    folder: datastore,
    installation: 'bench',
    claim: 'lazy',
    now: () => new Date(),
    create: true,
  });
  stack.defer(() => writer.close());
  await publishContents(writer, join(folder, 'www'));
  await publishVms(writer, 0, sockets);

  return [...(await comparedRows(folder, datastore, load)), ...(await memoryRows(folder, datastore, writer))];
}

/** Rows that stand beside nginx. */
async function comparedRows(folder: string, datastore: string, load: string): Promise<BenchRow[]> {
  await using stack = new AsyncDisposableStack();
  const ours = await startDaemon(stack, join(folder, 'run'), datastore);
  const nginx = await startNginx(stack, folder);
  const compare = (seconds: number, clients: number, over: number, path: Content) =>
    measurePairs(load, ours, nginx, seconds, clients, over, path);

  // Both have their code compiled and their files in the page cache.
  await compare(1, 64, sockets, '/config/small.txt');
  const rows: BenchRow[] = [];
  for (const clients of [1, 16, 256]) {
    const pairs = await compare(1, clients, clients, '/config/small.txt');
    const what = `1 KiB, new connection, ${clients} at once`;
    rows.push(atMost('G1', `${what}: CPU a request vs nginx`, 2.0, pairs, cpuPerRequest, microseconds));
    rows.push(atLeast('G2', `${what}: requests/s vs nginx`, 0.5, pairs, requestsPerSecond, perSecond));
  }
  const many = await compare(1, 64, sockets, '/config/small.txt');
  rows.push(
    atMost('G4', '256 VM sockets, 64 clients: CPU a request vs nginx', 1.35, many, cpuPerRequest, microseconds),
  );
  const ten = await compare(1, 1, 1, '/big/10m.bin');
  rows.push(atLeast('G8', '10 MiB, one stream: GB/s vs nginx', 0.5, ten, gigabytesPerSecond, gigabytes));
  rows.push(atMost('G8', '10 MiB, one stream: CPU/GB vs nginx', 4.5, ten, cpuPerGigabyte, milliseconds));
  const huge = await compare(1.5, 1, 1, '/big/256m.bin');
  rows.push(atLeast('G9', '256 MiB, one stream: GB/s vs nginx', 0.65, huge, gigabytesPerSecond, gigabytes));
  rows.push(atMost('G9', '256 MiB, one stream: CPU/GB vs nginx', 3.3, huge, cpuPerGigabyte, milliseconds));
  return rows;
}

// What a run is judged by.

const cpuPerRequest = ({ cpu, answered }: Run) => cpu / answered;
const requestsPerSecond = ({ answered, seconds }: Run) => answered / seconds;
const cpuPerGigabyte = ({ cpu, bytes }: Run) => cpu / (bytes / 1e9);
const gigabytesPerSecond = ({ bytes, seconds }: Run) => bytes / 1e9 / seconds;

const microseconds = (value: number) => `${(value * 1e6).toFixed(1)} us`;
const milliseconds = (value: number) => `${(value * 1e3).toFixed(0)} ms`;
const perSecond = (value: number) => `${value.toFixed(0)}/s`;
const gigabytes = (value: number) => `${value.toFixed(2)} GB/s`;

interface Pair {
  readonly ours: Run;
  readonly nginx: Run;
}

type Judge = (run: Run) => number;
type Show = (value: number) => string;

function atMost(id: string, what: string, goal: number, pairs: readonly Pair[], judge: Judge, show: Show): BenchRow {
  const ratio = median(pairs.map(({ ours, nginx }) => judge(ours) / judge(nginx)));
  return {
    id,
    what,
    budget: `<= ${goal} (+15 %)`,
    measured: measuredOf(pairs, judge, show),
    ratio,
    pass: ratio <= goal * slack,
  };
}

function atLeast(id: string, what: string, goal: number, pairs: readonly Pair[], judge: Judge, show: Show): BenchRow {
  const ratio = median(pairs.map(({ ours, nginx }) => judge(ours) / judge(nginx)));
  return {
    id,
    what,
    budget: `>= ${goal} (-15 %)`,
    measured: measuredOf(pairs, judge, show),
    ratio,
    pass: ratio >= goal / slack,
  };
}

function measuredOf(pairs: readonly Pair[], judge: Judge, show: Show): string {
  const ours = median(pairs.map((pair) => judge(pair.ours)));
  const nginx = median(pairs.map((pair) => judge(pair.nginx)));
  return `${show(ours)}, nginx ${show(nginx)}`;
}

async function measurePairs(
  load: string,
  ours: Server,
  nginx: Server,
  seconds: number,
  clients: number,
  over: number,
  path: Content,
): Promise<Pair[]> {
  const pairs: Pair[] = [];
  for (let round = 0; round < rounds; round += 1) {
    // Who goes first changes, so that a slow moment of the machine does not always meet the same one.
    const first = round % 2 === 0;
    const before = first ? await measure(load, ours, seconds, clients, over, path) : undefined;
    const theirs = await measure(load, nginx, seconds, clients, over, path);
    pairs.push({ ours: before ?? (await measure(load, ours, seconds, clients, over, path)), nginx: theirs });
  }
  return pairs;
}

async function measure(
  load: string,
  server: Server,
  seconds: number,
  clients: number,
  over: number,
  path: Content,
): Promise<Run> {
  const before = cpuOf(server);
  const [program, args] = pinned(1, load, [`${seconds}`, `${clients}`, path, ...server.sockets.slice(0, over)]);
  const { stdout } = await promisify(execFile)(program, args, { env: { ...process.env, ...server.environment } });
  const run = JSON.parse(stdout) as Omit<Run, 'cpu'> & { readonly failed: number };
  if (run.failed > 0 || run.answered === 0) throw new Error(`load on ${server.sockets[0]} ${path}: ${stdout}`);
  return { ...run, cpu: cpuOf(server) - before };
}

/** Seconds on a processor of all threads, in nanoseconds' resolution where the kernel keeps it. */
function cpuOf({ pid }: Server): number {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const nanoseconds = tasks.map((task) =>
    Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'latin1').split(' ')[0]),
  );
  return nanoseconds.reduce((sum, value) => sum + value, 0) / 1e9;
}

/** Bytes. */
function residentOf({ pid }: Server): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

/** On one processor, where there is more than one. */
function pinned(processor: number, program: string, args: readonly string[]): [string, string[]] {
  return availableParallelism() > 1 ? ['taskset', ['-c', `${processor}`, program, ...args]] : [program, [...args]];
}

function compileLoad(): string {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'gueststore-operator');
  mkdirSync(cache, { recursive: true });
  const program = join(cache, 'bench-load');
  execFileSync('gcc', ['-O2', '-Wall', '-Wextra', '-o', program, join(root, 'bench/load/load.c')]);
  return program;
}

// The datastore that both serve from, and nginx's copy of it.

const policy = { kind: 'VMAccessPolicy', namespace: 'bench', name: 'policy' };
const record = (pattern: string, index: number) => ({ pattern, match: 'Whole', policy, index }) as const;

/** Ten rules, of which the requests meet the last grant. */
const rules: RuleSet = {
  grant: ['.*/vmtools-11/.*', '/apps/[a-z]+/.*\\.json', '.*/agents/.*', '/(config|big)/.*'].map(record),
  deny: ['.*/vmtools-10/.*', '.*/private/.*', '/tmp/.*', '.*\\.bak', '/old/.*', '.*'].map(record),
  ceiling: null,
};

async function publishContents(writer: StoreWriter, www: string): Promise<void> {
  const entries = new Map<ContentPath, Entry>();
  for (const [path, size] of Object.entries(contents)) {
    const bytes = Buffer.alloc(size, `${path} `);
    const file = join(www, path);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, bytes);
    const blob = await writer.putBlob([bytes], { maxSize: size }, AbortSignal.timeout(60_000));
    const since = '2026-01-01T00:00:00Z';
    entries.set(parseContentPath(path), { state: 'stored', claim: 'bench/item', since, ...blob });
  }
  const row = { root: 'bench', plainTree: 'None', authoritative: true } as const;
  await publish(writer, {
    repositories: new Map([[repository, row]]),
    entries: new Map([[repository, entries]]),
    vms: new Map(),
    ruleSets: new Map(),
  });
}

function publishVms(writer: StoreWriter, from: number, to: number): Promise<void> {
  const ruleSet = ruleSetDigest(rules);
  const vms = new Map<string, VmRow>();
  for (let index = from; index < to; index += 1) {
    const channel = { kind: 'hybridUDS', path: `${index}`, port: 1024 } as const;
    vms.set(`bench/vm-${index}`, { host, channel, repository, ruleSet, enabled: true, refused: null });
  }
  return publish(writer, { repositories: new Map(), entries: new Map(), vms, ruleSets: new Map([[ruleSet, rules]]) });
}

async function publish(writer: StoreWriter, change: Parameters<StoreWriter['publish']>[0]): Promise<void> {
  await writer.publish(change, { kind: 'observed', summary: 'benchmark' }, AbortSignal.timeout(60_000));
}

// The two servers, each with all its sockets on one processor.

async function startDaemon(stack: AsyncDisposableStack, runDir: string, datastore: string): Promise<Server> {
  const args = ['daemon', '--datastore', datastore, '--host', host, '--run-dir', runDir];
  const child = start(stack, 'node', [buildProgram(), ...args]);
  const paths = Array.from({ length: sockets }, (_, index) => join(runDir, 'bench', `${index}_1024`));
  await acknowledged(datastore, child, sockets, join(runDir, 'bench'));
  return { child, pid: await pidOf(child), sockets: paths, environment: {} };
}

/** The program as it is shipped, JavaScript, in a folder of its own: `dist/` may be built by others meanwhile. */
function buildProgram(): string {
  const folder = join(root, 'node_modules/.cache/gueststore-bench');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"type":"module","version":"0.0.0"}');
  const tsc = join(root, 'node_modules/.bin/tsc');
  execFileSync(tsc, ['--project', join(root, 'tsconfig.build.json'), '--outDir', join(folder, 'dist')]);
  return join(folder, 'dist/main.js');
}

async function startNginx(stack: AsyncDisposableStack, folder: string): Promise<Server> {
  const home = join(folder, 'nginx');
  mkdirSync(home);
  const paths = Array.from({ length: sockets }, (_, index) => join(home, `${index}`));
  // Logging as we do: a line for each request, written in blocks.
  writeFileSync(
    join(home, 'conf'),
    `daemon off; master_process off; worker_processes 1; worker_rlimit_nofile 16384; pid ${home}/pid;
     events { worker_connections 8192; }
     http {
       access_log ${home}/access.log combined buffer=64k flush=1s; sendfile on; keepalive_timeout 0;
       default_type application/octet-stream;
       server { root ${join(folder, 'www')}; ${paths.map((path) => `listen unix:${path};`).join(' ')} }
     }`,
  );
  const child = start(stack, 'nginx', ['-p', home, '-c', join(home, 'conf'), '-e', join(home, 'error.log')]);
  await until('nginx listens', child, () => readdirSync(home).includes(`${sockets - 1}`));
  return { child, pid: await pidOf(child), sockets: paths, environment: { WITH_HOST: '1' } };
}

function start(stack: AsyncDisposableStack, program: string, args: readonly string[]): ChildProcess {
  const [pinnedProgram, pinnedArgs] = pinned(0, program, args);
  const child = spawn(pinnedProgram, pinnedArgs, { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  stack.defer(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  return child;
}

/** `taskset` becomes the program that it starts. */
function pidOf(child: ChildProcess): Promise<number> {
  return child.pid === undefined ? Promise.reject(new Error('not started')) : Promise.resolve(child.pid);
}

async function until(what: string, child: ChildProcess, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!holds()) {
    if (child.exitCode !== null) throw new Error(`${what}: ended with ${child.exitCode}`);
    if (performance.now() > deadline) throw new Error(`${what}: not within 30 s`);
    await delay(20);
  }
}

/** The daemon says that it serves the newest revision, and as many sockets stand there. */
async function acknowledged(datastore: string, child: ChildProcess, count: number, folder: string): Promise<void> {
  const newest = Math.max(...readdirSync(join(datastore, '.gueststore/commits')).map(Number));
  await until(`revision ${newest} is served`, child, () => {
    const hosts = join(datastore, '.gueststore/hosts', host);
    try {
      const files = readdirSync(hosts).filter((name) => /^[^.].*\.json$/.test(name));
      const seqs = files.map((name) => (JSON.parse(readFileSync(join(hosts, name), 'utf8')) as { seq: number }).seq);
      return seqs.includes(newest) && readdirSync(folder).filter((name) => !name.startsWith('.')).length >= count;
    } catch {
      return false;
    }
  });
}

// Memory.

/** Each in a daemon of its own that has done nothing else: what one load left free would hide the next. */
async function memoryRows(folder: string, datastore: string, writer: StoreWriter): Promise<BenchRow[]> {
  const idle = sockets * 8;
  const base = await grownBy(folder, datastore, () => Promise.resolve([]));
  const connections = await grownBy(folder, datastore, (daemon) => hold(daemon, idle, ''));
  const stalled = await grownBy(folder, datastore, (daemon) => hold(daemon, 64, 'GET /big/256m.bin HTTP/1.1\r\n\r\n'));
  const more = 2744;
  const listening = await grownBy(folder, datastore, async (daemon) => {
    await publishVms(writer, sockets, sockets + more);
    await acknowledged(datastore, daemon.child, sockets + more, join(daemon.sockets[0] ?? '', '..'));
    return [];
  });
  return [
    memoryRow('base, 256 VMs', 70 * megabyte, base.before, 1),
    memoryRow('an idle connection', 8 * 1024, (connections.after - connections.before) / idle, 3),
    memoryRow('a listening socket with its VM', 12 * 1024, (listening.after - listening.before) / more, 3),
    memoryRow('64 stalled downloads of 256 MiB', 16 * megabyte, stalled.after - stalled.before, 3),
  ];
}

/** Resident bytes of a new daemon before and after `grow`, which gives back what is let go in the end. */
async function grownBy(
  folder: string,
  datastore: string,
  grow: (daemon: Server) => Promise<readonly Socket[]>,
): Promise<{ readonly before: number; readonly after: number }> {
  await using stack = new AsyncDisposableStack();
  const daemon = await startDaemon(stack, join(folder, 'mem'), datastore);
  const before = await settledResident(daemon);
  const held = await grow(daemon);
  const after = await settledResident(daemon);
  for (const socket of held) socket.destroy();
  return { before, after };
}

/** `order`: how many times the goal still counts as its order of magnitude, which is what is asked of this transport. */
function memoryRow(what: string, goal: number, measured: number, order: number): BenchRow {
  const show = (bytes: number) =>
    bytes >= megabyte ? `${(bytes / megabyte).toFixed(1)} MB` : `${(bytes / 1024).toFixed(1)} KB`;
  const ratio = measured / goal;
  const budget = order === 1 ? `${show(goal)} (+15 %)` : `order of ${show(goal)}`;
  return { id: 'G13', what: `memory: ${what}`, budget, measured: show(measured), ratio, pass: ratio <= order * slack };
}

/** Resident bytes once they have stopped to grow. */
async function settledResident(server: Server): Promise<number> {
  let last = residentOf(server);
  for (let look = 0; look < 20; look += 1) {
    await delay(250);
    const next = residentOf(server);
    if (Math.abs(next - last) < 256 * 1024) return next;
    last = next;
  }
  return last;
}

/** Connections, spread over all sockets, that send `request` and read nothing. */
async function hold(server: Server, count: number, request: string): Promise<Socket[]> {
  const held: Socket[] = [];
  for (let index = 0; index < count; index += 1) {
    const socket = connect(server.sockets[index % server.sockets.length] ?? '');
    socket.pause();
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    socket.on('error', () => undefined);
    if (request !== '') socket.write(request);
    held.push(socket);
  }
  return held;
}

if (import.meta.main) {
  console.table(await dataPlaneRows(), ['id', 'what', 'budget', 'measured', 'ratio', 'pass']);
}
