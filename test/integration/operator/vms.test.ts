import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { conditionOf } from '../../../src/core/conditions.ts';
import { createFleet, startFleet } from '../../support/fleet.ts';
import { item, namespace, policy, repository, resource, vm, yaml } from '../../support/manifests.ts';

const content = { 'content.yaml': yaml(item('a', '/a', 'a'), item('b', '/b', 'b')) };
const ground = { 'ground.yaml': yaml(repository()), ...content };

describe('channels', () => {
  test('two VMs on one are both refused and both say so, until one leaves', async () => {
    const fleet = await startFleet({ files: { ...ground, 'v1.yaml': yaml(vm('web')) } });
    await fleet.gets('web', '/a', 'a');
    await fleet.write({ 'v2.yaml': yaml(vm('thief', { channel: { hybridUDS: { path: 'web.vsock' } } })) });
    await fleet.gets('web', '/a', 503);
    for (const [one, other] of [
      ['web', 'thief'],
      ['thief', 'web'],
    ] as const) {
      const { conditions } = await fleet.shows('GuestVM', `fleet/${one}`, {
        ready: false,
        reason: 'ChannelConflict',
        message: new RegExp(`fleet/${other}`),
      });
      expect(conditionOf(conditions, 'Stalled')?.status).toBe('True');
    }
    await fleet.restart();
    expect((await fleet.get('web', '/a')).status).toBe(503);
    await fleet.remove('v2.yaml');
    await fleet.gets('web', '/a', 'a');
    await fleet.shows('GuestVM', 'fleet/web', { ready: true, reason: 'Served' });
  });

  test('one that the host cannot give is refused by its daemon, with the reason, and stops no other', async () => {
    const long = 'x'.repeat(90);
    const fleet = await startFleet({
      files: {
        ...ground,
        'v.yaml': yaml(
          vm('web'),
          vm('long', { channel: { hybridUDS: { path: long } } }),
          vm('far', { channel: { hybridUDS: { path: '/var/run/far.vsock' } } }),
        ),
      },
    });
    await fleet.gets('web', '/a', 'a');
    await fleet.shows('GuestVM', 'fleet/long', { ready: false, reason: 'ChannelRefused', message: /107/ });
    const { conditions } = await fleet.shows('GuestVM', 'fleet/far', {
      ready: false,
      reason: 'ChannelRefused',
      message: /socket root/,
    });
    expect(conditionOf(conditions, 'Programmed')).toMatchObject({ status: 'False', reason: 'ChannelRefused' });
    await fleet.shows('GuestVM', 'fleet/web', { ready: true, reason: 'Served' });
  });

  test('one of a later version is NotSupportedYet', async () => {
    const fleet = await startFleet({
      files: { ...ground, 'v.yaml': yaml(vm('web'), vm('cid', { channel: { vsock: { cid: 7 } } })) },
    });
    await fleet.shows('GuestVM', 'fleet/cid', { ready: false, reason: 'NotSupportedYet', message: /vsock/ });
    expect((await fleet.get('web', '/a')).body.toString()).toBe('a');
  });

  test('a VM that is switched off is answered 503, and is Ready', async () => {
    const fleet = await startFleet({ files: { ...ground, 'v.yaml': yaml(vm('web')) } });
    await fleet.gets('web', '/a', 'a');
    await fleet.write({ 'v.yaml': yaml(vm('web', { enabled: false })) });
    await fleet.gets('web', '/a', 503);
    expect((await fleet.get('web', '/none')).status).toBe(503);
    await fleet.shows('GuestVM', 'fleet/web', { ready: true, reason: 'Disabled' });
    await fleet.write({ 'v.yaml': yaml(vm('web')) });
    await fleet.gets('web', '/a', 'a');
  });

  test('a suspended VM stays as it was, over a restart; one that is new stays away', async () => {
    const fleet = await startFleet({ files: { ...ground, 'v.yaml': yaml(vm('web')) } });
    await fleet.gets('web', '/a', 'a');
    await fleet.write({ 'v.yaml': yaml(vm('web', { suspend: true, enabled: false }), vm('new', { suspend: true })) });
    await fleet.shows('GuestVM', 'fleet/web', { ready: true, reason: 'Suspended', generation: 2 });
    await fleet.shows('GuestVM', 'fleet/new', { ready: false, reason: 'Suspended', message: /Nothing/ });
    await fleet.write({ 'p.yaml': yaml(policy('p', { deny: ['/a'] })) });
    await fleet.shows('VMAccessPolicy', 'fleet/p', { ready: true, reason: 'Served' });
    await fleet.restart();
    expect((await fleet.get('web', '/a')).body.toString()).toBe('a');
    await fleet.write({ 'v.yaml': yaml(vm('web')) });
    await fleet.gets('web', '/a', 403);
  });
});

