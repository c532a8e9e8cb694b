import { mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { conditionOf } from '../../../src/core/conditions.ts';
import { eventually } from '../../support/eventually.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { fleetHost, item, namespace, policy, repository, resource, vm, yaml } from '../../support/manifests.ts';
import { digestOf } from '../../support/memory-store.ts';
import { listing } from '../../support/store.ts';

const ground = { 'ground.yaml': yaml(repository(), vm('web')) };

/** Asks without a pause until told to stop; every status that was seen. */
function watchStatuses(fleet: Fleet, path: string): () => Promise<ReadonlySet<number>> {
  const seen = new Set<number>();
  let going = true;
  const asking = (async () => {
    while (going) seen.add((await fleet.get('web', path)).status);
  })();
  return async () => {
    going = false;
    await asking;
    return seen;
  };
}

describe('two items on one path', () => {
  test('the first keeps it, the other names it, and comes in without a gap when the first goes', async () => {
    const fleet = await startFleet({ files: { ...ground, 'a.yaml': yaml(item('b-first', '/x', 'first')) } });
    await fleet.gets('web', '/x', 'first');
    await fleet.write({ 'b.yaml': yaml(item('a-second', '/x', 'second')) });
    const { conditions } = await fleet.shows('ContentItem', 'fleet/a-second', {
      ready: false,
      reason: 'PathConflict',
      message: /fleet\/b-first/,
    });
    expect(conditionOf(conditions, 'Stalled')?.reason).toBe('PathConflict');
    await fleet.shows('ContentItem', 'fleet/b-first', { ready: true, reason: 'Served' });
    expect((await fleet.get('web', '/x')).body.toString()).toBe('first');
    // Claims are recorded: the order of names changes nothing after a restart either.
    await fleet.restart();
    expect((await fleet.get('web', '/x')).body.toString()).toBe('first');

    const before = await fleet.seq();
    const statuses = watchStatuses(fleet, '/x');
    await fleet.remove('a.yaml');
    await fleet.gets('web', '/x', 'second');
    expect(await statuses()).toEqual(new Set([200]));
    expect(await fleet.seq()).toBe(before + 1);
    await fleet.shows('ContentItem', 'fleet/a-second', { ready: true, reason: 'Served' });
  });

  test('claims of one pass go by name, and moving away frees a path too', async () => {
    const fleet = await startFleet({
      files: { ...ground, 'a.yaml': yaml(item('b', '/x', 'b')), 'b.yaml': yaml(item('a', '/x', 'a')) },
    });
    await fleet.gets('web', '/x', 'a');
    await fleet.write({ 'b.yaml': yaml(item('a', '/y', 'a')) });
    await fleet.gets('web', '/x', 'b');
    await fleet.gets('web', '/y', 'a');
  });

  test('a path that two trade is never not found', async () => {
    const fleet = await startFleet({
      files: { ...ground, 'a.yaml': yaml(item('a', '/x', 'a'), item('b', '/y', 'b')) },
    });
    await fleet.gets('web', '/x', 'a');
    const statuses = watchStatuses(fleet, '/x');
    await fleet.write({ 'a.yaml': yaml(item('a', '/y', 'a'), item('b', '/x', 'b')) });
    await fleet.gets('web', '/x', 'b');
    await fleet.gets('web', '/y', 'a');
    expect(await statuses()).toEqual(new Set([200]));
  });
});

describe('what cannot be had', () => {
  test.each([
    ['a file that is not there', { source: { file: { path: 'none.bin' } } }, 'SourceNotFound', /none\.bin/],
    [
      'a ConfigMap that is not there',
      { source: { configMapKeyRef: { name: 'none', key: 'k' } } },
      'SourceNotFound',
      /fleet\/none/,
    ],
    [
      'a Secret that is not there',
      { source: { secretKeyRef: { name: 'none', key: 'k' } } },
      'SourceNotFound',
      /fleet\/none/,
    ],
    [
      'bytes of another digest',
      { digest: digestOf('other') },
      'DigestMismatch',
      /another digest than the expected sha256:/,
    ],
    [
      'a source of a later version',
      { source: { git: { url: 'https://example.org/a.git', path: 'a' } } },
      'NotSupportedYet',
      /git/,
    ],
  ])('%s is 503 and never 404, and says so', async (_, spec, reason, message) => {
    const fleet = await startFleet({ files: { ...ground, 'b.yaml': yaml(item('neighbour', '/n', 'n')) } });
    await fleet.gets('web', '/n', 'n');
    await fleet.write({ 'a.yaml': yaml(item('x', '/x', 'x', spec)) });
    await fleet.shows('ContentItem', 'fleet/x', { ready: false, reason, message });
    expect((await fleet.get('web', '/x')).status).toBe(503);
    expect((await fleet.get('web', '/n')).body.toString()).toBe('n');
    expect((await fleet.get('web', '/other')).status).toBe(404);
  });

  test('keeps the last good content when it had some', async () => {
    const fleet = await startFleet({ files: { ...ground, 'a.yaml': yaml(item('x', '/x', 'good')) } });
    await fleet.gets('web', '/x', 'good');
    await fleet.write({ 'a.yaml': yaml(item('x', '/x', 'bad', { digest: digestOf('other') })) });
    const { conditions, status } = await fleet.shows('ContentItem', 'fleet/x', {
      ready: false,
      reason: 'DigestMismatch',
      generation: 2,
    });
    expect(conditionOf(conditions, 'Stalled')?.status).toBe('True');
    expect(conditionOf(conditions, 'Stored')).toMatchObject({ status: 'True' });
    expect(status.digest).toBe(digestOf('good'));
    expect((await fleet.get('web', '/x')).body.toString()).toBe('good');
    await fleet.restart();
    expect((await fleet.get('web', '/x')).body.toString()).toBe('good');
    await fleet.write({ 'a.yaml': yaml(item('x', '/x', 'other', { digest: digestOf('other') })) });
    await fleet.gets('web', '/x', 'other');
    await fleet.shows('ContentItem', 'fleet/x', { ready: true, reason: 'Served' });
  });

  test('a reference to nothing is told, keeps what is served, and heals', async () => {
    const fleet = await startFleet({ files: { ...ground, 'a.yaml': yaml(item('x', '/x', 'x')) } });
    await fleet.gets('web', '/x', 'x');
    await fleet.write({ 'a.yaml': yaml(item('x', '/x', 'y', { repositoryRef: { name: 'typo' } })) });
    const { conditions } = await fleet.shows('ContentItem', 'fleet/x', {
      ready: false,
      reason: 'RepositoryNotFound',
      message: /fleet\/typo/,
    });
    expect(conditionOf(conditions, 'Reconciling')?.status).toBe('True');
    expect((await fleet.get('web', '/x')).body.toString()).toBe('x');
    await fleet.write({ 'a.yaml': yaml(item('x', '/x', 'y')) });
    await fleet.gets('web', '/x', 'y');
  });

  test('a path that CEL lets pass and the program does not is InvalidPath', async () => {
    const fleet = await startFleet({ files: { ...ground, 'a.yaml': yaml(item('x', '/cafe\u0301', 'x')) } });
    await fleet.shows('ContentItem', 'fleet/x', { ready: false, reason: 'InvalidPath', message: /normalization/i });
  });
});

describe('ConfigMaps, Secrets and import files', () => {
  const configMap = (text: string) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'c', namespace: 'fleet' },
    data: { k: text },
  });
  const secret = (text: string) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's', namespace: 'fleet' },
    stringData: { k: text },
  });

  test('are followed, and a Secret shows neither digest nor plain file', async () => {
    const fleet = await startFleet({
      files: {
        ...ground,
        'a.yaml': yaml(
          item('c', '/c', '', { source: { configMapKeyRef: { name: 'c', key: 'k' } } }),
          item('s', '/s', '', { source: { secretKeyRef: { name: 's', key: 'k' } } }),
        ),
        'b.yaml': yaml(configMap('one'), secret('hidden')),
      },
    });
    await fleet.gets('web', '/c', 'one');
    await fleet.gets('web', '/s', 'hidden');
    const { status } = await fleet.shows('ContentItem', 'fleet/s', { ready: true, reason: 'Served' });
    expect(status.digest).toBeUndefined();
    await expect(readFile(join(fleet.datastore, 'fleet/main/s'))).rejects.toThrow(/ENOENT/);
    await fleet.write({ 'b.yaml': yaml(configMap('two'), secret('hidden too')) });
    await fleet.gets('web', '/c', 'two');
    await fleet.gets('web', '/s', 'hidden too');
    await fleet.write({ 'b.yaml': '' });
    await fleet.shows('ContentItem', 'fleet/c', { ready: false, reason: 'SourceNotFound' });
    expect((await fleet.get('web', '/c')).body.toString()).toBe('two');
  });

  test('an import file that changes is published anew, one that goes stays served', async () => {
    const fleet = await startFleet({ files: ground });
    await mkdir(join(fleet.imports, 'agents'));
    await writeFile(join(fleet.imports, 'agents/a.bin'), 'one');
    await fleet.write({ 'a.yaml': yaml(item('a', '/a', '', { source: { file: { path: 'agents/a.bin' } } })) });
    await fleet.gets('web', '/a', 'one');
    // At once: it may be changed before it was ever looked at again.
    await writeFile(join(fleet.imports, 'agents/b'), 'two');
    await rename(join(fleet.imports, 'agents/b'), join(fleet.imports, 'agents/a.bin'));
    await fleet.gets('web', '/a', 'two');
    await rm(join(fleet.imports, 'agents/a.bin'));
    await fleet.shows('ContentItem', 'fleet/a', { ready: false, reason: 'SourceNotFound', message: /a\.bin/ });
    expect((await fleet.get('web', '/a')).body.toString()).toBe('two');
    await writeFile(join(fleet.imports, 'agents/a.bin'), 'three');
    await fleet.gets('web', '/a', 'three');
    await fleet.shows('ContentItem', 'fleet/a', { ready: true, reason: 'Served' });
  });

  test('an import file that leads out of its folder is refused', async () => {
    const fleet = await startFleet({ files: ground });
    await writeFile(join(fleet.folder, 'secret'), 'not yours');
    await symlink(join(fleet.folder, 'secret'), join(fleet.imports, 'link'));
    await fleet.write({ 'a.yaml': yaml(item('a', '/a', '', { source: { file: { path: 'link' } } })) });
    await fleet.shows('ContentItem', 'fleet/a', { ready: false, reason: 'SourceRefused', message: /leads out/ });
    expect((await fleet.get('web', '/a')).status).toBe(503);
  });
});

