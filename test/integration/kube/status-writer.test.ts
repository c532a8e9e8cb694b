import { beforeAll, expect, test } from 'vitest';
import type { Client } from '../../../src/kube/client.ts';
import type { Stored } from '../../../src/kube/objects.ts';
import { createStatusWriter, type StatusWriter } from '../../../src/kube/status-writer.ts';
import { auditLog, type Cluster } from '../../support/kubernetes/api-server.ts';
import { clientFor } from '../../support/kubernetes/clients.ts';
import { createHttpProxy } from '../../support/kubernetes/http-proxy.ts';
import { bareCluster, createNamespace } from '../../support/kubernetes/shared-cluster.ts';
import { installWidgets, type Widget, widgets } from '../../support/kubernetes/widgets.ts';

const { signal } = new AbortController();

let cluster: Cluster;
let client: Client;

beforeAll(async () => {
  cluster = await bareCluster();
  await installWidgets(cluster);
  client = clientFor(cluster);
  return () => client.close();
});

function statusOf(status: 'True' | 'False', note: string): NonNullable<Widget['status']> {
  return {
    observedGeneration: 1,
    note,
    conditions: [{ type: 'Ready', status, reason: status === 'True' ? 'Published' : 'Failed', message: note }],
  };
}

function writerAt(time: string): StatusWriter<Widget> {
  return createStatusWriter({ client, resource: widgets, fieldManager: 'tests', now: () => new Date(time) });
}

async function create(namespace: string): Promise<Stored<Widget>> {
  return client.create(widgets, { metadata: { namespace, name: 'one' }, spec: { size: 1 } });
}

async function statusWrites(namespace: string): Promise<number> {
  const ours = (await auditLog(cluster)).filter(
    ({ verb, objectRef }) =>
      verb === 'patch' && objectRef?.namespace === namespace && objectRef.subresource === 'status',
  );
  return ours.length;
}

test('an equal status is not written again: not on a stale cache, not after a restart', async () => {
  await using space = await createNamespace(cluster);
  const created = await create(space.name);
  const writer = writerAt('2026-01-01T00:00:00Z');
  expect(await writer.write(created, statusOf('True', 'fine'), signal)).toBe(true);
  // `created` is how a cache that lags behind shows it.
  expect(await writer.write(created, statusOf('True', 'fine'), signal)).toBe(false);
  const current = await client.get(widgets, created.metadata);
  expect(await writer.write(current, statusOf('True', 'fine'), signal)).toBe(false);
  expect(await writerAt('2026-01-02T00:00:00Z').write(current, statusOf('True', 'fine'), signal)).toBe(false);
  expect(await statusWrites(space.name)).toBe(1);
});

test('a cache that lags behind our own write moves no transition time', async () => {
  await using space = await createNamespace(cluster);
  const created = await create(space.name);
  let time = '2026-01-01T00:00:00Z';
  const writer = createStatusWriter({ client, resource: widgets, fieldManager: 'tests', now: () => new Date(time) });
  await writer.write(created, statusOf('False', 'on its way'), signal);
  const cached = await client.get(widgets, created.metadata);
  time = '2026-01-01T00:00:10Z';
  await writer.write(cached, statusOf('True', 'fine'), signal);
  time = '2026-01-01T00:00:20Z';
  // The cache has not seen it, and shows another's write to the object instead.
  const lagging = {
    ...cached,
    metadata: { ...cached.metadata, resourceVersion: `${cached.metadata.resourceVersion}0` },
  };
  await writer.write(lagging, statusOf('True', 'fine, and more'), signal);
  const { status } = await client.get(widgets, created.metadata);
  expect(status).toMatchObject({
    note: 'fine, and more',
    conditions: [{ lastTransitionTime: '2026-01-01T00:00:10Z' }],
  });

  // Somebody else has written since, which a cache shows: his times count then.
  time = '2026-01-01T00:00:30Z';
  const other = createStatusWriter({ client, resource: widgets, fieldManager: 'tests', now: () => new Date(time) });
  await other.write(await client.get(widgets, created.metadata), statusOf('False', 'broken'), signal);
  time = '2026-01-01T00:00:40Z';
  await writer.write(await client.get(widgets, created.metadata), statusOf('True', 'mended'), signal);
  expect((await client.get(widgets, created.metadata)).status).toMatchObject({
    conditions: [{ status: 'True', lastTransitionTime: '2026-01-01T00:00:40Z' }],
  });
});

