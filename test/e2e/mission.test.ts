import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Kind } from '../../src/api/resources.generated.ts';
import type { ShownStatus } from '../../src/core/status-faults.ts';
import { checkStatus } from '../support/conditions.ts';
import { eventually } from '../support/eventually.ts';
import { item, namespace, policy, repository, vm, yaml } from '../support/fleet.ts';
import { type Guest, startGuest } from '../support/guest.ts';
import { type HttpServer, patternOf, startHttpServer } from '../support/http-server.ts';
import { createInstallation, type Installation } from '../support/installation.ts';
import { startLeashed } from '../support/kubernetes/leashed.ts';
import { programFile } from '../support/kubernetes/programs.ts';
import { builtProgram, type Program } from '../support/programs.ts';
import { plainFiles, readSnapshot } from '../support/store.ts';

// One story: each test goes on where the one before it has stopped.

/** Results of VMware's client library. */
const success = 0;
const peerReset = 12;
const forbidden = 15;
const notFound = 16;

const contents = {
  '/config/motd.txt': Buffer.from('Welcome.\n'),
  '/config/agent.conf': Buffer.from('interval = 60\n'),
  '/config/token': Buffer.from('s3cret\n'),
  '/vmware/vmtools-10/agent.bin': patternOf(0, 300_000),
  '/vmware/vmtools-11/agent.bin': patternOf(7, 2_000_000),
};
type Path = keyof typeof contents;
const paths = Object.keys(contents) as Path[];
const nothing = '/config/nothing-here';

/** Somebody's files that lie in the datastore since before we came. */
const foreign = { 'notes.txt': 'of the storage team\n', 'GuestStore/vmware/iso/windows.iso': 'not ours\n' };

/** Reasons that may pass so quickly that a look misses them; `Published` where an item is there before the VMs. */
const fleeting = ['Fetching', 'Publishing', 'WaitingForHosts', 'Published'];

const agent10 = '/downloads/agent-10.bin';

function fleetManifests(http: HttpServer): string {
  const digest = `sha256:${createHash('sha256').update(contents['/vmware/vmtools-10/agent.bin']).digest('hex')}`;
  const from = (name: string, path: Path, source: object, more: object = {}) =>
    item(name, path, '', { source, ...more });
  return yaml(
    namespace('fleet'),
    repository('main', { root: 'GuestStore' }),
    keyed('ConfigMap', 'agent', 'agent.conf', contents['/config/agent.conf']),
    keyed('Secret', 'agent', 'token', contents['/config/token']),
    item('motd', '/config/motd.txt', contents['/config/motd.txt'].toString()),
    from('agent-config', '/config/agent.conf', { configMapKeyRef: { name: 'agent', key: 'agent.conf' } }),
    from('token', '/config/token', { secretKeyRef: { name: 'agent', key: 'token' } }),
    from('agent-10', '/vmware/vmtools-10/agent.bin', { http: { url: http.url(agent10) } }, { digest }),
    from('agent-11', '/vmware/vmtools-11/agent.bin', { file: { path: 'agents/agent-11.bin' } }),
    policy(
      'web',
      { grant: ['/config/.*', '.*/vmtools-11/.*'], deny: ['.*'] },
      { vmSelector: { matchLabels: { tier: 'web' } } },
    ),
    policy('db', { deny: ['.*/vmtools-11/.*'] }, { vmSelector: { matchLabels: { tier: 'db' } } }),
    vm('web', { host: 'host-a' }, { labels: { tier: 'web' } }),
    vm('db', { host: 'host-a' }, { labels: { tier: 'db' } }),
    vm('plain', { host: 'host-b' }),
  );
}

/** Another team's, which must not notice what happens to the fleet. */
const neighbours = yaml(
  namespace('neighbours'),
  repository('main', { root: 'Neighbours' }, { namespace: 'neighbours' }),
  item('hello', '/hello', 'from next door', {}, { namespace: 'neighbours' }),
  vm('neighbour', { host: 'host-b' }, { namespace: 'neighbours' }),
);

function keyed(kind: 'ConfigMap' | 'Secret', name: string, key: string, bytes: Buffer): object {
  const field = kind === 'Secret' ? 'data' : 'binaryData';
  return {
    apiVersion: 'v1',
    kind,
    metadata: { name, namespace: 'fleet' },
    [field]: { [key]: bytes.toString('base64') },
  };
}

