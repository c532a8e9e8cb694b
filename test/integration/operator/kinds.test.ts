import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { load } from 'js-yaml';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { runOperator } from '../../../src/cli/operator.ts';
import { conditionOf } from '../../../src/core/conditions.ts';
import { createLog } from '../../../src/lib/log.ts';
import { eventually } from '../../support/eventually.ts';
import { type ApiServer, kubeconfigOf, kubectl, startApiServer } from '../../support/kubernetes/api-server.ts';
import { item, namespace, policy, repository, resource, vm, yaml } from '../../support/manifests.ts';
import { grantOperator, operatorAccount, operatorToken } from '../../support/operator-account.ts';
import { plainFiles, readSnapshot } from '../../support/store.ts';

// One story: the kinds come, and change, and go, under an operator that is started once for most of it.

const crds = fileURLToPath(new URL('../../../crds', import.meta.url));
const files = [
  'cluster-vm-access-policy',
  'content-item',
  'guest-store-datastore',
  'guest-store-host',
  'guest-store-repository',
  'guest-vm',
  'vm-access-policy',
];

interface Line {
  readonly msg: string;
  readonly [field: string]: unknown;
}

// A watch of a kind that is not served looks again after 30 s at most, and some tests wait for two of them.
vi.setConfig({ testTimeout: 150_000 });

const stack = new AsyncDisposableStack();
let server: ApiServer;
let datastore: string;
let kubeconfig: string;
let lines: Line[] = [];
let stop: () => Promise<void>;

