import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { requestAnnotation } from '../../src/core/reconcile-request.ts';
import { progressOf, type Shown } from '../../src/core/status-faults.ts';
import { eventually } from '../support/eventually.ts';
import { item, yaml } from '../support/fleet.ts';
import { type HttpServer, patternOf, startHttpServer } from '../support/http-server.ts';
import { createInstallation, type Installation } from '../support/installation.ts';
import { digestOf } from '../support/memory-store.ts';
import { type Program, tryProgram } from '../support/programs.ts';

// What people see of the sample fleet, and how they act on it: kubectl's own commands, and reconcile, suspend, resume. One
// story: each test goes on where the last one ended.

const root = fileURLToPath(new URL('../..', import.meta.url));
const samples = join(root, 'manifests', 'samples');
const body = patternOf(0, 10_000);

const stack = new AsyncDisposableStack();
let installation: Installation;
let http: HttpServer;
let operator: Program;
const kubectl = (...args: readonly string[]) => installation.kubectl(args);
const inFleet = (...args: readonly string[]) => kubectl('--namespace', 'fleet', ...args);

beforeAll(async () => {
  installation = stack.use(await createInstallation());
  http = stack.use(await startHttpServer());
  http.serve('/download', { body, etag: '"1"' });
  await cp(join(samples, 'import'), installation.imports, { recursive: true });
  await kubectl('apply', '--filename', join(samples, 'fleet'));
  const more = yaml(
    item('download', '/download', '', {
      source: { http: { url: http.url('/download') } },
      digest: digestOf(body),
      interval: '1h',
    }),
    item('broken', '/broken', '', { source: { configMapKeyRef: { name: 'nobody', key: 'a' } } }),
    item('leaving', '/leaving', 'leaving'),
  );
  await installation.kubectl(['apply', '--filename', '-'], more);
});

afterAll(() => stack.disposeAsync());

/** The program as somebody with a kubeconfig runs it. */
async function gueststore(...args: readonly string[]) {
  return await tryProgram([...args, '--kubeconfig', installation.server.kubeconfig]);
}

const onFleet = (command: string, ...args: readonly string[]) => gueststore(command, ...args, '--namespace', 'fleet');

async function read(kind: string, name: string) {
  return JSON.parse(await inFleet('get', kind, name, '--output', 'json')) as Shown & {
    readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
    readonly status: { readonly lastHandledReconcileAt?: string };
  };
}

async function ready(kind: string, name: string): Promise<string> {
  const condition = (await read(kind, name)).status.conditions?.find(({ type }) => type === 'Ready');
  return `${condition?.status} ${condition?.reason}`;
}

async function statusWrites(name: string): Promise<number> {
  const writes = await installation.operatorWrites();
  return writes.filter(({ objectRef }) => objectRef?.subresource === 'status' && objectRef.name === name).length;
}

const published = (name: string) => readFile(join(installation.datastore, 'GuestStore', name), 'utf8');

describe('waiting', () => {
  test('what nobody has looked at yet is in progress, for kstatus too', async () => {
    const fresh = await read('contentitem', 'motd');
    expect(fresh.status).toEqual({ observedGeneration: -1 });
    expect(progressOf(fresh)).toBe('InProgress');
  });

  test('kubectl wait ends when it is Ready, or when it is not', async () => {
    operator = await installation.startOperator();
    await installation.startDaemon('localhost');
    await inFleet('wait', '--for=condition=Ready', '--timeout=60s', 'contentitem/motd', 'contentitem/download');
    await inFleet('wait', '--for=condition=Ready', '--timeout=60s', 'guestvm/web-7', 'vmaccesspolicy/web');
    await inFleet('wait', '--for=condition=Ready=False', '--timeout=60s', 'contentitem/broken');
    expect(progressOf(await read('contentitem', 'motd'))).toBe('Current');
  });

  test('nobody is Ready of an older generation: kstatus waits for the edit', async () => {
    const patch = JSON.stringify({ spec: { source: { inline: { text: 'edited\n' } } } });
    const edited = JSON.parse(
      await inFleet('patch', 'contentitem/motd', '--type=merge', '--patch', patch, '--output', 'json'),
    ) as Shown;
    expect(progressOf(edited)).toBe('InProgress');
    await eventually(async () => expect(progressOf(await read('contentitem', 'motd'))).toBe('Current') ?? true);
    expect(await published('config/motd.txt')).toBe('edited\n');
  });
});

