import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import type { Client } from '../../../src/kube/client.ts';
import type { Informer } from '../../../src/kube/informer.ts';
import { eventually } from '../../support/eventually.ts';
import { type Cluster, kubectl } from '../../support/kubernetes/api-server.ts';
import { clientFor, portOf } from '../../support/kubernetes/clients.ts';
import { createHttpProxy } from '../../support/kubernetes/http-proxy.ts';
import { describeChange, quickPace, runInformer } from '../../support/kubernetes/informers.ts';
import { bareCluster, createNamespace } from '../../support/kubernetes/shared-cluster.ts';
import { createTcpProxy } from '../../support/kubernetes/tcp-proxy.ts';
import { installWidgets, type Widget, widgetCrd, widgets } from '../../support/kubernetes/widgets.ts';

let cluster: Cluster;
let admin: Client;

beforeAll(async () => {
  cluster = await bareCluster();
  await installWidgets(cluster);
  admin = clientFor(cluster);
  return () => admin.close();
});

async function create(namespace: string, name: string, spec: Widget['spec'] = { size: 1 }): Promise<void> {
  await admin.create(widgets, { metadata: { namespace, name }, spec });
}

async function seen(informer: Informer<Widget>, key: string): Promise<void> {
  await eventually(() => informer.get(key));
}

test('lists in pages, then follows every change; handlers that come late are told all', async () => {
  await using space = await createNamespace(cluster);
  const namespace = space.name;
  for (const name of ['a', 'b', 'c', 'd', 'e']) await create(namespace, name);
  const { informer, told } = runInformer({ client: admin, resource: widgets, namespace });
  await informer.synced;
  expect(told).toEqual(['added a', 'added b', 'added c', 'added d', 'added e']);
  expect(informer.get(`${namespace}/a`)?.metadata).not.toHaveProperty('managedFields');

  await create(namespace, 'f');
  await admin.patch(widgets, { namespace, name: 'a' }, { type: 'merge', value: { spec: { size: 2 } } });
  await admin.delete(widgets, { namespace, name: 'b' });
  await eventually(() => (told.length === 8 ? true : undefined));
  expect(told.slice(5)).toEqual(['added f', 'updated a', 'deleted b']);

  const late: string[] = [];
  informer.onChange(() => {
    throw new Error('a handler of no use');
  });
  informer.onChange((change) => late.push(describeChange(change)));
  expect(late.toSorted()).toEqual(['added a', 'added c', 'added d', 'added e', 'added f']);
});

test('selects, indexes, and asks for metadata alone', async () => {
  await using space = await createNamespace(cluster);
  const namespace = space.name;
  await create(namespace, 'front', { part: 'wheel' });
  await create(namespace, 'rear', { part: 'wheel' });
  const indices = { part: ({ spec }: Widget) => [spec?.part ?? 'none'] };
  const { informer } = runInformer({ client: admin, resource: widgets, namespace, indices });
  const names = runInformer({ client: admin, resource: widgets, namespace, metadataOnly: true }).informer;
  const one = runInformer({
    client: admin,
    resource: widgets,
    namespace,
    fieldSelector: 'metadata.name=rear',
  }).informer;
  await Promise.all([informer.synced, names.synced, one.synced]);
  expect(informer.byIndex('part', 'wheel')).toHaveLength(2);
  await create(namespace, 'left', { part: 'door' });
  await eventually(() => names.get(`${namespace}/left`));
  expect(names.get(`${namespace}/left`)).toMatchObject({ kind: 'Widget', metadata: { name: 'left' } });
  expect(names.get(`${namespace}/left`)?.spec).toBeUndefined();
  expect([...one.keys()]).toEqual([`${namespace}/rear`]);
});