const stack = new AsyncDisposableStack();
let installation: Installation;
let http: HttpServer;
let operator: Program;
let guests: ReadonlyMap<string, Guest>;
let watched: string;
const kubectl = (args: readonly string[], input?: string) => installation.kubectl(args, input);
const inFleet = (...args: readonly string[]) => kubectl(['--namespace', 'fleet', ...args]);

beforeAll(async () => {
  installation = stack.use(await createInstallation());
  http = stack.use(await startHttpServer());
  for (const [name, text] of Object.entries(foreign)) {
    await mkdir(join(installation.datastore, name, '..'), { recursive: true });
    await writeFile(join(installation.datastore, name), text);
  }
  await mkdir(join(installation.imports, 'agents'));
  await writeFile(join(installation.imports, 'agents', 'agent-11.bin'), contents['/vmware/vmtools-11/agent.bin']);
});

afterAll(() => stack.disposeAsync());

describe('the mission', () => {
  test('the operator leads with the roles that are shipped, and daemons wait for what comes', async () => {
    operator = await installation.startOperator();
    await installation.startDaemon('host-a');
    await installation.startDaemon('host-b');
    await operator.says('leading');
  });

  test('what is applied becomes Ready, and what cannot be had says why', async () => {
    http.serve(agent10, { status: 503 });
    watched = await watchItems();
    await kubectl(['apply', '-f', '-'], fleetManifests(http));
    await kubectl(['apply', '-f', '-'], neighbours);
    await waitForReady('gueststorerepository/main', 'vmaccesspolicy/web', 'vmaccesspolicy/db');
    await waitForReady('contentitem/motd', 'contentitem/agent-config', 'contentitem/agent-11');
    await waitForReady('guestvm/web', 'guestvm/db', 'guestvm/plain');
    await kubectl(['--namespace', 'neighbours', 'wait', '--for=condition=Ready', '--timeout=30s', 'guestvm/neighbour']);

    expect(await readyOf('contentitem', 'token')).toMatchObject({ status: 'False', reason: 'SecretNotGranted' });
    expect(await readyOf('contentitem', 'agent-10')).toMatchObject({ status: 'False', reason: 'SourceUnavailable' });
  });

  test('a guest that asks for what cannot be had yet hears of trouble, not of a decision', async () => {
    guests = await startGuests();
    for (const path of ['/config/token', '/vmware/vmtools-10/agent.bin']) {
      expect(await codes('plain', path), path).toEqual([peerReset]);
    }
  });

  test('the command in the message grants the Secret, and a source that answers again is fetched', async () => {
    const { message } = await readyOf('contentitem', 'token');
    const command = /kubectl (.*)$/.exec(message)?.[1];
    await kubectl(command?.split(' ') ?? []);
    http.serve(agent10, { body: contents['/vmware/vmtools-10/agent.bin'] });
    await waitForReady('contentitem', '--all');
  });

  test('kubectl shows each step, and every status keeps its promises', async () => {
    await eventually(async () => {
      const steps = await stepsOf(['token', 'agent-10', 'motd']);
      expect(steps.token).toEqual(['False SecretNotGranted', 'True Served']);
      expect(steps['agent-10']).toEqual(['False SourceUnavailable', 'True Served']);
      expect(steps.motd).toEqual(['True Served']);
      return true;
    });
    expect(await eventsOf('token')).toEqual(['Warning SecretNotGranted', 'Normal Served']);
    for (const kind of ['gueststorerepository', 'contentitem', 'vmaccesspolicy', 'guestvm', 'gueststorehost']) {
      for (const object of await objectsOf(kind)) checkStatus(object.kind, object.metadata.name, object);
    }
  });

  test.each([
    {
      name: 'web',
      denied: ['/vmware/vmtools-10/agent.bin', '/elsewhere'],
      absent: [nothing, '/vmware/vmtools-11/other'],
    },
    {
      name: 'db',
      denied: ['/vmware/vmtools-11/agent.bin', '/vmware/vmtools-11/other'],
      absent: [nothing, '/elsewhere'],
    },
    { name: 'plain', denied: [], absent: [nothing, '/vmware/vmtools-11/other'] },
  ])(
    "VMware's client in $name gets what it may, and is told apart what is denied and what is not there",
    async ({ name, denied, absent }) => {
      for (const path of paths.filter((one) => !denied.includes(one))) await fetches(name, path, contents[path]);
      expect(await codes(name, ...denied)).toEqual(denied.map(() => forbidden));
      expect(await codes(name, ...absent)).toEqual(absent.map(() => notFound));
    },
  );

  test('whoever fetches right after the edited policy is Ready meets the new rules', async () => {
    await fetches('db', '/config/motd.txt', contents['/config/motd.txt']);
    await denyToDb(10, '.*/vmtools-11/.*', '/config/motd\\.txt');
    expect(await codes('db', '/config/motd.txt', '/config/agent.conf')).toEqual([forbidden, success]);
    expect((await readyOf('vmaccesspolicy', 'db')).observedGeneration).toBe(2);
  });

  test('while the API server is gone for a minute, guests fetch and are denied as before', async () => {
    await installation.server.kill();
    const back = performance.now() + 60_000;
    await operator.says('leadership lost');
    do {
      await fetches('web', '/vmware/vmtools-11/agent.bin', contents['/vmware/vmtools-11/agent.bin']);
      await fetches('plain', '/config/token', contents['/config/token']);
      expect(await codes('db', '/config/motd.txt', '/vmware/vmtools-10/agent.bin', nothing)).toEqual([
        forbidden,
        success,
        notFound,
      ]);
    } while (performance.now() < back);
  });

  test('once it is back the same operator goes on', async () => {
    await installation.server.restart();
    await operator.says('leading', { after: 1, timeout: 60_000 });
    // Watches do not wait out their back-off: whoever is answered first wakes them.
    await denyToDb(60, '.*/vmtools-11/.*', '/config/agent\\.conf');
    expect(await codes('db', '/config/motd.txt', '/config/agent.conf')).toEqual([success, forbidden]);
    expect(operator.exitCode).toBeUndefined();
  });

  test('deleting one item takes its path away, and no other', async () => {
    const before = plainFiles(installation.datastore);
    await inFleet('delete', '--timeout=30s', 'contentitem/motd');
    const { 'GuestStore/config/motd.txt': motd, ...others } = before;
    expect(motd).toBe(contents['/config/motd.txt'].toString());
    expect(plainFiles(installation.datastore)).toEqual(others);
    // The object goes when the revision without it is published; daemons take that over within their own second.
    await eventually(async () => {
      expect(await codes('plain', '/config/motd.txt')).toEqual([notFound]);
      return true;
    });
    await fetches('plain', '/config/agent.conf', contents['/config/agent.conf']);
  });

  test('deleting the fleet removes exactly what was ours', async () => {
    await kubectl(['delete', '--timeout=60s', '--ignore-not-found', '-f', '-'], fleetManifests(http));
    expect(await kubectl(['get', 'namespace', 'fleet', '--ignore-not-found'])).toBe('');

    const { datastore } = installation;
    expect(plainFiles(datastore)).toEqual({ ...foreign, 'Neighbours/hello': 'from next door' });
    expect(foldersOf(datastore)).toEqual(['GuestStore', 'GuestStore/vmware', 'GuestStore/vmware/iso', 'Neighbours']);
    const snapshot = await readSnapshot(datastore);
    expect([...(snapshot?.repositories.keys() ?? [])]).toEqual(['neighbours/main']);
    expect([...(snapshot?.vms() ?? [])].map(([key]) => key)).toEqual(['neighbours/neighbour']);
    await eventually(() => {
      const open = ['web', 'db'].filter((name) => existsSync(installation.socket('host-a', 'fleet', name)));
      return open.length === 0 && !existsSync(installation.socket('host-b', 'fleet', 'plain')) ? true : undefined;
    });
    expect((await codes('plain', '/config/motd.txt'))[0]).not.toBeOneOf([success, forbidden, notFound]);
    await fetches('neighbour', '/hello', Buffer.from('from next door'));
  });

  test('the operator ends in order when it is told to', async () => {
    expect(await operator.stop()).toBe(0);
    expect(operator.lines('lease released')).toHaveLength(1);
  });
});