describe('gueststore reconcile', () => {
  const asked = () => http.requests.map(({ status }) => status);

  test('has the source asked now, waits for the answer, and ends with 0', async () => {
    const before = asked().length;
    const { code, stdout } = await onFleet('reconcile', 'item', 'download');
    expect(stdout).toMatch(
      /^contentitem fleet\/download: asked for a look\ncontentitem fleet\/download: (Served|Published): /,
    );
    expect(code).toBe(0);
    expect(asked().slice(before)).toEqual([304]);
    // A value that stays is answered once: a later look at the item writes nothing.
    const writes = await statusWrites('download');
    await onFleet('reconcile', 'repository', 'main');
    expect(await statusWrites('download')).toBe(writes);
    const { metadata, status } = await read('contentitem', 'download');
    expect(status.lastHandledReconcileAt).toBe(metadata.annotations?.[requestAnnotation]);
  });

  test('tells of a source in trouble, though what is published stays Ready', async () => {
    http.serve('/download', { status: 500 });
    const { code, stderr } = await onFleet('reconcile', 'gsitem', 'download');
    expect(stderr).toMatch(/source does not answer, what is published stays: SourceUnavailable: .*500/);
    expect(code).toBe(0);
    http.serve('/download', { body, etag: '"1"' });
    expect(await onFleet('reconcile', 'contentitems', 'download')).toMatchObject({ code: 0, stderr: '' });
  });

  test('ends with 1 at once where it is not Ready, and says why', async () => {
    const { code, stderr } = await onFleet('reconcile', 'contentitem', 'broken', '--timeout', '50s');
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^contentitem fleet\/broken: SourceNotFound: There is no ConfigMap fleet\/nobody/),
    });
    expect(await onFleet('reconcile', 'items', '--all')).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('contentitem fleet/motd: Served'),
    });
  });

  test('knows every kind that people declare', async () => {
    for (const kind of ['repositories', 'policies', 'vms', 'hosts']) {
      expect(await gueststore('reconcile', kind, '--all', '-A'), kind).toMatchObject({ code: 0, stderr: '' });
    }
  });

  test.each([
    [['reconcile', 'item'], 2, /name one object, or give --all/],
    [['reconcile', 'item', 'motd', '--all'], 2, /name one object, or give --all/],
    [['reconcile', 'item', 'motd', '-A'], 2, /-A goes with --all/],
    [['reconcile', 'thing', 'motd'], 2, /there is no kind "thing": repositories, items/],
    [['reconcile', 'item', 'motd', '--timeout', 'soon'], 2, /not a duration/],
    [['suspend', 'item', 'nobody'], 1, /there is no item "nobody" in namespace default/],
  ])('%j ends with %i', async (args, code, stderr) => {
    expect(await gueststore(...args)).toMatchObject({ code, stderr: expect.stringMatching(stderr) });
  });
});