describe('which repository', () => {
  test('none, several, or the default of the namespace: never a guess', async () => {
    const fleet = await startFleet({ files: { 'v.yaml': yaml(vm('web')) } });
    await fleet.gets('web', '/a', 503);
    await fleet.shows('GuestVM', 'fleet/web', { ready: false, reason: 'RepositoryNotFound' });
    await fleet.write(ground);
    await fleet.gets('web', '/a', 'a');
    await fleet.write({ 'other.yaml': yaml(repository('other')) });
    await fleet.gets('web', '/a', 503);
    await fleet.shows('GuestVM', 'fleet/web', {
      ready: false,
      reason: 'RepositoryAmbiguous',
      message: /fleet\/main, fleet\/other/,
    });
    await fleet.write({ 'ground.yaml': yaml(repository('main', { default: true })) });
    await fleet.gets('web', '/a', 'a');
    await fleet.write({ 'v.yaml': yaml(vm('web', { repositoryRef: { name: 'other' } })) });
    await fleet.gets('web', '/a', 404);
    await fleet.write({ 'v.yaml': yaml(vm('web', { repositoryRef: { name: 'typo' } })) });
    await fleet.gets('web', '/a', 503);
    await fleet.shows('GuestVM', 'fleet/web', { ready: false, reason: 'RepositoryNotFound', message: /fleet\/typo/ });
  });

  test('of another namespace only where that one allows it: Same, All, Selector', async () => {
    const far = { namespace: 'lab' };
    const shared = (allow: object) =>
      yaml(repository('shared', { allow }, far), item('s', '/s', 's', { repositoryRef: { name: 'shared' } }, far));
    const fleet = await startFleet({
      files: {
        'lab.yaml': shared({}),
        'spaces.yaml': yaml(namespace('fleet', { team: 'a' }), namespace('lab')),
        'v.yaml': yaml(
          vm('web', { repositoryRef: { name: 'shared', namespace: 'lab' } }),
          item('mine', '/mine', 'm', { repositoryRef: { name: 'shared', namespace: 'lab' } }),
        ),
      },
    });
    await fleet.gets('web', '/s', 503);
    await fleet.shows('GuestVM', 'fleet/web', {
      ready: false,
      reason: 'ReferenceNotPermitted',
      message: /spec\.allow\.vms/,
    });
    await fleet.shows('ContentItem', 'fleet/mine', {
      ready: false,
      reason: 'ReferenceNotPermitted',
      message: /spec\.allow\.items/,
    });
    await fleet.write({ 'lab.yaml': shared({ vms: { from: 'All' } }) });
    await fleet.gets('web', '/s', 's');
    expect((await fleet.get('web', '/mine')).status).toBe(404);
    const teams = { from: 'Selector', selector: { matchLabels: { team: 'a' } } };
    await fleet.write({ 'lab.yaml': shared({ vms: teams, items: teams }) });
    await fleet.gets('web', '/mine', 'm');
    // What is no longer allowed is taken back, and trouble is no 404 for the VM.
    await fleet.write({ 'spaces.yaml': yaml(namespace('fleet', { team: 'b' }), namespace('lab')) });
    await fleet.gets('web', '/s', 503);
    await fleet.shows('ContentItem', 'fleet/mine', { ready: false, reason: 'ReferenceNotPermitted' });
  });
});