async function startGuests(): Promise<ReadonlyMap<string, Guest>> {
  const places = [
    ['web', installation.socket('host-a', 'fleet', 'web')],
    ['db', installation.socket('host-a', 'fleet', 'db')],
    ['plain', installation.socket('host-b', 'fleet', 'plain')],
    ['neighbour', installation.socket('host-b', 'neighbours', 'neighbour')],
  ] as const;
  const started = places.map(async ([name, socket]) => {
    const guest = stack.use(await startGuest({ channel: `unix:${socket}`, program: builtProgram }));
    return [name, guest] as const;
  });
  return new Map(await Promise.all(started));
}

function guestOf(name: string): Guest {
  const guest = guests.get(name);
  if (guest === undefined) throw new Error(`there is no guest ${name}`);
  return guest;
}

/** What VMware's client reports for each path, one after the other. */
async function codes(name: string, ...asked: readonly string[]): Promise<number[]> {
  const results: number[] = [];
  for (const path of asked) {
    const file = join(installation.folder, `${name}.unsure`);
    await rm(file, { force: true });
    const { code, bytes } = await guestOf(name).getContent(path, file);
    if (code !== success) expect(bytes, `${name} ${path}: no partial file`).toBe(0);
    results.push(code);
  }
  return results;
}

async function fetches(name: string, path: string, wanted: Buffer): Promise<void> {
  const file = join(installation.folder, `${name}.fetched`);
  const report = await guestOf(name).getContent(path, file);
  expect(report, `${name} ${path}`).toMatchObject({ code: success, contentSize: wanted.length });
  expect((await readFile(file)).equals(wanted), `${name} ${path}: the same bytes`).toBe(true);
}