describe('room', () => {
  test('maxItemSize holds, also when it is lowered below what is there', async () => {
    const fleet = await startFleet({
      files: {
        'ground.yaml': yaml(repository('main', { maxItemSize: 10 }), vm('web')),
        'a.yaml': yaml(item('a', '/a', '0123456789'), item('b', '/b', '01234567890')),
      },
    });
    await fleet.gets('web', '/a', '0123456789');
    await fleet.shows('ContentItem', 'fleet/b', { ready: false, reason: 'TooLarge', message: /10 bytes.*maxItemSize/ });
    expect((await fleet.get('web', '/b')).status).toBe(503);
    await fleet.write({ 'ground.yaml': yaml(repository('main', { maxItemSize: 5 }), vm('web')) });
    await fleet.shows('ContentItem', 'fleet/a', { ready: false, reason: 'TooLarge', message: /maxItemSize/ });
    expect((await fleet.get('web', '/a')).body.toString()).toBe('0123456789');
    await fleet.write({ 'ground.yaml': yaml(repository('main', { maxItemSize: 11 }), vm('web')) });
    await fleet.gets('web', '/b', '01234567890');
    await fleet.shows('ContentItem', 'fleet/a', { ready: true, reason: 'Served' });
  });

  test('the quota holds for all items together, and what is freed is used', async () => {
    const fleet = await startFleet({
      files: {
        'ground.yaml': yaml(repository('main', { quota: 15 }), vm('web')),
        'a.yaml': yaml(item('a', '/a', '0123456789')),
        'b.yaml': yaml(item('b', '/b', '0123456789')),
      },
    });
    await fleet.gets('web', '/a', '0123456789');
    await fleet.shows('ContentItem', 'fleet/b', {
      ready: false,
      reason: 'QuotaExceeded',
      message: /spec\.quota \(15\)/,
    });
    expect((await fleet.get('web', '/b')).status).toBe(503);
    await fleet.remove('a.yaml');
    await fleet.gets('web', '/b', '0123456789');
    await fleet.shows('ContentItem', 'fleet/b', { ready: true, reason: 'Served' });
  });

  test('a grace keeps the bytes of a deleted item, then the path is not found', async () => {
    const fleet = await startFleet({
      files: {
        'ground.yaml': yaml(repository('main', { removalGrace: '2s' }), vm('web')),
        'a.yaml': yaml(item('a', '/a', 'a')),
        'b.yaml': yaml(item('b', '/b', 'b')),
      },
    });
    await fleet.gets('web', '/a', 'a');
    const start = performance.now();
    await fleet.remove('a.yaml', 'b.yaml');
    await eventually(async () => ((await fleet.find('ContentItem', 'fleet/a')) === undefined ? true : undefined));
    expect((await fleet.get('web', '/a')).body.toString()).toBe('a');
    // Another item takes the path over at once.
    await fleet.write({ 'c.yaml': yaml(item('c', '/b', 'c')) });
    await fleet.gets('web', '/b', 'c');
    await fleet.gets('web', '/a', 404);
    expect(performance.now() - start).toBeGreaterThan(2_000);
    expect((await fleet.get('web', '/b')).body.toString()).toBe('c');
    await eventually(
      async () =>
        await readFile(join(fleet.datastore, 'fleet/main/a')).then(
          () => undefined,
          () => true,
        ),
    );
  });
});

