import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Kind } from '../../src/api/resources.generated.ts';
import type { ShownStatus } from '../../src/core/status-faults.ts';
import { checkStatus } from '../support/conditions.ts';
import { ask, bare } from '../support/daemon.ts';
import { eventually } from '../support/eventually.ts';
import { type HttpServer, startHttpServer } from '../support/http-server.ts';
import { createInstallation, type Installation } from '../support/installation.ts';
import { runProgram, startProgram } from '../support/programs.ts';
import { plainFiles } from '../support/store.ts';
import { expectedReasons, foreignFile, servingHost, troubledFleet } from '../support/troubled-fleet.ts';

// The same manifests in a folder under `up` and in a cluster under the operator. What is said and what is served must be
// the same; both are also held against what is expected, so that they cannot be wrong together.

const samples = fileURLToPath(new URL('../../manifests/samples', import.meta.url));
const kinds = [
  'gueststorerepositories',
  'contentitems',
  'vmaccesspolicies',
  'clustervmaccesspolicies',
  'guestvms',
  'gueststorehosts',
];

/** One of the two ways. */
interface Mode {
  /** By kind and key: the whole status but for times and what counts the datastore's own revisions. */
  statuses(): Promise<Statuses>;
  readonly datastore: string;
  readonly socketOf: (vm: string) => string;
  readonly requestLog: string;
}

type Statuses = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

interface Shown {
  readonly kind: Kind;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly generation?: number };
  readonly spec: object;
  readonly status: ShownStatus & Readonly<Record<string, unknown>>;
}

/** By the names of their sockets: of the samples, of the trouble, and one that is nobody's. */
const vms = [
  ...['fleet/web-7', 'fleet/db-1', 'closed/inmate'],
  ...['well', 'internal', 'twin', 'off', 'lost', 'ambiguous', 'unpublished'].map((name) => `trouble/${name}`),
  ...['of-later', 'refused', 'far', 'resting', 'unknown'].map((name) => `trouble/${name}`),
];
const paths = [
  ...['/config/motd.txt', '/config/agent.conf', '/vmware/vmtools-10/agent.bin', '/vmware/vmtools-11/agent.bin'],
  ...['/leaving', '/open', '/shut', '/contested', '/edited', '/suspended', '/foreign.txt', '/too-large', '/word'],
  ...['/wrong-digest', '/no-repository', '/unpublished', '/not-permitted', '/no-configmap', '/no-key', '/secret'],
  ...['/no-file', '/no-answer', '/of-later', '/Gro\u0308\u00dfe', '/nothing', '/config/', '/config/../word', '//word'],
];

const stack = new AsyncDisposableStack();
let http: HttpServer;
let installation: Installation;
let manifests: string;
let up: Mode;
let cluster: Mode;

beforeAll(async () => {
  installation = stack.use(await createInstallation());
  http = stack.use(await startHttpServer());
  manifests = join(installation.folder, 'manifests');
  await cp(join(samples, 'import'), installation.imports, { recursive: true });
  up = await prepareUp();
  cluster = {
    statuses: async () => {
      const list = await installation.kubectl(['get', kinds.join(), '--all-namespaces', '--output', 'json']);
      return statusesOf(list, installation.runDir(servingHost));
    },
    datastore: installation.datastore,
    socketOf: (vm) => join(installation.runDir(servingHost), `${vm}.vsock_1024`),
    requestLog: join(installation.logs(servingHost), 'gstored.log'),
  };
  for (const { datastore } of [up, cluster]) {
    await mkdir(dirname(join(datastore, foreignFile)), { recursive: true });
    await writeFile(join(datastore, foreignFile), 'of somebody else');
  }
  await cp(join(samples, 'fleet'), manifests, { recursive: true });
  await write('first');
  await installation.kubectl(['apply', '--filename', manifests]);
  await installation.kubectl(grant('trouble'));
  await startUp();
  // Under `up` the daemon is there from the start. One that comes later must leave no status behind that says otherwise.
  await installation.startOperator();
  await installation.kubectl('--namespace fleet wait --for=condition=Ready --timeout=30s contentitem/motd'.split(' '));
  await installation.startDaemon(servingHost);
});