test('a list as a stream becomes a watch, on one request and without a right to list', async () => {
  await using space = await createNamespace(cluster);
  const { name: namespace } = space;
  for (const name of ['a', 'b', 'c']) await create(namespace, name);
  await kubectl(cluster, ['-n', namespace, 'create', 'role', 'r', '--verb=watch', '--resource=widgets.widgets.test']);
  await kubectl(cluster, ['-n', namespace, 'create', 'rolebinding', 'r', '--role=r', '--user=nobody']);
  await using client = clientFor(cluster, { token: cluster.tokens.nobody });
  const { informer, told, lists } = runInformer({ client, resource: widgets, namespace, streamList: true });
  await informer.synced;
  expect(told).toEqual(['added a', 'added b', 'added c']);
  expect(informer.get(`${namespace}/a`)?.metadata).not.toHaveProperty('managedFields');
  await admin.delete(widgets, { namespace, name: 'a' });
  await create(namespace, 'd');
  await seen(informer, `${namespace}/d`);
  expect(told.slice(3)).toEqual(['deleted a', 'added d']);
  expect(lists()).toBe(1);
});

const invalid = {
  kind: 'Status',
  status: 'Failure',
  code: 422,
  reason: 'Invalid',
  message: 'sendInitialEvents is forbidden',
};

test.each([
  { what: 'refuses it', fault: { type: 'answer', status: 422, body: JSON.stringify(invalid) } as const },
  { what: 'ends it too soon', fault: { type: 'answer', status: 200, body: '' } as const },
  {
    what: 'takes it for a plain watch',
    fault: {
      type: 'edit',
      edit: (chunk: Buffer) =>
        Buffer.from(chunk.toString('latin1').replaceAll('k8s.io/initial-events-end', 'x'), 'latin1'),
    } as const,
  },
])('a server that cannot list as a stream, and $what, is asked for pages', async ({ fault }) => {
  await using space = await createNamespace(cluster);
  const { name: namespace } = space;
  await using proxy = await createHttpProxy(cluster);
  await using client = clientFor(cluster, { url: proxy.url });
  for (const name of ['a', 'b', 'c']) await create(namespace, name);
  proxy.fault = (url) => (url.searchParams.has('sendInitialEvents') ? fault : undefined);
  const pace = { ...quickPace, silence: 1_000 };
  const { informer, told } = runInformer({ client, resource: widgets, namespace, streamList: true, pace });
  await informer.synced;
  await create(namespace, 'd');
  await seen(informer, `${namespace}/d`);
  expect(told).toEqual(['added a', 'added b', 'added c', 'added d']);
});

test('an object that lacks what an index reads is filed nowhere, and keeps no other out', async () => {
  await using space = await createNamespace(cluster);
  const { name: namespace } = space;
  await admin.create(widgets, { metadata: { namespace, name: 'bare' } });
  await create(namespace, 'front', { part: 'wheel' });
  const indices = { part: ({ spec }: Widget) => [(spec as { readonly part: string }).part] };
  const { informer, lists } = runInformer({ client: admin, resource: widgets, namespace, indices });
  await informer.synced;
  await create(namespace, 'rear', { part: 'wheel' });
  await seen(informer, `${namespace}/rear`);
  expect(informer.byIndex('part', 'wheel').map(({ metadata }) => metadata.name)).toEqual(['front', 'rear']);
  expect([informer.size, lists()]).toEqual([3, 1]);
});

test('a reset is survived without a new list', async () => {
  await using space = await createNamespace(cluster);
  await using proxy = await createTcpProxy({ port: portOf(cluster) });
  await using client = clientFor(cluster, { url: `https://127.0.0.1:${proxy.port}` });
  const { informer, lists } = runInformer({ client, resource: widgets, namespace: space.name });
  await informer.synced;
  for (const name of ['a', 'b', 'c']) {
    proxy.reset();
    await create(space.name, name);
    await seen(informer, `${space.name}/${name}`);
  }
  expect(lists()).toBe(1);
});

