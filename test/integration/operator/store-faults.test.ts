import { execFileSync } from 'node:child_process';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { conditionOf } from '../../../src/core/conditions.ts';
import { eventually } from '../../support/eventually.ts';
import { createFleet, startFleet } from '../../support/fleet.ts';
import { testFolder } from '../../support/folder.ts';
import { item, policy, repository, vm, yaml } from '../../support/manifests.ts';
import { mountSmall } from '../../support/store.ts';

const ground = { 'ground.yaml': yaml(repository(), vm('web')), 'a.yaml': yaml(item('a', '/a', 'a')) };

async function small(size: string): Promise<string> {
  const folder = join(await testFolder(), 'store');
  await mkdir(folder);
  mountSmall(folder, size);
  return folder;
}

function remount(folder: string, how: 'ro' | 'rw'): void {
  execFileSync('mount', ['-o', `remount,${how}`, folder]);
}

test('a full datastore: the item says ENOSPC, a revocation still passes, and space that is freed heals it', async () => {
  const datastore = await small('12m');
  const fleet = await startFleet({ files: ground, datastore });
  await fleet.gets('web', '/a', 'a');
  const big = Buffer.alloc(3 * 2 ** 20, 'b');
  await writeFile(join(fleet.imports, 'big'), big);
  const ballast = join(datastore, 'ballast');
  execFileSync('sh', ['-c', `head -c 20000000 /dev/zero > ${ballast} 2>/dev/null || true`]);
  await fleet.write({ 'b.yaml': yaml(item('b', '/b', '', { source: { file: { path: 'big' } } })) });
  const { conditions } = await fleet.shows('ContentItem', 'fleet/b', {
    ready: false,
    reason: 'StoreUnavailable',
    message: /ENOSPC.*free space/,
  });
  expect(conditionOf(conditions, 'Reconciling')?.status).toBe('True');
  expect((await fleet.get('web', '/a')).body.toString()).toBe('a');
  expect((await fleet.get('web', '/b')).status).toBe(503);
  await fleet.write({ 'p.yaml': yaml(policy('p', { deny: ['/a'] })) });
  await fleet.gets('web', '/a', 403);
  await fleet.shows('VMAccessPolicy', 'fleet/p', { ready: true, reason: 'Served' });
  await rm(ballast);
  await fleet.gets('web', '/b', big.toString());
  await fleet.shows('ContentItem', 'fleet/b', { ready: true, reason: 'Served' });
  expect(await fleet.stop()).toBe(0);
});

test('a read-only datastore: what is served stays, nothing is half-applied, log and status say EROFS, and it heals', async () => {
  const datastore = await small('16m');
  const fleet = await startFleet({ files: ground, datastore });
  await fleet.gets('web', '/a', 'a');
  const before = await fleet.seq();
  remount(datastore, 'ro');
  await fleet.write({ 'a.yaml': yaml(item('a', '/a', 'changed')), 'p.yaml': yaml(policy('p', { deny: ['/b'] })) });
  await eventually(async () => {
    const line = (await fleet.log()).find(
      ({ msg }) => msg === 'revision not published' || msg === 'status not written' || msg === 'manifests not taken',
    );
    expect(JSON.stringify(line)).toMatch(/EROFS/);
    return true;
  });
  // Status cannot be kept, yet it is shown.
  await eventually(
    () => expect(fleet.printed).toMatch(/ContentItem +fleet\/a +False +StoreUnavailable +.*EROFS/) ?? true,
  );
  expect((await fleet.get('web', '/a')).body.toString()).toBe('a');
  expect(await fleet.seq()).toBe(before);
  remount(datastore, 'rw');
  await fleet.gets('web', '/a', 'changed');
  await fleet.gets('web', '/b', 403);
  await fleet.shows('ContentItem', 'fleet/a', { ready: true, reason: 'Served', generation: 2 });
  expect(await fleet.seq()).toBe(before + 1);
});

test('a read-only datastore at the start is an error that says so, and nothing is changed', async () => {
  const datastore = await small('16m');
  const fleet = await createFleet({ files: ground, datastore });
  expect(await fleet.once()).toBe(0);
  remount(datastore, 'ro');
  await fleet.write({ 'a.yaml': yaml(item('a', '/a', 'changed')) });
  await expect(fleet.once()).rejects.toMatchObject({
    code: 'StoreUnavailable',
    message: expect.stringMatching(/EROFS.*mount the file system writable/),
  });
  remount(datastore, 'rw');
  expect(await fleet.once()).toBe(0);
});

