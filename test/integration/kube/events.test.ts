import { beforeAll, expect, test } from 'vitest';
import type { Client } from '../../../src/kube/client.ts';
import { createEventRecorder } from '../../../src/kube/events.ts';
import { silent } from '../../../src/lib/log.ts';
import { createMetrics } from '../../../src/lib/metrics.ts';
import { type Cluster, kubectl } from '../../support/kubernetes/api-server.ts';
import { clientFor } from '../../support/kubernetes/clients.ts';
import { bareCluster, createNamespace } from '../../support/kubernetes/shared-cluster.ts';
import { installWidgets, widgets } from '../../support/kubernetes/widgets.ts';

interface Recorded {
  readonly reason: string;
  readonly note: string;
  readonly type: string;
  readonly series?: { readonly count: number };
}

let cluster: Cluster;
let client: Client;

beforeAll(async () => {
  cluster = await bareCluster();
  await installWidgets(cluster);
  client = clientFor(cluster);
  return () => client.close();
});

async function recorded(namespace: string): Promise<readonly Recorded[]> {
  const text = await kubectl(cluster, ['-n', namespace, 'get', 'events.events.k8s.io', '-o', 'json']);
  return (JSON.parse(text) as { readonly items: readonly Recorded[] }).items;
}

test('a happening is one event; again and again it is a series; kubectl describe shows it', async () => {
  await using space = await createNamespace(cluster);
  const widget = await client.create(widgets, { metadata: { namespace: space.name, name: 'one' } });
  await using recorder = createEventRecorder({
    client,
    controller: 'widgets.test/tests',
    instance: 'here',
    log: silent,
  });
  const published = { type: 'Normal', reason: 'Published', action: 'Publish', note: 'published revision 7' } as const;
  for (let times = 0; times < 5; times += 1) recorder.record(widget, published);
  recorder.record(widget, { ...published, note: 'é'.repeat(1_000) });
  await recorder.flush();
  const events = (await recorded(space.name)).toSorted((a, b) => (b.series?.count ?? 1) - (a.series?.count ?? 1));
  expect(events.map(({ reason, type, series }) => [reason, type, series?.count])).toEqual([
    ['Published', 'Normal', 5],
    ['Published', 'Normal', undefined],
  ]);
  expect(await kubectl(cluster, ['-n', space.name, 'describe', 'widget', 'one'])).toMatch(
    /Published .*published revision 7/,
  );
});

test('an object that flaps is held back, and what is not delivered is counted', async () => {
  await using space = await createNamespace(cluster);
  const widget = await client.create(widgets, { metadata: { namespace: space.name, name: 'flapping' } });
  const metrics = createMetrics();
  const options = { client, controller: 'widgets.test/tests', instance: 'here', log: silent, metrics };
  await using recorder = createEventRecorder(options);
  for (let n = 0; n < 100; n += 1)
    recorder.record(widget, { type: 'Warning', reason: 'Failed', action: 'Fetch', note: `attempt ${n}` });
  await recorder.flush();
  expect(await recorded(space.name)).toHaveLength(25);
  expect(metrics.render()).toContain('events_dropped_total{reason="rate"} 75');
});