describe('suspend', () => {
  test('of an item that was never published is trouble to guests, until it is resumed', async () => {
    const fleet = await startFleet({ files: { ...ground, 'a.yaml': yaml(item('a', '/a', 'one', { suspend: true })) } });
    await fleet.shows('ContentItem', 'fleet/a', { ready: false, reason: 'Suspended' });
    expect((await fleet.get('web', '/a')).status).toBe(503);
    await fleet.write({ 'a.yaml': yaml(item('a', '/a', 'one')) });
    await fleet.gets('web', '/a', 'one');
  });

  test('of an item or its repository keeps what is published, over a restart, and goes on afterwards', async () => {
    const fleet = await startFleet({ files: { ...ground, 'a.yaml': yaml(item('a', '/a', 'one')) } });
    await fleet.gets('web', '/a', 'one');
    await fleet.write({ 'a.yaml': yaml(item('a', '/a', 'two', { suspend: true })) });
    await fleet.shows('ContentItem', 'fleet/a', { ready: true, reason: 'Suspended', generation: 2 });
    await fleet.restart();
    expect((await fleet.get('web', '/a')).body.toString()).toBe('one');
    await fleet.shows('ContentItem', 'fleet/a', { ready: true, reason: 'Suspended' });
    await fleet.write({ 'a.yaml': yaml(item('a', '/a', 'two')) });
    await fleet.gets('web', '/a', 'two');

    await fleet.write({
      'ground.yaml': yaml(repository('main', { suspend: true, defaultPosture: 'Closed' }), vm('web')),
    });
    await fleet.shows('GuestStoreRepository', 'fleet/main', { ready: true, reason: 'Suspended' });
    await fleet.write({ 'a.yaml': yaml(item('a', '/a', 'three')), 'b.yaml': yaml(item('b', '/b', 'b')) });
    await fleet.shows('ContentItem', 'fleet/b', { ready: false, reason: 'Suspended', message: /Nothing is published/ });
    await fleet.restart();
    expect((await fleet.get('web', '/a')).body.toString()).toBe('two');
    expect((await fleet.get('web', '/b')).status).toBe(404);
    await fleet.write(ground);
    await fleet.gets('web', '/a', 'three');
    await fleet.gets('web', '/b', 'b');
  });

  test('of a policy keeps its rules as they were, over a restart', async () => {
    const fleet = await startFleet({
      files: {
        ...ground,
        'a.yaml': yaml(item('a', '/a', 'a'), item('b', '/b', 'b')),
        'p.yaml': yaml(policy('p', { deny: ['/a'] })),
      },
    });
    await fleet.gets('web', '/a', 403);
    await fleet.write({ 'p.yaml': yaml(policy('p', { deny: ['/b'] }, { suspend: true })) });
    await fleet.shows('VMAccessPolicy', 'fleet/p', { ready: true, reason: 'Suspended' });
    expect((await fleet.get('web', '/b')).status).toBe(200);
    await fleet.restart();
    await fleet.gets('web', '/a', 403);
    expect((await fleet.get('web', '/b')).status).toBe(200);
    await fleet.write({ 'p.yaml': yaml(policy('p', { deny: ['/b'] })) });
    await fleet.gets('web', '/b', 403);
    await fleet.gets('web', '/a', 'a');
  });
});

