import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { conditionOf } from '../../../src/core/conditions.ts';
import { eventually } from '../../support/eventually.ts';
import { startFleet } from '../../support/fleet.ts';
import { testFolder } from '../../support/folder.ts';
import { item, policy, repository, vm, yaml } from '../../support/manifests.ts';
import { plainFiles } from '../../support/store.ts';

const content = { 'content.yaml': yaml(item('a', '/a', 'a'), vm('web', { repositoryRef: { name: 'main' } })) };

describe('where a repository lies', () => {
  test('a datastore that is not there changes nothing for guests and is named', async () => {
    const fleet = await startFleet({ files: { ...content, 'r.yaml': yaml(repository()) } });
    await fleet.gets('web', '/a', 'a');
    await fleet.write({ 'r.yaml': yaml(repository('main', { datastore: 'typo' })) });
    const { conditions } = await fleet.shows('GuestStoreRepository', 'fleet/main', {
      ready: false,
      reason: 'DatastoreNotFound',
      message: /"typo".*"default"/,
    });
    expect(conditionOf(conditions, 'Stalled')?.status).toBe('True');
    expect((await fleet.get('web', '/a')).body.toString()).toBe('a');
    await fleet.restart();
    expect((await fleet.get('web', '/a')).body.toString()).toBe('a');
    // Settings still change: a revocation waits for nobody's typing error.
    await fleet.write({ 'p.yaml': yaml(policy('p', { deny: ['/a'] })) });
    await fleet.gets('web', '/a', 403);
  });

  test('moved to another datastore it is served from there, and its old tree is gone', async () => {
    const second = await testFolder();
    const fleet = await startFleet({
      files: { ...content, 'r.yaml': yaml(repository()) },
      datastores: new Map([['second', second]]),
    });
    await fleet.gets('web', '/a', 'a');
    const seen = new Set<number>();
    let going = true;
    const asking = (async () => {
      while (going) seen.add((await fleet.get('web', '/a')).status);
    })();
    await fleet.write({ 'r.yaml': yaml(repository('main', { datastore: 'second' })) });
    await eventually(async () => expect(plainFiles(second)).toEqual({ 'fleet/main/a': 'a' }) ?? true);
    await fleet.gets('web', '/a', 'a');
    await eventually(() => expect(plainFiles(fleet.datastore)).toEqual({}) ?? true);
    going = false;
    await asking;
    // Between two datastores there may be a moment of trouble; it never looks like a decision.
    expect([...seen].filter((status) => status >= 400 && status < 500)).toEqual([]);
    await fleet.shows('GuestStoreRepository', 'fleet/main', { ready: true, reason: 'Served', generation: 2 });
    await fleet.shows('ContentItem', 'fleet/a', { ready: true, reason: 'Served' });
    await fleet.shows('GuestVM', 'fleet/web', { ready: true, reason: 'Served' });
    await fleet.restart();
    await fleet.gets('web', '/a', 'a');
  });

  test('a root that changes moves the plain tree; one that another has claimed does not, until it is free', async () => {
    const fleet = await startFleet({ files: { ...content, 'r.yaml': yaml(repository('main', { root: 'one' })) } });
    await fleet.gets('web', '/a', 'a');
    expect(plainFiles(fleet.datastore)).toEqual({ 'one/a': 'a' });
    await fleet.write({ 'r.yaml': yaml(repository('main', { root: 'two' })) });
    await eventually(() => expect(plainFiles(fleet.datastore)).toEqual({ 'two/a': 'a' }) ?? true);
    expect((await fleet.get('web', '/a')).body.toString()).toBe('a');

    await fleet.write({
      'other.yaml': yaml(
        repository('another', { root: 'two/inner' }),
        item('b', '/b', 'b', { repositoryRef: { name: 'another' } }),
        vm('other', { repositoryRef: { name: 'another' } }),
      ),
    });
    await fleet.shows('GuestStoreRepository', 'fleet/another', {
      ready: false,
      reason: 'RootConflict',
      message: /fleet\/main/,
    });
    await fleet.shows('ContentItem', 'fleet/b', {
      ready: false,
      reason: 'RepositoryNotReady',
      message: /fleet\/another/,
    });
    await fleet.shows('GuestVM', 'fleet/other', { ready: false, reason: 'RepositoryNotReady' });
    expect((await fleet.get('other', '/b')).status).toBe(503);
    expect((await fleet.get('web', '/a')).body.toString()).toBe('a');

    await fleet.write({ 'r.yaml': yaml(repository('main', { root: 'one' })) });
    await fleet.gets('other', '/b', 'b');
    await fleet.shows('GuestStoreRepository', 'fleet/another', { ready: true, reason: 'Served' });
    await eventually(() => expect(plainFiles(fleet.datastore)).toEqual({ 'one/a': 'a', 'two/inner/b': 'b' }) ?? true);
  });

  test('a root whose claimant is deleted goes to who waits for it in the same revision', async () => {
    const fleet = await startFleet({ files: { ...content, 'r.yaml': yaml(repository('main', { root: 'tree' })) } });
    await fleet.gets('web', '/a', 'a');
    await fleet.write({ 'late.yaml': yaml(repository('late', { root: 'tree' })) });
    await fleet.shows('GuestStoreRepository', 'fleet/late', { ready: false, reason: 'RootConflict' });
    await fleet.remove('r.yaml');
    await fleet.shows('GuestStoreRepository', 'fleet/late', { ready: true, reason: 'Published' });
    await fleet.gets('web', '/a', 503);
    await fleet.shows('ContentItem', 'fleet/a', { ready: false, reason: 'RepositoryNotFound' });
  });
});

