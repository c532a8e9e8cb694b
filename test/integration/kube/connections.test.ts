import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { beforeAll, expect, test } from 'vitest';
import { configMaps } from '../../../src/kube/resource.ts';
import { eventually } from '../../support/eventually.ts';
import type { Cluster } from '../../support/kubernetes/api-server.ts';
import { clientFor, portOf } from '../../support/kubernetes/clients.ts';
import { bareCluster } from '../../support/kubernetes/shared-cluster.ts';
import { createTcpProxy } from '../../support/kubernetes/tcp-proxy.ts';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await bareCluster();
});

test('two hundred lists one after the other open no connection after the first few, and fifty at once at most 32', async () => {
  await using proxy = await createTcpProxy({ port: portOf(cluster) });
  await using client = clientFor(cluster, { url: `https://127.0.0.1:${proxy.port}` });
  for (let n = 0; n < 200; n += 1) await client.list(configMaps, { namespace: 'default' });
  // One may still be busy with the end of its last answer when the next call comes.
  expect(proxy.accepted).toBeLessThanOrEqual(2);
  for (let round = 0; round < 4; round += 1)
    await Promise.all(Array.from({ length: 50 }, () => client.list(configMaps, { namespace: 'default' })));
  expect(proxy.accepted).toBeLessThanOrEqual(32);
});

test('a watch takes no connection from calls, and gives its own back', async () => {
  await using proxy = await createTcpProxy({ port: portOf(cluster) });
  await using client = clientFor(cluster, { url: `https://127.0.0.1:${proxy.port}` });
  const { resourceVersion } = await client.list(configMaps);
  for (let n = 0; n < 6; n += 1) {
    const { signal } = new AbortController();
    const watch = client.watch(configMaps, { resourceVersion, timeoutSeconds: 1, signal });
    const ended = Array.fromAsync(watch);
    await client.list(configMaps);
    await ended;
  }
  expect(proxy.accepted).toBeLessThanOrEqual(4);
});

test('a call that is broken off before its answer is tried again, when that is harmless', async () => {
  await using proxy = await createTcpProxy({ port: portOf(cluster) });
  await using client = clientFor(cluster, { url: `https://127.0.0.1:${proxy.port}` });
  await client.list(configMaps);
  proxy.reset();
  await eventually(() => (proxy.open === 0 ? true : undefined));
  await client.list(configMaps);

  proxy.refuse();
  proxy.reset();
  const created = client.create(configMaps, { metadata: { namespace: 'default', name: 'never-twice' } });
  await expect(created).rejects.toMatchObject({ reason: 'Unreachable' });
});

test('a server that accepts and says nothing costs a call its time limit', async () => {
  await using mute = createServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1');
  await once(mute, 'listening');
  const { port } = mute.address() as AddressInfo;
  await using client = clientFor(cluster, { url: `http://127.0.0.1:${port}`, timeout: 200 });
  const created = client.create(configMaps, { metadata: { namespace: 'default', name: 'silent' } });
  await expect(created).rejects.toMatchObject({ reason: 'Timeout', status: 0, code: 'ApiUnavailable' });
});