beforeAll(async () => {
  server = stack.use(await startApiServer());
  const folder = await mkdtemp(join(tmpdir(), 'kinds-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  datastore = join(folder, 'datastore');
  await mkdir(datastore);
  await grantOperator(server);
  kubeconfig = join(folder, 'operator.kubeconfig');
  await writeFile(kubeconfig, kubeconfigOf(server.url, server.caFile, await operatorToken(server)));
  await admin(['create', '-f', '-'], yaml(namespace('fleet'), namespace('old')));
});

afterAll(async () => {
  await stop?.();
  await stack.disposeAsync();
});

const admin = (args: readonly string[], input?: string) => kubectl(server, args, input);

function start(): void {
  lines = [];
  const stopping = new AbortController();
  const log = createLog('info', { write: (line: string) => void lines.push(JSON.parse(line)) });
  const options = {
    datastores: new Map([['default', datastore]]),
    kubeconfig,
    importFolders: new Map(),
    metrics: '127.0.0.1:0',
    version: 'test',
    leaseDuration: 15_000,
    environment: { POD_NAMESPACE: operatorAccount.namespace, POD_NAME: 'kinds' },
  };
  const running = runOperator(options, log, stopping.signal);
  stop = async () => {
    stopping.abort();
    await running;
  };
}

const said = (msg: string, fields: object = {}) =>
  eventually(
    () => lines.find((line) => line.msg === msg && Object.entries(fields).every(([k, v]) => line[k] === v)),
    60_000,
  );

async function readyz(): Promise<string> {
  const { metrics } = await said('metrics served');
  return await (await fetch(`http://${metrics}/readyz`)).text();
}

interface Crd {
  readonly spec: { readonly versions: readonly { readonly schema: { readonly openAPIV3Schema: Schema } }[] };
}

interface Schema {
  readonly required?: readonly string[];
  readonly 'x-kubernetes-validations'?: readonly object[];
  readonly properties: Readonly<Record<'spec' | 'status', object>>;
}

async function apply(change: (crd: Crd) => object): Promise<void> {
  for (const file of files) {
    const crd = load(await readFile(join(crds, `${file}.yaml`), 'utf8')) as Crd;
    await admin(['apply', '--server-side', '--force-conflicts', '-f', '-'], JSON.stringify(change(crd)));
  }
  await admin(['wait', '--for=condition=Established', '--timeout=60s', 'crd', '--all']);
}

/** The schema of a time when nothing was required yet, nothing had a default, and no rule was written. */
function without<T>(value: T, words: ReadonlySet<string>): T {
  if (Array.isArray(value)) return value.map((one) => without(one, words)) as T;
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(
    ([name, inner]) => !(words.has(name) && typeof inner !== 'string' && name !== 'type'),
  );
  return Object.fromEntries(kept.map(([name, inner]) => [name, without(inner, words)])) as T;
}

function older(crd: Crd): object {
  const words = new Set(['required', 'default', 'x-kubernetes-validations']);
  const versions = crd.spec.versions.map((version) => {
    const { required: _, 'x-kubernetes-validations': __, properties, ...schema } = version.schema.openAPIV3Schema;
    const status = { ...properties.status, default: undefined };
    const openAPIV3Schema = { ...schema, properties: { ...properties, spec: without(properties.spec, words), status } };
    return { ...version, schema: { openAPIV3Schema } };
  });
  return { ...crd, spec: { ...crd.spec, versions } };
}

async function reasonOf(kind: string, name: string, space = 'fleet'): Promise<string | undefined> {
  const { status } = JSON.parse(await admin(['-n', space, 'get', kind, name, '-o', 'json']));
  return conditionOf(status?.conditions, 'Ready')?.reason;
}

test('without its kinds the operator waits, and says in its log and at /readyz which are missing', async () => {
  start();
  const line = await said('kind not served: apply its CustomResourceDefinition', { resource: 'contentitems' });
  expect(line).toMatchObject({ apiVersion: 'gueststore.dev/v1alpha1', level: 'warn' });
  expect(await readyz()).toMatch(
    /^\[-\]cache\/contentitems failed: not listed yet: GET \/apis\/gueststore\.dev\/v1alpha1\/contentitems: /m,
  );
});

test('kinds of another version than its own are the same to it', async () => {
  const another = ({ spec, ...crd }: Crd) => ({
    ...crd,
    spec: { ...spec, versions: spec.versions.map((one) => ({ ...one, name: 'v1beta9' })) },
  });
  await apply(another);
  lines.length = 0;
  await said('kind not served: apply its CustomResourceDefinition', { resource: 'contentitems' });
  await removeKinds();
});

/** The server, asked to clean up a kind that it serves since a moment, takes minutes now and then: nothing is there to clean. */
async function removeKinds(): Promise<void> {
  await admin(['delete', 'crd', '--all', '--wait=false']);
  const left = async () => (await admin(['get', 'crd', '-o', 'name'])).split('\n').filter(Boolean);
  await eventually(async () => {
    for (const name of await left())
      await admin(['patch', name, '--type=merge', '--patch', '{"metadata":{"finalizers":null}}']);
    return (await left()).length === 0 ? true : undefined;
  }, 60_000);
}

test('once they are there it begins by itself, and objects that an older schema let pass keep nobody from being served', async () => {
  await apply(older);
  await said('leading');
  const bare = (kind: string, name: string, spec: object) =>
    resource(kind, name, spec as never, { namespace: 'fleet' });
  await admin(
    ['create', '-f', '-'],
    yaml(
      repository('main', { root: 'GuestStore' }),
      item('good', '/good', 'good'),
      vm('web', { host: 'host-a', repositoryRef: { name: 'main' } }),
      policy('some', { deny: ['/never'] }),
      bare('ContentItem', 'no-source', { repositoryRef: { name: 'main' }, path: '/no-source' }),
      bare('ContentItem', 'no-path', { repositoryRef: { name: 'main' }, source: { inline: { text: 'x' } } }),
      bare('ContentItem', 'nothing', {}),
      bare('GuestStoreRepository', 'no-datastore', { root: 'Other' }),
      bare('GuestVM', 'no-channel', { host: 'host-a' }),
      resource('VMAccessPolicy', 'no-selector', { deny: ['.*'] }, { namespace: 'old' }),
      { apiVersion: 'gueststore.dev/v1alpha1', kind: 'ContentItem', metadata: { name: 'no-spec', namespace: 'fleet' } },
    ),
  );
  await eventually(() => expect(plainFiles(datastore)).toEqual({ 'GuestStore/good': 'good' }) ?? true, 30_000);
  await stop();
});

test('after the new schema came, each says what it lacks where the server takes its status, and the others are served', async () => {
  await apply((crd) => crd);
  start();
  await said('leading');
  await said('object lacks what its schema promises: apply it anew', { object: 'fleet/no-spec' });
  await admin(['create', '-f', '-'], yaml(item('later', '/later', 'later')));
  await admin([
    '-n',
    'fleet',
    'wait',
    '--for=condition=Ready',
    '--timeout=50s',
    'contentitem/good',
    'contentitem/later',
    'guestvm/web',
  ]);
  expect(plainFiles(datastore)).toEqual({ 'GuestStore/good': 'good', 'GuestStore/later': 'later' });
  expect((await readSnapshot(datastore))?.vm('fleet/web')?.ruleSet).not.toBeNull();
  expect(await reasonOf('contentitem', 'no-path')).toBe('InvalidPath');
  expect(await reasonOf('gueststorerepository', 'no-datastore')).toBe('DatastoreNotFound');
  expect(await reasonOf('vmaccesspolicy', 'no-selector', 'old')).toBe('InvalidManifest');
  // Of these the server takes no status while they break its rules; an event says it.
  for (const [name, reason] of [
    ['no-source', 'InvalidManifest'],
    ['nothing', 'InvalidPath'],
    ['no-spec', 'InvalidPath'],
    ['no-channel', 'InvalidManifest'],
  ] as const) {
    const selector = `regarding.name=${name},reason=${reason},type=Warning`;
    await eventually(async () => {
      const found = await admin([
        '-n',
        'fleet',
        'get',
        'events.events.k8s.io',
        '--field-selector',
        selector,
        '-o',
        'name',
      ]);
      return found === '' ? undefined : true;
    });
  }
});

test('what is applied anew is well', async () => {
  const names = ['no-source', 'no-path', 'nothing', 'no-spec'];
  const mended = names.map((name) => item(name, `/${name}`, 'mended'));
  await admin(['apply', '--server-side', '--force-conflicts', '-f', '-'], yaml(...mended));
  const items = names.map((name) => `contentitem/${name}`);
  await admin(['-n', 'fleet', 'wait', '--for=condition=Ready', '--timeout=50s', ...items]);
});

test('a kind that is removed under it takes its objects along, is missed in the log, and is followed again once it is back', async () => {
  lines.length = 0;
  await admin(['delete', 'crd', 'contentitems.gueststore.dev', '--timeout=50s']);
  expect(plainFiles(datastore)).toEqual({});
  await said('kind not served: apply its CustomResourceDefinition', { resource: 'contentitems' });
  await apply((crd) => crd);
  await eventually(() => admin(['create', '-f', '-'], yaml(item('again', '/again', 'again'))));
  await admin(['-n', 'fleet', 'wait', '--for=condition=Ready', '--timeout=50s', 'contentitem/again']);
  expect(plainFiles(datastore)).toEqual({ 'GuestStore/again': 'again' });
  expect(lines.filter(({ msg }) => msg === 'leading')).toEqual([]);
});
