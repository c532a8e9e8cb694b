import { stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { conditionOf } from '../../../src/core/conditions.ts';
import { requestAnnotation, requestOf } from '../../../src/core/reconcile-request.ts';
import type { DeclaredKind } from '../../../src/operator/types.ts';
import { eventually } from '../../support/eventually.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { startHttpServer } from '../../support/http-server.ts';
import { item, policy, repository, resource, vm, yaml } from '../../support/manifests.ts';
import { digestOf } from '../../support/memory-store.ts';

// What the annotation gueststore.dev/requestedAt asks for: a look at the source now, and an answer in status.

const body = Buffer.from('over the network');
const ground = { 'ground.yaml': yaml(repository(), vm('web')) };
const asking = (value: string) => ({ annotations: { [requestAnnotation]: value } });

async function answered(fleet: Fleet, kind: DeclaredKind, key: string, value: string | undefined) {
  return await eventually(async () => {
    const found = await fleet.find(kind, key);
    expect(found?.status.lastHandledReconcileAt, `${kind} ${key}`).toBe(value);
    return found;
  });
}

test('every kind answers, once, and a value that stays causes no more writes', async () => {
  const objects = (meta: object) => ({
    'all.yaml': yaml(
      repository('main', {}, meta),
      item('a', '/a', 'one', {}, meta),
      vm('web', {}, meta),
      { ...policy('p', { deny: ['/b'] }), metadata: { name: 'p', namespace: 'fleet', ...meta } },
      resource('ClusterVMAccessPolicy', 'all', { namespaceSelector: {}, vmSelector: {}, deny: ['/c'] }, meta),
    ),
  });
  const kinds = [
    ['GuestStoreRepository', 'fleet/main'],
    ['ContentItem', 'fleet/a'],
    ['GuestVM', 'fleet/web'],
    ['VMAccessPolicy', 'fleet/p'],
    ['ClusterVMAccessPolicy', 'all'],
  ] as const;
  const fleet = await startFleet({ files: objects({}) });
  await fleet.gets('web', '/a', 'one');
  const seq = await fleet.seq();
  for (const [kind, key] of kinds) await answered(fleet, kind, key, undefined);
  await fleet.write(objects(asking('first')));
  for (const [kind, key] of kinds) {
    const found = await answered(fleet, kind, key, 'first');
    expect(found.status.observedGeneration, 'an annotation is no new generation').toBe(1);
  }
  await fleet.restart();
  await fleet.write(objects(asking('second')));
  for (const [kind, key] of kinds) await answered(fleet, kind, key, 'second');
  // Taken away it asks for nothing, and the last answer stands.
  await fleet.write({ ...objects({}), 'b.yaml': yaml(item('b', '/b2', 'two')) });
  await fleet.gets('web', '/b2', 'two');
  for (const [kind, key] of kinds) await answered(fleet, kind, key, 'second');
  expect(await fleet.seq(), 'only the new item was a revision').toBe(seq + 1);
});

test('a value longer than status may bear is answered as far as it fits', async () => {
  const long = 'ä'.repeat(100);
  const fleet = await startFleet({ files: { ...ground, 'a.yaml': yaml(item('a', '/a', 'one', {}, asking(long))) } });
  await answered(fleet, 'ContentItem', 'fleet/a', 'ä'.repeat(64));
  expect(requestOf({ annotations: { [requestAnnotation]: '' } })).toBeUndefined();
});

describe('the source is asked now', () => {
  test('a file is read again although it looks the same from outside', async () => {
    const fleet = await startFleet({ files: ground });
    const file = join(fleet.imports, 'a.bin');
    const manifest = (meta: object) => ({
      'a.yaml': yaml(item('a', '/a', '', { source: { file: { path: 'a.bin' } } }, meta)),
    });
    await writeFile(file, 'one');
    await fleet.write(manifest({}));
    await fleet.gets('web', '/a', 'one');
    await fleet.shows('ContentItem', 'fleet/a', { ready: true, reason: 'Served' });
    // Seconds as they are on disk: a fraction would not come back whole.
    const { atime, mtime } = await stat(file);
    await utimes(file, atime, new Date(Math.floor(mtime.getTime() / 1000) * 1000));
    const dated = await stat(file);
    await answered(fleet, 'ContentItem', 'fleet/a', undefined);
    await fleet.write(manifest(asking('0')));
    await answered(fleet, 'ContentItem', 'fleet/a', '0');
    await writeFile(file, 'two');
    await utimes(file, dated.atime, dated.mtime);
    // Whatever else looks at the file by itself takes it for the one that it knows.
    await fleet.write({ 'b.yaml': yaml(item('b', '/b', 'other')) });
    await fleet.gets('web', '/b', 'other');
    await fleet.write(manifest(asking('1')));
    await fleet.gets('web', '/a', 'two');
    await answered(fleet, 'ContentItem', 'fleet/a', '1');
  });

  test('a web server is asked whether it still says the same, long before the interval is over', async () => {
    const server = await startHttpServer();
    onTestFinished(() => server[Symbol.asyncDispose]());
    server.serve('/x', { body, etag: '"1"' });
    const manifest = (meta: object) => ({
      'x.yaml': yaml(
        item(
          'x',
          '/x',
          '',
          { source: { http: { url: server.url('/x') } }, digest: digestOf(body), interval: '1h' },
          meta,
        ),
      ),
    });
    const statuses = () => server.requests.map(({ status }) => status);
    const fleet = await startFleet({ files: { ...ground, ...manifest(asking('at the start')) } });
    await answered(fleet, 'ContentItem', 'fleet/x', 'at the start');
    expect(statuses()).toEqual([200]);
    await fleet.write(manifest(asking('again')));
    await answered(fleet, 'ContentItem', 'fleet/x', 'again');
    expect(statuses()).toEqual([200, 304]);

    // Trouble is an answer too, and Ready stays while the content does.
    server.serve('/x', { status: 500 });
    await fleet.write(manifest(asking('in trouble')));
    const troubled = await answered(fleet, 'ContentItem', 'fleet/x', 'in trouble');
    expect(conditionOf(troubled.conditions, 'SourceReady')).toMatchObject({ status: 'False' });
    expect(conditionOf(troubled.conditions, 'Ready')).toMatchObject({ status: 'True', reason: 'Served' });

    // A request ends the wait that a failure began.
    server.serve('/x', { body, etag: '"1"' });
    await fleet.write(manifest(asking('mended')));
    const mended = await answered(fleet, 'ContentItem', 'fleet/x', 'mended');
    expect(conditionOf(mended.conditions, 'SourceReady')).toMatchObject({ status: 'True' });
    const asked = statuses().length;
    await fleet.restart();
    await fleet.gets('web', '/x', body.toString());
    await fleet.write({ 'b.yaml': yaml(item('b', '/b', 'other')) });
    await fleet.gets('web', '/b', 'other');
    expect(statuses(), 'who starts anew has nothing to answer').toHaveLength(asked);
  });

  test('one that does not answer is said, after it was asked, to have failed', async () => {
    const manifest = (meta: object) => ({
      'x.yaml': yaml(
        item('x', '/x', '', { source: { http: { url: 'http://127.0.0.1:1/x' } }, digest: digestOf(body) }, meta),
      ),
    });
    const fleet = await startFleet({ files: { ...ground, ...manifest({}) } });
    await fleet.shows('ContentItem', 'fleet/x', { ready: false, reason: 'SourceUnavailable' });
    await fleet.write(manifest(asking('now')));
    await answered(fleet, 'ContentItem', 'fleet/x', 'now');
    await fleet.shows('ContentItem', 'fleet/x', { ready: false, reason: 'SourceUnavailable' });
  });
});

test('a suspended object answers when it is resumed', async () => {
  const manifest = (suspend: boolean, meta: object) => ({
    'a.yaml': yaml(item('a', '/a', suspend ? 'edited' : 'resumed', { suspend }, meta)),
  });
  const fleet = await startFleet({ files: { ...ground, 'a.yaml': yaml(item('a', '/a', 'one')) } });
  await fleet.gets('web', '/a', 'one');
  await fleet.write(manifest(true, asking('while suspended')));
  const { status } = await fleet.shows('ContentItem', 'fleet/a', { ready: true, reason: 'Suspended' });
  expect(status.lastHandledReconcileAt).toBeUndefined();
  await fleet.gets('web', '/a', 'one');
  await fleet.write(manifest(false, asking('while suspended')));
  await answered(fleet, 'ContentItem', 'fleet/a', 'while suspended');
  await fleet.gets('web', '/a', 'resumed');
});