test('a leader whose cache does not show yet what the last one wrote looks before it writes', async () => {
  await using space = await createNamespace(cluster);
  const created = await create(space.name);
  await writerAt('2026-01-01T00:00:00Z').write(created, statusOf('True', 'fine'), signal);
  const now = () => new Date('2026-01-01T00:00:10Z');
  const taking = () =>
    createStatusWriter({ client, resource: widgets, fieldManager: 'tests', now, mayLag: () => true });
  expect(await taking().write(created, statusOf('True', 'fine'), signal)).toBe(false);
  expect(await taking().write(created, statusOf('True', 'fine, and more'), signal)).toBe(true);
  expect((await client.get(widgets, created.metadata)).status).toMatchObject({
    note: 'fine, and more',
    conditions: [{ lastTransitionTime: '2026-01-01T00:00:00Z' }],
  });
  await client.delete(widgets, created.metadata);
  const successor = await create(space.name);
  expect(await taking().write(created, statusOf('False', 'of the one before'), signal)).toBe(false);
  expect((await client.get(widgets, successor.metadata)).status?.conditions).toBeUndefined();
});

test('after a write whose answer was lost it looks what became of it', async () => {
  await using space = await createNamespace(cluster);
  const created = await create(space.name);
  await using proxy = await createHttpProxy(cluster);
  await using through = clientFor(cluster, { url: proxy.url });
  let time = '2026-01-01T00:00:00Z';
  const now = () => new Date(time);
  const writer = createStatusWriter({ client: through, resource: widgets, fieldManager: 'tests', now });
  proxy.fault = (_url, method) => (method === 'PATCH' ? { type: 'edit', edit: () => undefined } : undefined);
  await expect(writer.write(created, statusOf('True', 'fine'), AbortSignal.timeout(2_000))).rejects.toThrow();
  proxy.fault = () => undefined;
  time = '2026-01-01T00:00:10Z';
  // `created` is what a cache without news goes on showing.
  expect(await writer.write(created, statusOf('True', 'fine'), signal)).toBe(false);
  expect(await writer.write(created, statusOf('True', 'fine, and more'), signal)).toBe(true);
  expect((await client.get(widgets, created.metadata)).status).toMatchObject({
    note: 'fine, and more',
    conditions: [{ lastTransitionTime: '2026-01-01T00:00:00Z' }],
  });
});

test('a transition time changes with the status of its condition, and with nothing else', async () => {
  await using space = await createNamespace(cluster);
  const created = await create(space.name);
  const write = async (time: string, status: 'True' | 'False', note: string) => {
    const current = await client.get(widgets, created.metadata);
    await writerAt(time).write(current, statusOf(status, note), signal);
    const { status: written } = await client.get(widgets, created.metadata);
    return written?.conditions?.[0]?.lastTransitionTime;
  };
  expect(await write('2026-01-01T00:00:00.123Z', 'False', 'a')).toBe('2026-01-01T00:00:00Z');
  expect(await write('2026-01-02T00:00:00Z', 'False', 'b')).toBe('2026-01-01T00:00:00Z');
  expect(await write('2026-01-03T00:00:00Z', 'True', 'c')).toBe('2026-01-03T00:00:00Z');
});

test('what others write beside ours stays and costs no write; what they take from us is put back', async () => {
  await using space = await createNamespace(cluster);
  const created = await create(space.name);
  const writer = writerAt('2026-01-01T00:00:00Z');
  await writer.write(created, statusOf('True', 'fine'), signal);
  const theirs = { conditions: [{ type: 'Theirs', status: 'True', reason: 'x', message: '' }] } as const;
  const beside = await client.applyStatus(widgets, created.metadata, theirs, { fieldManager: 'theirs' });
  expect(await writer.write(beside, statusOf('True', 'fine'), signal)).toBe(false);

  const clash = { note: 'mine' };
  const taken = await client.applyStatus(widgets, created.metadata, clash, { fieldManager: 'thief', force: true });
  expect(await writer.write(taken, statusOf('True', 'fine'), signal)).toBe(true);
  const { status } = await client.get(widgets, created.metadata);
  expect(status?.note).toBe('fine');
  expect(status?.conditions?.map(({ type }) => type).toSorted()).toEqual(['Ready', 'Theirs']);
});

test('an object that is gone is left', async () => {
  await using space = await createNamespace(cluster);
  const created = await create(space.name);
  await client.delete(widgets, created.metadata);
  expect(await writerAt('2026-01-01T00:00:00Z').write(created, statusOf('True', 'fine'), signal)).toBe(false);
});