describe('rules', () => {
  test('a Closed repository denies what no rule grants', async () => {
    const fleet = await startFleet({
      files: {
        ...content,
        'ground.yaml': yaml(
          repository('main', { defaultPosture: 'Closed' }),
          vm('web'),
          policy('p', { grant: ['/a'] }),
        ),
      },
    });
    await fleet.gets('web', '/a', 'a');
    expect((await fleet.get('web', '/b')).status).toBe(403);
    await fleet.write({ 'ground.yaml': yaml(repository('main'), vm('web'), policy('p', { grant: ['/a'] })) });
    await fleet.gets('web', '/b', 'b');
  });

  test('more than a VM can have leave the last good ones in force, and heal', async () => {
    const many = (count: number) =>
      Object.fromEntries(
        Array.from({ length: Math.ceil(count / 256) }, (_, n) => [
          `many-${n}.yaml`,
          yaml(
            policy(`many-${n}`, {
              deny: Array.from({ length: Math.min(256, count - 256 * n) }, (_, i) => `/n/${n}/${i}`),
            }),
          ),
        ]),
      );
    const fleet = await startFleet({
      files: { ...ground, 'v.yaml': yaml(vm('web')), 'p.yaml': yaml(policy('p', { deny: ['/a'] })), ...many(2047) },
    });
    await fleet.gets('web', '/a', 403);
    await fleet.shows('GuestVM', 'fleet/web', { ready: true, reason: 'Served' });
    await fleet.write({ 'q.yaml': yaml(policy('q', { deny: ['/b'] })) });
    const { conditions, status } = await fleet.shows('GuestVM', 'fleet/web', {
      ready: false,
      reason: 'TooManyRules',
      message: /2049/,
    });
    expect(conditionOf(conditions, 'Stalled')?.reason).toBe('TooManyRules');
    expect(status.rules).toEqual({ grant: 0, deny: 2048 });
    await fleet.shows('VMAccessPolicy', 'fleet/q', { ready: false, reason: 'TooManyRules', message: /fleet\/web/ });
    expect((await fleet.get('web', '/a')).status).toBe(403);
    expect((await fleet.get('web', '/b')).status).toBe(200);
    await fleet.restart();
    expect((await fleet.get('web', '/a')).status).toBe(403);
    await fleet.remove('many-0.yaml');
    await fleet.gets('web', '/b', 403);
    await fleet.shows('VMAccessPolicy', 'fleet/q', { ready: true, reason: 'Served' });
  });

  test('one that does not compile, kept from a version that took it, leaves the last good ones in force', async () => {
    const fleet = await startFleet({
      files: { ...ground, 'v.yaml': yaml(vm('web')), 'p.yaml': yaml(policy('p', { deny: ['/a'] })) },
    });
    await fleet.gets('web', '/a', 403);
    await fleet.stop();
    await spoil(join(fleet.datastore, '.gueststore/status'), join(fleet.manifests, 'p.yaml'), (text) =>
      text.replaceAll('"/a"', '"(/a"'),
    );
    await fleet.start();
    expect((await fleet.get('web', '/a')).status).toBe(403);
    expect((await fleet.get('web', '/b')).status).toBe(200);
    await fleet.shows('VMAccessPolicy', 'fleet/p', { ready: false, reason: 'InvalidRule', message: /deny\[0\]/ });
    await fleet.shows('GuestVM', 'fleet/web', { ready: false, reason: 'InvalidRule', message: /fleet\/p/ });
  });

  test('a selector that cannot be understood stops no other VM', async () => {
    const selector = { matchExpressions: [{ key: 'a', operator: 'In', values: ['b'] }] };
    const fleet = await startFleet({
      files: {
        ...ground,
        'v.yaml': yaml(vm('web')),
        'p.yaml': yaml(policy('p', { deny: ['/a'] }, { vmSelector: selector })),
      },
    });
    await fleet.gets('web', '/a', 'a');
    await fleet.stop();
    await spoil(join(fleet.datastore, '.gueststore/status'), join(fleet.manifests, 'p.yaml'), (text) =>
      text.replaceAll('"In"', '"Near"'),
    );
    await fleet.start();
    await fleet.shows('GuestVM', 'fleet/web', { ready: false, reason: 'InvalidManifest', message: /Near/ });
    expect((await fleet.get('web', '/a')).body.toString()).toBe('a');
    await fleet.write({ 'c.yaml': yaml(item('c', '/c', 'c')) });
    await fleet.gets('web', '/c', 'c');
  });

  test('Audit is not there yet and says that none of its rules takes effect', async () => {
    const fleet = await startFleet({
      files: { ...ground, 'v.yaml': yaml(vm('web')), 'p.yaml': yaml(policy('p', { deny: ['/a'] }, { mode: 'Audit' })) },
    });
    await fleet.gets('web', '/a', 'a');
    const { conditions } = await fleet.shows('VMAccessPolicy', 'fleet/p', { ready: false, reason: 'NotSupportedYet' });
    expect(conditionOf(conditions, 'RulesEffective')?.status).toBe('False');
  });

  test('a suspended policy is as Ready as what it said before, whatever it says now', async () => {
    const file = (spec: object) => ({ 'p.yaml': yaml(policy('p', { deny: ['/a'] }, { ...spec })) });
    const fleet = await startFleet({ files: { ...ground, 'v.yaml': yaml(vm('web')), ...file({}) } });
    await fleet.gets('web', '/a', 403);
    await fleet.write(file({ mode: 'Audit', suspend: true }));
    await fleet.shows('VMAccessPolicy', 'fleet/p', { ready: true, reason: 'Suspended', generation: 2 });
    expect((await fleet.get('web', '/a')).status).toBe(403);
    await fleet.write(file({ mode: 'Audit' }));
    await fleet.shows('VMAccessPolicy', 'fleet/p', { ready: false, reason: 'NotSupportedYet' });
  });

  test('a policy that begins suspended takes no effect', async () => {
    const fleet = await startFleet({
      files: { ...ground, 'v.yaml': yaml(vm('web')), 'p.yaml': yaml(policy('p', { deny: ['/a'] }, { suspend: true })) },
    });
    await fleet.shows('VMAccessPolicy', 'fleet/p', { ready: false, reason: 'Suspended', message: /Nothing/ });
    expect((await fleet.get('web', '/a')).body.toString()).toBe('a');
    await fleet.write({ 'p.yaml': yaml(policy('p', { deny: ['/a'] })) });
    await fleet.gets('web', '/a', 403);
  });

  test('of a cluster policy reach the namespaces that it selects', async () => {
    const cluster = resource('ClusterVMAccessPolicy', 'all', {
      namespaceSelector: { matchLabels: { team: 'a' } },
      vmSelector: {},
      deny: ['/a'],
    });
    const fleet = await startFleet({
      files: { ...ground, 'v.yaml': yaml(vm('web')), 'c.yaml': yaml(cluster, namespace('fleet', { team: 'a' })) },
    });
    await fleet.gets('web', '/a', 403);
    await fleet.shows('ClusterVMAccessPolicy', 'all', { ready: true, reason: 'Served' });
    await fleet.write({ 'c.yaml': yaml(cluster, namespace('fleet', { team: 'b' })) });
    await fleet.gets('web', '/a', 'a');
  });
});