test('a datastore that vanishes while it is used: guests get errors and never 404, and it is not made anew', async () => {
  const fleet = await startFleet({ files: ground });
  await fleet.gets('web', '/a', 'a');
  await rename(fleet.datastore, `${fleet.datastore}.away`);
  await mkdir(fleet.datastore);
  await fleet.write({ 'a.yaml': yaml(item('a', '/a', 'changed'), item('b', '/b', 'b')) });
  await eventually(
    () => expect(fleet.printed).toMatch(/ContentItem +fleet\/b +False +(?:StoreUnavailable|ForeignStore)/) ?? true,
  );
  // The catalog in memory decides: what it has is content or an error, never "not found".
  expect([200, 503]).toContain((await fleet.get('web', '/a')).status);
  await rm(fleet.datastore, { recursive: true });
  await rename(`${fleet.datastore}.away`, fleet.datastore);
  await fleet.gets('web', '/a', 'changed');
  await fleet.gets('web', '/b', 'b');
});

test('a datastore that is no folder is an error that says so', async () => {
  const fleet = await createFleet({ files: ground });
  await writeFile(fleet.datastore, 'a file');
  await expect(fleet.once()).rejects.toMatchObject({
    code: 'StoreUnavailable',
    message: expect.stringMatching(/(?:EEXIST|ENOTDIR).*folder/),
  });
  await rm(fleet.datastore);
  expect(await fleet.once()).toBe(0);
});

test('of two that write one datastore the older stops, and says why', async () => {
  const fleet = await startFleet({ files: ground });
  await fleet.gets('web', '/a', 'a');
  const rival = await createFleet({
    files: { ...ground, 'a.yaml': yaml(item('a', '/a', 'rival')) },
    datastore: fleet.datastore,
  });
  expect(await rival.once()).toBe(0);
  await fleet.write({ 'a.yaml': yaml(item('a', '/a', 'late')) });
  await expect(fleet.ended()).rejects.toMatchObject({ code: 'Superseded' });
  expect(await rival.once()).toBe(0);
  expect(rival.printed).toMatch(/ContentItem +fleet\/a +True/);
});

test('a datastore of another installation is refused and left alone', async () => {
  const fleet = await createFleet({ files: ground });
  expect(await fleet.once()).toBe(0);
  const identity = join(fleet.datastore, '.gueststore/store.json');
  await writeFile(identity, JSON.stringify({ format: 1, id: 'x'.repeat(32), installation: 'another' }));
  await expect(fleet.once()).rejects.toMatchObject({ code: 'ForeignStore' });
});

test('trouble of one datastore stops no other', async () => {
  const second = await small('16m');
  const fleet = await startFleet({
    files: {
      'ground.yaml': yaml(
        repository(),
        repository('far', { datastore: 'second' }),
        vm('web', { repositoryRef: { name: 'main' } }),
        vm('edge', { repositoryRef: { name: 'far' } }),
      ),
      'a.yaml': yaml(item('a', '/a', 'a'), item('f', '/f', 'f', { repositoryRef: { name: 'far' } })),
    },
    datastores: new Map([['second', second]]),
  });
  await fleet.gets('edge', '/f', 'f');
  remount(second, 'ro');
  await fleet.write({
    'a.yaml': yaml(item('a', '/a', 'a2'), item('f', '/f', 'f2', { repositoryRef: { name: 'far' } })),
  });
  await fleet.shows('ContentItem', 'fleet/f', { ready: false, reason: 'StoreUnavailable', message: /EROFS/ });
  await fleet.gets('web', '/a', 'a2');
  for (const version of ['a3', 'a4', 'a5']) {
    await fleet.write({ 'b.yaml': yaml(item('b', '/b', version)) });
    await fleet.gets('web', '/b', version);
  }
  expect((await fleet.get('edge', '/f')).body.toString()).toBe('f');
  remount(second, 'rw');
  await fleet.gets('edge', '/f', 'f2');
});
