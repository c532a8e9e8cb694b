import { beforeAll, expect, test } from 'vitest';
import type { Client } from '../../../src/kube/client.ts';
import { createController, done, type Reconcile } from '../../../src/kube/controller.ts';
import { addFinalizer, removeFinalizer } from '../../../src/kube/finalizers.ts';
import { createInformer, type Informer } from '../../../src/kube/informer.ts';
import { createStatusWriter } from '../../../src/kube/status-writer.ts';
import { silent } from '../../../src/lib/log.ts';
import { eventually } from '../../support/eventually.ts';
import { auditLog, type Cluster } from '../../support/kubernetes/api-server.ts';
import { clientFor } from '../../support/kubernetes/clients.ts';
import { bareCluster, createNamespace } from '../../support/kubernetes/shared-cluster.ts';
import { installWidgets, type Widget, widgets } from '../../support/kubernetes/widgets.ts';

const finalizer = 'widgets.test/cleanup';

let cluster: Cluster;
let admin: Client;

beforeAll(async () => {
  cluster = await bareCluster();
  await installWidgets(cluster);
  admin = clientFor(cluster);
  return () => admin.close();
});

interface World {
  readonly client: Client;
  readonly informer: Informer<Widget>;
  /** What the operator made of each widget: its size. */
  readonly made: Map<string, number>;
}

/** A whole small operator: makes something of each widget, says so in its status, cleans up when it goes. */
function reconciler({ client, informer, made }: World): Reconcile {
  const { wrote } = informer;
  const statuses = createStatusWriter({
    client,
    resource: widgets,
    fieldManager: 'maker',
    now: () => new Date(),
    wrote,
  });
  return async (key, { signal }) => {
    const widget = informer.get(key);
    if (widget === undefined) return done;
    if (widget.metadata.deletionTimestamp !== undefined) {
      made.delete(key);
      await removeFinalizer(client, widgets, widget, finalizer, signal);
      return done;
    }
    const held = await addFinalizer(client, widgets, widget, finalizer, signal);
    if (held !== widget) wrote(held);
    await statuses.write(
      held,
      { observedGeneration: held.metadata.generation ?? 0, note: `size ${widget.spec?.size}` },
      signal,
    );
    made.set(key, widget.spec?.size ?? 0);
    return done;
  };
}

async function withOperator<T>(namespace: string, userAgent: string, use: (world: World) => Promise<T>): Promise<T> {
  await using client = clientFor(cluster, { userAgent });
  const informer = createInformer({ client, resource: widgets, namespace, log: silent, freeze: true });
  const world = { client, informer, made: new Map<string, number>() };
  const controller = createController({
    name: 'widget',
    reconcile: reconciler(world),
    settled: informer.settled,
    log: silent,
  });
  informer.onChange(({ key }) => controller.enqueue(key));
  const stop = new AbortController();
  const running = Promise.all([informer.run(stop.signal), controller.run(stop.signal)]);
  try {
    return await use(world);
  } finally {
    stop.abort();
    await running;
  }
}

const create = (namespace: string, name: string) =>
  admin.create(widgets, { metadata: { namespace, name }, spec: { size: 1 } });

const noteOf = async (namespace: string, name: string) => (await admin.get(widgets, { namespace, name })).status?.note;

test('objects come, change and go, and the operator keeps up', async () => {
  await using space = await createNamespace(cluster);
  const namespace = space.name;
  await withOperator(namespace, 'maker', async ({ made }) => {
    for (const name of ['a', 'b', 'c']) await create(namespace, name);
    await eventually(async () => ((await noteOf(namespace, 'c')) === 'size 1' ? true : undefined));
    await admin.patch(widgets, { namespace, name: 'a' }, { type: 'merge', value: { spec: { size: 9 } } });
    await eventually(async () => ((await noteOf(namespace, 'a')) === 'size 9' ? true : undefined));
    await admin.delete(widgets, { namespace, name: 'b' });
    await eventually(async () =>
      (await admin.find(widgets, { namespace, name: 'b' })) === undefined ? true : undefined,
    );
    expect(made).toEqual(
      new Map([
        [`${namespace}/a`, 9],
        [`${namespace}/c`, 1],
      ]),
    );
    await admin.delete(widgets, { namespace, name: 'a' });
    await admin.delete(widgets, { namespace, name: 'c' });
    await eventually(() => (made.size === 0 ? true : undefined));
  });
});

test('a second run, with nothing changed, writes nothing', async () => {
  await using space = await createNamespace(cluster);
  const namespace = space.name;
  for (const name of ['a', 'b']) await create(namespace, name);
  const made = (world: World) => eventually(() => (world.made.size === 2 ? true : undefined));
  await withOperator(namespace, `first-${namespace}`, async (world) => {
    await made(world);
    for (const name of ['a', 'b']) await eventually(() => noteOf(namespace, name));
  });
  const second = `second-${namespace}`;
  const asked = async () => (await auditLog(cluster)).filter(({ userAgent }) => userAgent === second);
  await withOperator(namespace, second, async (world) => {
    await made(world);
    await eventually(async () => (await asked()).find(({ verb }) => verb === 'watch'));
  });
  const requests = await asked();
  expect(new Set(requests.map(({ verb }) => verb))).toEqual(new Set(['list', 'watch']));

  // Finalizers must not hold the namespace.
  await withOperator(namespace, 'cleaner', async () => {
    for (const name of ['a', 'b']) await admin.delete(widgets, { namespace, name });
    await eventually(async () => ((await admin.list(widgets, { namespace })).items.length === 0 ? true : undefined));
  });
});

test('a finalizer is taken off only where it stands', async () => {
  await using space = await createNamespace(cluster);
  const { signal } = new AbortController();
  const widget = await create(space.name, 'held');
  const held = await addFinalizer(admin, widgets, widget, finalizer, signal);
  expect(await addFinalizer(admin, widgets, held, finalizer, signal)).toBe(held);
  // Somebody puts another one before ours.
  const finalizers = ['widgets.test/other', finalizer];
  const moved = await admin.patch(widgets, widget.metadata, { type: 'merge', value: { metadata: { finalizers } } });
  await expect(removeFinalizer(admin, widgets, held, finalizer, signal)).rejects.toMatchObject({ code: 'ApiRefused' });
  await removeFinalizer(admin, widgets, moved, finalizer, signal);
  expect((await admin.get(widgets, widget.metadata)).metadata.finalizers).toEqual(['widgets.test/other']);
  await admin.patch(widgets, widget.metadata, { type: 'merge', value: { metadata: { finalizers: null } } });
});