test('`up --once` is 0 only when all is Ready', async () => {
  const fleet = await createFleet({ files: { ...ground, 'v.yaml': yaml(vm('web')) } });
  expect(await fleet.once()).toBe(0);
  expect(fleet.printed).toMatch(/GuestVM +fleet\/web +True +Served/);
  await fleet.write({ 'x.yaml': yaml(item('x', '/a', 'x')) });
  expect(await fleet.once()).toBe(1);
  await fleet.remove('x.yaml');
  await fleet.write({ 'v.yaml': yaml(vm('web', { suspend: true }), vm('off', { enabled: false })) });
  expect(await fleet.once()).toBe(0);
});

/** Rewrites what the datastore keeps of manifests as if an older version had taken it, with the file that says the same. */
async function spoil(documents: string, manifest: string, change: (text: string) => string): Promise<void> {
  const digestOfFile = async () =>
    createHash('sha256')
      .update(await readFile(manifest))
      .digest('hex');
  const before = await digestOfFile();
  await writeFile(manifest, change(await readFile(manifest, 'utf8')));
  const after = await digestOfFile();
  for (const name of await readdir(documents)) {
    if (!name.startsWith('manifests-')) continue;
    const path = join(documents, name);
    await writeFile(path, change(await readFile(path, 'utf8')).replaceAll(before, after));
  }
}
