import { beforeAll, expect, test } from 'vitest';
import type { Client } from '../../../src/kube/client.ts';
import { configMaps, secrets } from '../../../src/kube/resource.ts';
import type { Cluster } from '../../support/kubernetes/api-server.ts';
import { clientFor } from '../../support/kubernetes/clients.ts';
import { bareCluster, createNamespace } from '../../support/kubernetes/shared-cluster.ts';
import { installWidgets, widgets } from '../../support/kubernetes/widgets.ts';

let cluster: Cluster;
let client: Client;

beforeAll(async () => {
  cluster = await bareCluster();
  await installWidgets(cluster);
  client = clientFor(cluster);
  return () => client.close();
});

test('an object is created, read, patched, replaced, listed in pages and deleted', async () => {
  await using space = await createNamespace(cluster);
  const namespace = space.name;
  const created = await client.create(widgets, { metadata: { namespace, name: 'one' }, spec: { size: 1 } });
  expect(created).toMatchObject({ apiVersion: 'widgets.test/v1', kind: 'Widget', metadata: { generation: 1 } });

  const merged = await client.patch(widgets, created.metadata, { type: 'merge', value: { spec: { part: 'wheel' } } });
  expect(merged.spec).toEqual({ size: 1, part: 'wheel' });
  const operations = [{ op: 'replace', path: '/spec/size', value: 2 } as const];
  const patched = await client.patch(widgets, created.metadata, { type: 'json', operations });
  const replaced = await client.replace(widgets, { ...patched, spec: { size: 3 } });
  expect(await client.get(widgets, replaced.metadata)).toEqual(replaced);
  await expect(client.replace(widgets, { ...patched, spec: { size: 4 } })).rejects.toMatchObject({
    reason: 'Conflict',
  });

  await client.create(widgets, { metadata: { namespace, name: 'two', labels: { tier: 'web' } } });
  const first = await client.list(widgets, { namespace, limit: 1 });
  const second = await client.list(widgets, { namespace, limit: 1, continue: first.continue });
  expect([...first.items, ...second.items].map(({ metadata }) => metadata.name)).toEqual(['one', 'two']);
  expect(second.continue).toBeUndefined();
  const selected = await client.list(widgets, { namespace, labelSelector: 'tier=web', metadataOnly: true });
  expect(selected.items).toMatchObject([{ kind: 'Widget', metadata: { name: 'two' } }]);

  const wrong = { uid: '00000000-0000-0000-0000-000000000000' };
  await expect(client.delete(widgets, created.metadata, wrong)).rejects.toMatchObject({ reason: 'Conflict' });
  expect(await client.delete(widgets, created.metadata, { uid: created.metadata.uid })).toBe(true);
  expect(await client.delete(widgets, created.metadata)).toBe(false);
  expect(await client.find(widgets, created.metadata)).toBeUndefined();
});

test('an unknown field is refused, and a dry run writes nothing', async () => {
  await using space = await createNamespace(cluster);
  const metadata = { namespace: space.name, name: 'strict' };
  const unknown = { metadata, spec: { sizes: 1 } as object };
  await expect(client.create(widgets, unknown)).rejects.toThrow(/unknown field "spec.sizes"/);
  await client.create(widgets, { metadata, spec: { size: 1 } }, { dryRun: true });
  expect(await client.find(widgets, metadata)).toBeUndefined();
});

test('server-side apply owns what it sends, and only force takes it from another', async () => {
  await using space = await createNamespace(cluster);
  const metadata = { namespace: space.name, name: 'applied' };
  const options = { fieldManager: 'mine' };
  await client.apply(widgets, { metadata, spec: { size: 1, part: 'wheel' } }, options);
  const narrower = await client.apply(widgets, { metadata, spec: { size: 1 } }, options);
  expect(narrower.spec).toEqual({ size: 1 });

  const theirs = { metadata, spec: { size: 2 } };
  await expect(client.apply(widgets, theirs, { fieldManager: 'theirs' })).rejects.toMatchObject({
    reason: 'Conflict',
    status: 409,
    details: { causes: [{ reason: 'FieldManagerConflict', field: '.spec.size' }] },
  });
  const forced = await client.apply(widgets, theirs, { fieldManager: 'theirs', force: true });
  expect(forced.spec).toEqual({ size: 2 });
  const another = { ...theirs, metadata: { ...metadata, uid: '00000000-0000-0000-0000-000000000000' } };
  await expect(client.apply(widgets, another, options)).rejects.toThrow(/uid.* immutable/s);
});

test('a status is applied beside the spec, and only where there is an object', async () => {
  await using space = await createNamespace(cluster);
  const name = { namespace: space.name, name: 'status' };
  const options = { fieldManager: 'status', force: true };
  await expect(client.applyStatus(widgets, name, { note: 'x' }, options)).rejects.toMatchObject({ reason: 'NotFound' });
  const { metadata } = await client.create(widgets, { metadata: name, spec: { size: 1 } });
  const applied = await client.applyStatus(widgets, metadata, { note: 'fine' }, options);
  expect(applied).toMatchObject({ spec: { size: 1 }, status: { note: 'fine' }, metadata: { generation: 1 } });
});

test('what the server refuses says who, what and why', async () => {
  await using nobody = clientFor(cluster, { token: cluster.tokens.nobody });
  await expect(nobody.list(secrets, { namespace: 'default' })).rejects.toMatchObject({
    code: 'ApiRefused',
    status: 403,
    reason: 'Forbidden',
    message: expect.stringMatching(/^GET \/api\/v1\/namespaces\/default\/secrets: .*"nobody" cannot list/),
  });
  await using stranger = clientFor(cluster, { token: 'wrong' });
  await expect(stranger.list(secrets)).rejects.toMatchObject({ status: 401, reason: 'Unauthorized' });
});

test('no answer is told from a refusal, and a caller who gives up from both', async () => {
  await using away = clientFor(cluster, { url: 'https://127.0.0.1:1' });
  await expect(away.list(configMaps)).rejects.toMatchObject({
    code: 'ApiUnavailable',
    status: 0,
    reason: 'Unreachable',
  });
  const signal = AbortSignal.abort();
  await expect(client.list(configMaps, { signal })).rejects.toMatchObject({ code: 'Aborted' });
});