test('a repository that does not know its whole tree answers 503 where it would say 404', async () => {
  const fleet = await startFleet({
    files: { ...content, 'r.yaml': yaml(repository('main', { authoritative: false })) },
  });
  await fleet.gets('web', '/a', 'a');
  expect((await fleet.get('web', '/none')).status).toBe(503);
});

test('fields of a later version are named and not ignored in silence', async () => {
  const fleet = await startFleet({
    files: { ...content, 'r.yaml': yaml(repository('main', { retention: { revisions: 5 } })) },
  });
  const { conditions } = await fleet.shows('GuestStoreRepository', 'fleet/main', { ready: true, reason: 'Served' });
  expect(conditionOf(conditions, 'NotSupportedYet')?.message).toMatch(/spec\.retention/);
});

describe("somebody else's files in the plain tree", () => {
  test('are never overwritten: the item says ForeignFile and guests get an error, until they are moved away', async () => {
    const fleet = await startFleet({ files: { 'r.yaml': yaml(repository('main', { root: 'tree' }), vm('web')) } });
    await mkdir(join(fleet.datastore, 'tree'), { recursive: true });
    await writeFile(join(fleet.datastore, 'tree/a'), 'mine');
    await fleet.write({ 'a.yaml': yaml(item('a', '/a', 'ours'), item('b', '/b', 'b')) });
    await fleet.shows('ContentItem', 'fleet/a', {
      ready: false,
      reason: 'ForeignFile',
      message: /tree\/a.*move it away/,
    });
    expect((await fleet.get('web', '/a')).status).toBe(503);
    await fleet.gets('web', '/b', 'b');
    expect(await readFile(join(fleet.datastore, 'tree/a'), 'utf8')).toBe('mine');
    await fleet.restart();
    expect((await fleet.get('web', '/a')).status).toBe(503);
    expect(await readFile(join(fleet.datastore, 'tree/a'), 'utf8')).toBe('mine');
    await rm(join(fleet.datastore, 'tree/a'));
    await fleet.gets('web', '/a', 'ours');
    await fleet.shows('ContentItem', 'fleet/a', { ready: true, reason: 'Served' });
    expect(await readFile(join(fleet.datastore, 'tree/a'), 'utf8')).toBe('ours');
  });

  test('what was edited there stays, and the last good content stays served', async () => {
    const fleet = await startFleet({
      files: {
        'r.yaml': yaml(repository('main', { root: 'tree' }), vm('web')),
        'a.yaml': yaml(item('a', '/a', 'one')),
      },
    });
    await fleet.gets('web', '/a', 'one');
    await writeFile(join(fleet.datastore, 'tree/a'), 'edited');
    await fleet.write({ 'a.yaml': yaml(item('a', '/a', 'two')) });
    await fleet.shows('ContentItem', 'fleet/a', { ready: false, reason: 'ForeignFile' });
    expect((await fleet.get('web', '/a')).body.toString()).toBe('one');
    expect(await readFile(join(fleet.datastore, 'tree/a'), 'utf8')).toBe('edited');
    await rm(join(fleet.datastore, 'tree/a'));
    await fleet.gets('web', '/a', 'two');
  });

  test('in the way of a moved root: guests are served, the item says so, and it heals', async () => {
    const fleet = await startFleet({
      files: {
        'r.yaml': yaml(repository('main', { root: 'one' }), vm('web')),
        'a.yaml': yaml(item('a', '/a', 'a'), item('b', '/b', 'b')),
      },
    });
    await fleet.gets('web', '/a', 'a');
    await mkdir(join(fleet.datastore, 'two'));
    await writeFile(join(fleet.datastore, 'two/a'), 'mine');
    await fleet.write({ 'r.yaml': yaml(repository('main', { root: 'two' }), vm('web')) });
    await fleet.shows('ContentItem', 'fleet/a', { ready: false, reason: 'ForeignFile', message: /two\/a/ });
    expect((await fleet.get('web', '/a')).body.toString()).toBe('a');
    expect(plainFiles(fleet.datastore)).toEqual({ 'two/a': 'mine', 'two/b': 'b' });
    await fleet.restart();
    await fleet.shows('ContentItem', 'fleet/a', { ready: false, reason: 'ForeignFile' });
    await rm(join(fleet.datastore, 'two/a'));
    await fleet.shows('ContentItem', 'fleet/a', { ready: true, reason: 'Served' });
    expect(plainFiles(fleet.datastore)).toEqual({ 'two/a': 'a', 'two/b': 'b' });
  });
});