test('nothing changed, nothing written: neither by waiting nor by a restart', async () => {
  const fleet = await startFleet({
    files: {
      ...ground,
      'a.yaml': yaml(item('a', '/a', 'a'), item('missing', '/m', '', { source: { file: { path: 'none' } } })),
      'p.yaml': yaml(
        policy('p', { deny: ['/b'] }),
        namespace('fleet'),
        resource('ClusterVMAccessPolicy', 'c', { namespaceSelector: {}, vmSelector: {}, deny: ['/c'] }),
      ),
    },
  });
  await fleet.gets('web', '/a', 'a');
  await fleet.shows('ContentItem', 'fleet/a', { ready: true, reason: 'Served' });
  await fleet.shows('ContentItem', 'fleet/missing', { ready: false, reason: 'SourceNotFound' });
  await fleet.shows('ClusterVMAccessPolicy', 'c', { ready: true, reason: 'Served' });
  await fleet.stop();
  // The heartbeat of the daemon is not the operator's.
  const files = () => listing(fleet.datastore).filter((line) => !/\.gueststore\/(?:hosts|tmp)(?:\/| )/.test(line));
  const before = files();
  const hosts = join(fleet.datastore, '.gueststore/hosts', fleetHost);
  await fleet.start();
  await fleet.gets('web', '/a', 'a');
  await fleet.write({ 'ground.yaml': `${ground['ground.yaml']}\n# a comment changes nothing\n` });
  // For three heartbeats: meanwhile the item that failed is tried again.
  const beats = new Set<string>();
  await eventually(async () => {
    for (const file of await readdir(hosts)) beats.add(String((await stat(join(hosts, file))).mtimeMs));
    return beats.size > 3 ? true : undefined;
  }, 30_000);
  await fleet.stop();
  // The digest of the file that has a comment now is kept.
  const manifests = (line: string) => !/status\/manifests-/.test(line) && !/\.gueststore\/status /.test(line);
  expect(files().filter(manifests)).toEqual(before.filter(manifests));
});