test('a watch that has shown a bookmark and falls silent is begun again long before its end', async () => {
  await using space = await createNamespace(cluster);
  await using proxy = await createHttpProxy(cluster);
  await using client = clientFor(cluster, { url: proxy.url });
  let watches = 0;
  proxy.fault = (url) => {
    if (!url.searchParams.has('watch')) return undefined;
    watches += 1;
    if (watches > 1) return undefined;
    let swallow = false;
    // The server's own bookmarks come once a minute; this one comes with the first event, and nothing after it.
    const edit = (chunk: Buffer) => {
      if (swallow) return Buffer.alloc(0);
      swallow = true;
      return Buffer.concat([chunk, Buffer.from(`${chunk}`.replace('"type":"ADDED"', '"type":"BOOKMARK"'))]);
    };
    return { type: 'edit', edit };
  };
  const { informer, lists } = runInformer({
    client,
    resource: widgets,
    namespace: space.name,
    pace: { ...quickPace, silence: 300 },
  });
  await informer.synced;
  await eventually(() => (watches === 1 ? true : undefined));
  await create(space.name, 'a');
  await seen(informer, `${space.name}/a`);
  await create(space.name, 'b');
  await seen(informer, `${space.name}/b`);
  expect([watches, lists()]).toEqual([2, 1]);
});

test('a connection that is half open is given up when the watch should have ended', async () => {
  await using space = await createNamespace(cluster);
  await using proxy = await createTcpProxy({ port: portOf(cluster) });
  await using client = clientFor(cluster, { url: `https://127.0.0.1:${proxy.port}` });
  const short = { ...quickPace, watch: [2_000, 2_000], silence: 500 } as const;
  const { informer, told } = runInformer({ client, resource: widgets, namespace: space.name, pace: short });
  await informer.synced;
  await create(space.name, 'a');
  await seen(informer, `${space.name}/a`);
  proxy.silence();
  await admin.delete(widgets, { namespace: space.name, name: 'a' });
  await create(space.name, 'b');
  await seen(informer, `${space.name}/b`);
  expect(told).toEqual(['added a', 'deleted a', 'added b']);
});

const gone = { kind: 'Status', status: 'Failure', code: 410, reason: 'Expired', message: 'too old' };

test.each([
  { form: 'as HTTP status', answer: { type: 'answer', status: 410, body: JSON.stringify(gone) } as const },
  {
    form: 'as an event within HTTP 200',
    answer: { type: 'answer', status: 200, body: `${JSON.stringify({ type: 'ERROR', object: gone })}\n` } as const,
  },
])('410 $form leads to a new list, which tells what was missed', async ({ answer }) => {
  await using space = await createNamespace(cluster);
  const namespace = space.name;
  await using proxy = await createHttpProxy(cluster);
  await using client = clientFor(cluster, { url: proxy.url });
  await create(namespace, 'a');
  let watches = 0;
  let missed: Promise<void> | undefined;
  // Nothing is missed but what happens between the first list and the first watch that works.
  proxy.fault = (url) => {
    if (!url.searchParams.has('watch')) return undefined;
    watches += 1;
    if (watches === 1)
      missed = (async () => {
        await admin.delete(widgets, { namespace, name: 'a' });
        await create(namespace, 'b');
      })();
    return watches <= 2 ? answer : undefined;
  };
  const { informer, told, lists } = runInformer({ client, resource: widgets, namespace });
  await seen(informer, `${namespace}/b`);
  await missed;
  await eventually(() => (lists() === 3 ? true : undefined));
  expect(told).toEqual(['added a', 'deleted a (unknown)', 'added b']);
});

test('410 while paging is answered by one list in one piece', async () => {
  await using space = await createNamespace(cluster);
  await using proxy = await createHttpProxy(cluster);
  await using client = clientFor(cluster, { url: proxy.url });
  for (const name of ['a', 'b', 'c']) await create(space.name, name);
  proxy.fault = (url) =>
    url.searchParams.has('continue') ? { type: 'answer', status: 410, body: JSON.stringify(gone) } : undefined;
  const { informer } = runInformer({ client, resource: widgets, namespace: space.name });
  await informer.synced;
  expect(informer.size).toBe(3);
});