describe('gueststore suspend and resume', () => {
  test('what is suspended stays Ready and as it is, and edits wait', async () => {
    expect(await onFleet('suspend', 'item', 'motd')).toMatchObject({
      code: 0,
      stdout: 'contentitem fleet/motd: suspended\n',
    });
    expect((await onFleet('suspend', 'item', 'motd')).stdout).toBe('contentitem fleet/motd: was suspended already\n');
    await eventually(async () => expect(await ready('contentitem', 'motd')).toBe('True Suspended') ?? true);
    const patch = JSON.stringify({ spec: { source: { inline: { text: 'while suspended\n' } } } });
    await inFleet('patch', 'contentitem/motd', '--type=merge', '--patch', patch);
    await eventually(async () => {
      const { metadata, status } = await read('contentitem', 'motd');
      expect(status.observedGeneration).toBe(metadata.generation);
      return true;
    });
    expect(await ready('contentitem', 'motd')).toBe('True Suspended');
    expect(await published('config/motd.txt')).toBe('edited\n');
    expect(await onFleet('reconcile', 'item', 'motd')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is suspended, so nothing is done'),
    });
  });

  test('what is resumed is published at once', async () => {
    const { code, stdout } = await onFleet('resume', 'item', 'motd');
    expect(stdout).toMatch(/^contentitem fleet\/motd: resumed\n/);
    expect(code).toBe(0);
    expect(await published('config/motd.txt')).toBe('while suspended\n');
    expect(await onFleet('resume', 'item', 'motd')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('was not suspended'),
    });
  });

  test('an item of a suspended repository says so in place of waiting', async () => {
    await onFleet('suspend', 'repository', 'main');
    await eventually(async () => expect(await ready('contentitem', 'motd')).toBe('True Suspended') ?? true);
    expect(await onFleet('reconcile', 'item', 'motd')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('its repository is suspended'),
    });
    expect(await onFleet('resume', 'repository', 'main')).toMatchObject({ code: 0 });
  });

  test('a host keeps what it last said, and says the newest once it is resumed', async () => {
    expect(await gueststore('suspend', 'host', 'localhost')).toMatchObject({ code: 0 });
    await kubectl(
      'wait',
      '--for=jsonpath={.status.conditions[?(@.type=="Ready")].reason}=Suspended',
      'gshost/localhost',
    );
    expect(await gueststore('resume', 'host', 'localhost')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Heartbeat'),
    });
  });

  test('deletion works while suspended', async () => {
    await onFleet('suspend', 'item', 'leaving');
    await inFleet('delete', 'contentitem', 'leaving', '--timeout=30s');
    await expect(published('leaving')).rejects.toThrow('ENOENT');
  });
});

describe('events', () => {
  interface Told {
    readonly type: string;
    readonly reason: string;
    readonly note: string;
    readonly reportingController: string;
    readonly series?: { readonly count: number };
    readonly regarding: { readonly kind: string; readonly name: string };
  }

  async function eventsOf(name: string): Promise<readonly Told[]> {
    const { items } = JSON.parse(await inFleet('get', 'events.events.k8s.io', '--output', 'json')) as {
      readonly items: readonly Told[];
    };
    return items.filter(({ regarding }) => regarding.kind === 'ContentItem' && regarding.name === name);
  }

  test('one a change, and none for looking again', async () => {
    const broken = await eventsOf('broken');
    // That it was suspended and resumed with its repository counts in the series of the first.
    expect(broken.map(({ type, reason }) => `${type} ${reason}`).toSorted()).toEqual([
      'Normal Suspended',
      'Warning SourceNotFound',
    ]);
    expect(broken[0]?.reportingController).toBe('gueststore.dev/operator');
    const reasons = (await eventsOf('motd')).map(({ type, reason }) => `${type} ${reason}`);
    expect(new Set(reasons)).toEqual(new Set(['Normal Served', 'Normal Published', 'Normal Suspended']));
  });

  test('kubectl describe and kubectl events show them', async () => {
    expect(await inFleet('describe', 'contentitem', 'broken')).toMatch(
      /Warning +SourceNotFound +\S+ +gueststore\.dev\/operator +There is no ConfigMap fleet\/nobody/,
    );
    expect(await inFleet('events', '--for', 'contentitem/broken')).toMatch(
      /Warning +SourceNotFound +ContentItem\/broken/,
    );
    expect(await inFleet('events', '--for', 'contentitem/download')).toMatch(/Warning +SourceUnavailable/);
    // Of an object without a namespace they stand in `default`.
    expect(await kubectl('describe', 'gueststorehost', 'localhost')).toMatch(/Normal +Suspended +\S+ +gueststore\.dev/);
  });
});