async function waitForReady(...objects: readonly string[]): Promise<void> {
  await inFleet('wait', '--for=condition=Ready', '--timeout=30s', ...objects);
}

/** Edits the policy and waits as a pipeline would, so many seconds at most. */
async function denyToDb(timeout: number, ...deny: readonly string[]): Promise<void> {
  await inFleet('patch', 'vmaccesspolicy/db', '--type=merge', '--patch', JSON.stringify({ spec: { deny } }));
  await inFleet('wait', '--for=condition=Ready', `--timeout=${timeout}s`, 'vmaccesspolicy/db');
}

interface Shown {
  readonly kind: Kind;
  readonly metadata: { readonly name: string; readonly generation: number };
  readonly spec: object;
  readonly status: ShownStatus;
}

async function objectsOf(kind: string): Promise<readonly Shown[]> {
  return (JSON.parse(await inFleet('get', kind, '--output', 'json')) as { items: Shown[] }).items;
}

async function readyOf(kind: string, name: string) {
  return await eventually(async () => {
    const object = (await objectsOf(kind)).find(({ metadata }) => metadata.name === name);
    return object?.status.conditions?.find(({ type }) => type === 'Ready');
  });
}

/** Follows the items as people do; the rows go to the file whose path is returned. */
async function watchItems(): Promise<string> {
  const file = join(installation.folder, 'watched');
  const args = [
    '--kubeconfig',
    installation.server.kubeconfig,
    '--namespace',
    'fleet',
    'get',
    'contentitems',
    '--watch',
  ];
  const watch = await startLeashed(await programFile('kubectl'), args, file);
  stack.defer(() => watch.kill());
  return file;
}

/** What the watch showed of items, each state once. */
async function stepsOf(names: readonly string[]): Promise<Readonly<Record<string, readonly string[]>>> {
  const rows = (await readFile(watched, 'utf8')).split('\n').map((row) => row.split(/\s+/));
  const steps = names.map((name) => {
    const states = rows
      .filter(
        ([shown, ready = '', reason = '']) =>
          shown === name && /^(?:True|False)$/.test(ready) && !fleeting.includes(reason),
      )
      .map(([, ready, reason]) => `${ready} ${reason}`);
    return [name, states.filter((state, index) => state !== states[index - 1])] as const;
  });
  return Object.fromEntries(steps);
}

/** In the order in which they were recorded. */
async function eventsOf(name: string): Promise<readonly string[]> {
  interface Event {
    readonly eventTime: string;
    readonly type: string;
    readonly reason: string;
    readonly regarding: { readonly name: string };
  }
  const { items } = JSON.parse(await inFleet('get', 'events.events.k8s.io', '--output', 'json')) as { items: Event[] };
  return items
    .filter(({ regarding, reason }) => regarding.name === name && !fleeting.includes(reason))
    .toSorted((a, b) => (a.eventTime < b.eventTime ? -1 : 1))
    .map(({ type, reason }) => `${type} ${reason}`);
}

function foldersOf(datastore: string): readonly string[] {
  return readdirSync(datastore, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(datastore.length + 1))
    .filter((folder) => !folder.startsWith('.gueststore'))
    .sort();
}