test.each([
  { cut: 'is cut off', edit: (chunk: Buffer) => chunk.subarray(0, chunk.length / 2), end: true },
  { cut: 'is no JSON', edit: (chunk: Buffer) => Buffer.from(chunk.toString('utf8').replaceAll('{', '[')), end: false },
])('a line that $cut leads to a new list', async ({ edit, end }) => {
  await using space = await createNamespace(cluster);
  await using proxy = await createHttpProxy(cluster);
  await using client = clientFor(cluster, { url: proxy.url });
  const { informer, lists } = runInformer({ client, resource: widgets, namespace: space.name });
  let spoilt = false;
  proxy.fault = (url) => {
    if (!url.searchParams.has('watch') || spoilt) return undefined;
    let cut = false;
    return {
      type: 'edit',
      edit(chunk) {
        if (cut && end) return undefined;
        cut = true;
        spoilt = true;
        return edit(chunk);
      },
    };
  };
  await informer.synced;
  await create(space.name, 'a');
  if (end) {
    // A second event, at which the proxy ends the answer in the middle of the first.
    await eventually(() => (spoilt ? true : undefined));
    await create(space.name, 'b');
  }
  await seen(informer, `${space.name}/a`);
  expect(lists()).toBe(2);
});

test('a kind that is not there yet is waited for, and one that goes away is kept and found again', async () => {
  const group = `g${Date.now().toString(36)}.widgets.test`;
  const resource = { ...widgets, group };
  const { informer, told } = runInformer({ client: admin, resource });
  await delay(100);
  expect(informer.hasSynced).toBe(false);
  await installWidgets(cluster, group);
  await informer.synced;
  await admin.create(resource, { metadata: { namespace: 'default', name: 'a' } });
  await eventually(() => informer.get('default/a'));
  await kubectl(cluster, ['delete', 'crd', `widgets.${group}`]);
  await eventually(() => (told.at(-1) === 'deleted a' ? true : undefined));
  await kubectl(cluster, ['create', '--filename', '-'], JSON.stringify(widgetCrd(group)));
  await kubectl(cluster, ['wait', '--for=condition=Established', `crd/widgets.${group}`]);
  await eventually(() => admin.create(resource, { metadata: { namespace: 'default', name: 'b' } }));
  await eventually(() => informer.get('default/b'));
  await kubectl(cluster, ['delete', 'crd', `widgets.${group}`]);
});

test('a right that is granted late is enough', async () => {
  await using space = await createNamespace(cluster);
  const namespace = space.name;
  await create(namespace, 'a');
  await using client = clientFor(cluster, { token: cluster.tokens.nobody });
  const { informer } = runInformer({ client, resource: widgets, namespace });
  await delay(100);
  expect(informer.hasSynced).toBe(false);
  await kubectl(cluster, [
    '-n',
    namespace,
    'create',
    'role',
    'r',
    '--verb=list,watch',
    '--resource=widgets.widgets.test',
  ]);
  await kubectl(cluster, ['-n', namespace, 'create', 'rolebinding', 'r', '--role=r', '--user=nobody']);
  await informer.synced;
  expect(informer.size).toBe(1);
});

test('a run can wait until the cache has seen its own last write', async () => {
  await using space = await createNamespace(cluster);
  const namespace = space.name;
  await create(namespace, 'a');
  const { informer } = runInformer({ client: admin, resource: widgets, namespace });
  await informer.synced;
  const key = `${namespace}/a`;
  const { signal } = new AbortController();
  for (let size = 2; size < 20; size += 1) {
    informer.wrote(await admin.patch(widgets, { namespace, name: 'a' }, { type: 'merge', value: { spec: { size } } }));
    await informer.settled(key, signal);
    expect(informer.get(key)?.spec?.size).toBe(size);
  }
});