describe('at a glance', () => {
  test('kubectl get gueststore -A prints each kind alike, as docs/in-a-cluster.md shows it', async () => {
    const printed = await kubectl('get', 'gueststore', '--all-namespaces');
    const page = await readFile(join(root, 'docs', 'in-a-cluster.md'), 'utf8');
    const [, shown = ''] = /```console\n\$ kubectl get gueststore -A\n([\s\S]*?)```/.exec(page) ?? [];
    expect(shapeOf(shown), `docs/in-a-cluster.md shows something else than:\n${printed}`).toEqual(shapeOf(printed));
    for (const { header } of shapeOf(printed)) expect(header).toMatch(/^(NAMESPACE )?NAME READY REASON .*\bAGE$/);
    expect(printed).toMatch(/contentitem\S*broken +False +SourceNotFound/);
  });

  test('kubectl explain reads well, and says something of every field', async () => {
    const printed = await kubectl('explain', 'contentitem.spec.source');
    expect(printed).toMatch(/configMapKeyRef\t<Object>\n {4}\S/);
    expect(printed).not.toMatch(/<no description>/);
    const document = JSON.parse(await kubectl('get', '--raw', '/openapi/v3/apis/gueststore.dev/v1alpha1')) as Document;
    const ours = Object.entries(document.components.schemas).filter(([name]) => name.startsWith('dev.gueststore.'));
    expect(ours.length).toBeGreaterThan(6);
    const silent = ours.flatMap(([name, schema]) => [...fieldsWithout(schema, name.slice(name.lastIndexOf('.') + 1))]);
    expect(silent.filter((field) => !/\.(?:metadata|items)$/.test(field))).toEqual([]);
  });
});

test('an operator that does not run is suspected, and answers once it does', async () => {
  await operator.stop();
  const { code, stderr } = await onFleet('reconcile', 'item', 'motd', '--timeout', '1s');
  expect({ code, stderr }).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/not done in time: .*does it run\?/),
  });
  operator = await installation.startOperator();
  await eventually(async () => {
    const { metadata, status } = await read('contentitem', 'motd');
    expect(status.lastHandledReconcileAt).toBe(metadata.annotations?.[requestAnnotation]);
    return true;
  }, 40_000);
});

interface Document {
  readonly components: { readonly schemas: Readonly<Record<string, Described>> };
}

interface Described {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Described>>;
  readonly items?: Described;
}

/** Fields, by their paths, of which nothing is said, or no sentence. */
function* fieldsWithout({ properties = {}, items }: Described, path: string): Iterable<string> {
  if (items !== undefined) yield* fieldsWithout(items, `${path}[]`);
  for (const [name, field] of Object.entries(properties)) {
    if (!/\S.*\S/.test(field.description ?? '')) yield `${path}.${name}`;
    if (name !== 'metadata') yield* fieldsWithout(field, `${path}.${name}`);
  }
}

/** Tables as kubectl prints several of them: the header, and of each object of the samples its name, READY and REASON. */
function shapeOf(printed: string) {
  return printed
    .trim()
    .split('\n\n')
    .map((table) => {
      const [header = '', ...rows] = table.split('\n');
      const shown = rows.map((row) => {
        const cells = row.trim().split(/\s+/);
        return cells.slice(cells.findIndex((cell) => cell.includes('gueststore.dev/'))).slice(0, 3);
      });
      const sampled = shown.filter(([name = '']) => !/\/(?:broken|download)$/.test(name));
      return { header: header.trim().replaceAll(/\s+/g, ' '), rows: sampled };
    });
}