afterAll(() => stack.disposeAsync());

describe.each(['first', 'edited'] as const)('of the %s manifests, up and the operator', (version) => {
  beforeAll(async () => {
    if (version === 'first') return;
    await write(version);
    await rm(join(manifests, 'leaving.yaml'));
    await installation.kubectl(['apply', '--filename', manifests]);
    await installation.kubectl(['--namespace', 'fleet', 'delete', 'contentitem/leaving']);
    await installation.kubectl(['--namespace', 'trouble', 'delete', 'contentitem/leaving']);
  });

  test('say the same of every object, kind by kind', async () => {
    const generation = version === 'first' ? 1 : 2;
    await eventually(async () => {
      const [one, other] = await Promise.all([up.statuses(), cluster.statuses()]);
      for (const statuses of [one, other]) {
        expect(reasonsOf(statuses)).toMatchObject(expectedReasons);
        expect(statuses['ContentItem trouble/edited']).toMatchObject({ observedGeneration: generation });
        expect(statuses['VMAccessPolicy trouble/everyone']).toMatchObject({ observedGeneration: generation });
        expect(statuses['ContentItem trouble/leaving'] === undefined).toBe(version === 'edited');
      }
      expect(Object.keys(one)).toEqual(Object.keys(other));
      for (const [name, status] of Object.entries(one)) expect(other[name], name).toEqual(status);
      return true;
    }, 40_000);
  });

  test('decide the same for every VM and path, by the same rules, and serve the same bytes', async () => {
    const [one, other] = [await answersOf(up), await answersOf(cluster)];
    expect(one).toMatchObject(expectedAnswers[version]);
    expect(other).toEqual(one);
  });

  test('show the same files to whoever looks into the datastore', async () => {
    const files = plainFiles(up.datastore);
    expect(files).toMatchObject({
      [foreignFile]: 'of somebody else',
      'Trouble/contested': 'conflict-a',
      'Vault/shut': 'shut',
    });
    await eventually(() => {
      expect(plainFiles(cluster.datastore)).toEqual(files);
      return true;
    });
  });
});

const trouble = 'status 503';
const [denied, absent] = ['status 403', 'status 404'];
/** By VM and path, where it is worth saying what is right. */
const expectedAnswers = {
  first: {
    'fleet/web-7 /vmware/vmtools-10/agent.bin': { answer: denied, rule: '.*', policy: 'VMAccessPolicy/fleet/web#0' },
    'fleet/db-1 /vmware/vmtools-10/agent.bin': { decision: 'grant', rule: null },
    'fleet/db-1 /leaving': { answer: 'leaving at once' },
    'trouble/well /contested': { answer: 'conflict-a' },
    'trouble/well /word': { answer: denied, rule: '/word', policy: 'VMAccessPolicy/trouble/everyone#0' },
    'trouble/well /edited': { answer: 'first' },
    'trouble/well /leaving': { answer: 'leaving' },
    'trouble/well /no-configmap': { answer: trouble },
    'trouble/well /wrong-digest': { answer: trouble },
    'trouble/well /foreign.txt': { answer: trouble },
    'trouble/well /suspended': { answer: trouble },
    'trouble/well /of-later': { answer: trouble },
    'trouble/internal /suspended': { answer: denied, policy: 'ClusterVMAccessPolicy/all-trouble#0' },
    'trouble/twin /contested': { answer: trouble },
    'trouble/off /contested': { answer: trouble },
    'trouble/lost /contested': { answer: trouble },
    'trouble/refused /contested': { answer: 'no channel' },
    'closed/inmate /open': { answer: 'open', rule: '/open' },
    'closed/inmate /shut': { answer: denied, rule: '.*', policy: 'GuestStoreRepository/closed/vault#0' },
  },
  edited: {
    'fleet/db-1 /leaving': { answer: absent },
    'trouble/well /leaving': { answer: 'leaving' },
    'trouble/well /word': { answer: 'word, edited' },
    'trouble/well /edited': { answer: denied, rule: '/edited', policy: 'VMAccessPolicy/trouble/everyone#1' },
  },
};

async function prepareUp(): Promise<Mode> {
  const datastore = join(installation.folder, 'up');
  const runDir = join(installation.folder, 'up-run');
  await mkdir(datastore);
  return {
    statuses: async () => {
      const list = await runProgram(['get', 'all', '--datastore', datastore, '--output', 'json']);
      return statusesOf(list, runDir);
    },
    datastore,
    socketOf: (vm) => join(runDir, `${vm}.vsock_1024`),
    requestLog: join(runDir, 'log', 'gstored.log'),
  };
}

async function startUp(): Promise<void> {
  const places = [
    '--manifests',
    manifests,
    '--datastore',
    up.datastore,
    '--run-dir',
    join(installation.folder, 'up-run'),
  ];
  stack.use(await startProgram(['up', ...places, '--host', servingHost, '--import-dir', installation.imports]));
}

async function write(version: 'first' | 'edited'): Promise<void> {
  for (const [name, text] of Object.entries(troubledFleet(http, version))) await writeFile(join(manifests, name), text);
}

/** What a namespace does whose items take content from Secrets. */
function grant(namespace: string): readonly string[] {
  const role = [
    '--clusterrole',
    'gueststore-source-reader',
    '--serviceaccount',
    'gueststore-system:gueststore-operator',
  ];
  return ['--namespace', namespace, 'create', 'rolebinding', 'gueststore-source-reader', ...role];
}

/** From a list in JSON. The two daemons may not share a run folder, and say what theirs is where they refuse a channel. */
function statusesOf(list: string, runDir: string): Statuses {
  const { items } = JSON.parse(list.replaceAll(runDir, '/run/gueststore')) as { items: readonly Shown[] };
  const named = items.map((object) => {
    const { kind, metadata, status } = object;
    const name = `${kind} ${metadata.namespace === undefined ? '' : `${metadata.namespace}/`}${metadata.name}`;
    const { conditions = [] } = status;
    checkStatus(kind, name, object);
    // Each datastore counts its own revisions, and a file's revision is its place on disk.
    const { revision: _, sourceRevision: __, ...rest } = status;
    return [name, { ...rest, conditions: conditions.map((one) => ({ ...one, lastTransitionTime: '' })) }] as const;
  });
  return Object.fromEntries(named.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function reasonsOf(statuses: Statuses): Readonly<Record<string, unknown>> {
  const reasons = Object.entries(statuses).map(([name, { conditions }]) => {
    const ready = (conditions as NonNullable<ShownStatus['conditions']>).find(({ type }) => type === 'Ready');
    return [name, ready?.reason];
  });
  return Object.fromEntries(reasons);
}

interface Answered {
  /** The body, or the status where there is none. */
  readonly answer: string;
  readonly decision?: unknown;
  readonly rule?: unknown;
  readonly policy?: unknown;
  readonly digest?: unknown;
}

/** Asks for every path as every VM, and reads in the log what decided. */
async function answersOf(mode: Mode): Promise<Readonly<Record<string, Answered>>> {
  const asked: { readonly what: string; readonly answer: string }[] = [];
  const answers: Record<string, Answered> = {};
  const before = (await linesOf(mode.requestLog)).length;
  for (const vm of vms)
    for (const path of paths) {
      const { status, body, error } = await ask(mode.socketOf(vm), bare(path));
      const what = `${vm} ${path}`;
      if (error === undefined) asked.push({ what, answer: status === 200 ? body.toString() : `status ${status}` });
      else answers[what] = { answer: 'no channel' };
    }
  // Each request was answered before the next one was sent, so they stand in that order.
  const lines = await eventually(async () => {
    const written = (await linesOf(mode.requestLog)).slice(before);
    return written.length === asked.length ? written : undefined;
  });
  for (const [index, { what, answer }] of asked.entries()) {
    const { decision, rule, policy, digest } = lines[index] ?? {};
    answers[what] = { answer, decision, rule, policy, digest };
  }
  return answers;
}

async function linesOf(file: string): Promise<readonly Partial<Answered>[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Partial<Answered>);
}
