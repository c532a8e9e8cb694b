import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { runExplain } from '../../../src/cli/explain.ts';
import { runGet } from '../../../src/cli/get.ts';
import { runValidate } from '../../../src/cli/validate.ts';
import { conditionOf } from '../../../src/core/conditions.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { datastore, item, namespace, policy, repository, vm, yaml } from '../../support/manifests.ts';

const fleetOnly = { from: 'Selector', selector: { matchLabels: { 'kubernetes.io/metadata.name': 'fleet' } } };
const teams = { from: 'Selector', selector: { matchLabels: { team: 'a' } } };
const ground = { 'ground.yaml': yaml(repository(), vm('web')), 'a.yaml': yaml(item('a', '/a', 'one')) };

/** What a command prints, both streams, with its exit code. */
async function printed(run: (io: Parameters<typeof runGet>[1]) => Promise<number>): Promise<readonly [number, string]> {
  let text = '';
  const stdout = new Writable({
    write: (chunk: Buffer, _, done) => {
      text += chunk.toString();
      done();
    },
  });
  const code = await run({ stdout, stderr: stdout, signal: new AbortController().signal });
  return [code, text];
}

const bounded = (fleet: Fleet, ...rules: readonly object[]) =>
  fleet.write({ 'datastore.yaml': yaml(datastore(...rules)) });

describe('bounds that come while VMs are served', () => {
  test('stop what is new and keep what is served, also for an operator that starts anew, until they fit', async () => {
    const fleet = await startFleet({ files: ground });
    await fleet.gets('web', '/a', 'one');
    await bounded(fleet, teams);
    const refused = { ready: false, reason: 'DatastoreNotPermitted' } as const;
    await fleet.shows('GuestStoreRepository', 'fleet/main', {
      ...refused,
      message: /No rule of GuestStoreDatastore default/,
    });
    await fleet.write({ 'a.yaml': yaml(item('a', '/a', 'two'), item('b', '/b', 'b')) });
    await fleet.shows('ContentItem', 'fleet/a', { ...refused, generation: 2 });
    await fleet.shows('ContentItem', 'fleet/b', refused);
    expect((await fleet.get('web', '/a')).body.toString()).toBe('one');
    await fleet.restart();
    expect((await fleet.get('web', '/a')).body.toString()).toBe('one');
    // Rules still change: a revocation waits for nobody's bounds.
    await fleet.write({ 'p.yaml': yaml(policy('p', { deny: ['/a'] })) });
    await fleet.gets('web', '/a', 403);
    await fleet.remove('p.yaml');
    // What a label of the namespace decides follows the label.
    await fleet.write({ 'namespace.yaml': yaml(namespace('fleet', { team: 'a' })) });
    await fleet.gets('web', '/a', 'two');
    await fleet.gets('web', '/b', 'b');
    await fleet.shows('GuestStoreDatastore', 'default', {
      ready: true,
      reason: 'Effective',
      message: /^Its rules hold\.$/,
    });
  });

  test('hold the root that is in force, not one that is only asked for', async () => {
    const fleet = await startFleet({ files: ground });
    await bounded(fleet, { ...fleetOnly, roots: ['fleet'] });
    await fleet.write({ 'ground.yaml': yaml(repository('main', { root: 'elsewhere' }), vm('web')) });
    const refusal = { ready: false, reason: 'RootNotPermitted', message: /choose a root at or below fleet\./ } as const;
    await fleet.shows('GuestStoreRepository', 'fleet/main', refusal);
    await fleet.write({ 'a.yaml': yaml(item('a', '/a', 'two')) });
    await fleet.gets('web', '/a', 'two');
    // Now it is the root in force that lies outside.
    await bounded(fleet, { ...fleetOnly, roots: ['elsewhere/inner'] });
    await fleet.write({ 'a.yaml': yaml(item('a', '/a', 'three')) });
    await fleet.shows('ContentItem', 'fleet/a', { ready: false, reason: 'RootNotPermitted' });
    expect((await fleet.get('web', '/a')).body.toString()).toBe('two');
    // Without the object the datastore is open again.
    await fleet.remove('datastore.yaml');
    await fleet.gets('web', '/a', 'three');
    await fleet.shows('GuestStoreRepository', 'fleet/main', { ready: true, reason: 'Served' });
  });

  test('close what no policy grants at once, and the rule bears the name of the datastore', async () => {
    const fleet = await startFleet({ files: { ...ground, 'p.yaml': yaml(policy('p', { grant: ['/granted'] })) } });
    await fleet.gets('web', '/a', 'one');
    await bounded(fleet, { ...fleetOnly, leastPosture: 'Closed' });
    await fleet.gets('web', '/a', 403);
    const place = { kind: 'manifests', folder: fleet.manifests } as const;
    const asked = { vm: 'fleet/web', path: '/a', place, output: 'json', version: '0' };
    const [, text] = await printed((io) => runExplain(asked, io));
    expect(JSON.parse(text)).toMatchObject({
      decision: 'deny',
      rule: { pattern: '.*', policy: { kind: 'GuestStoreDatastore', name: 'default' } },
    });
    await fleet.remove('datastore.yaml');
    await fleet.gets('web', '/a', 'one');
  });

  test('refuse who grows beyond the quota of the namespace, and no one who stays', async () => {
    const fleet = await startFleet({ files: ground });
    await fleet.write({ 'b.yaml': yaml(item('b', '/b', '0123456789')) });
    await fleet.gets('web', '/b', '0123456789');
    await bounded(fleet, { ...fleetOnly, quota: 5 });
    await fleet.write({ 'a.yaml': yaml(item('a', '/a', 'four')) });
    const full = {
      ready: false,
      reason: 'QuotaExceeded',
      message: /quota \(5\) that GuestStoreDatastore default/,
    } as const;
    await fleet.shows('ContentItem', 'fleet/a', full);
    await fleet.shows('ContentItem', 'fleet/b', { ready: true, reason: 'Served' });
    await fleet.write({ 'b.yaml': yaml(item('b', '/b', '9876543210')) });
    await fleet.gets('web', '/b', '9876543210');
    expect((await fleet.get('web', '/a')).body.toString()).toBe('one');
    await fleet.remove('b.yaml');
    await fleet.gets('web', '/a', 'four');
  });

  test('suspended, let nothing change in the datastore but the rules of VMs', async () => {
    const fleet = await startFleet({ files: ground });
    const suspended = { ...datastore(fleetOnly), spec: { namespaces: [fleetOnly], suspend: true } };
    await fleet.write({ 'datastore.yaml': yaml(suspended) });
    await fleet.shows('GuestStoreDatastore', 'default', { ready: true, reason: 'Suspended' });
    await fleet.write({ 'a.yaml': yaml(item('a', '/a', 'two')), 'p.yaml': yaml(policy('p', { deny: ['/none'] })) });
    await fleet.gets('web', '/none', 403);
    await fleet.shows('ContentItem', 'fleet/a', { ready: true, reason: 'Suspended', message: /its datastore's/ });
    expect((await fleet.get('web', '/a')).body.toString()).toBe('one');
    await bounded(fleet, fleetOnly);
    await fleet.gets('web', '/a', 'two');
  });
});

test('status tells who uses the datastore, get shows it, and validate knew before', async () => {
  const files = {
    'datastore.yaml': yaml(datastore(fleetOnly), { ...datastore(fleetOnly), metadata: { name: 'other' } }),
    'ground.yaml': yaml(repository(), vm('web'), item('a', '/a', 'abc')),
    'foreign.yaml': yaml(repository('main', {}, { namespace: 'lab' })),
  };
  const fleet = await startFleet({ files });
  await fleet.gets('web', '/a', 'abc');
  const { status } = await fleet.shows('GuestStoreDatastore', 'default', { ready: true, reason: 'Effective' });
  expect(status).toMatchObject({ namespaces: 2, repositories: 2, refused: 1, bytes: 3 });
  const { conditions } = await fleet.shows('GuestStoreDatastore', 'other', {
    ready: false,
    reason: 'DatastoreNotFound',
  });
  expect(conditionOf(conditions, 'Stalled')?.status).toBe('True');
  const place = { kind: 'datastore', folder: fleet.datastore } as const;
  const asked = { kind: 'gsds', name: undefined, namespace: undefined, place, output: 'wide', version: '0' };
  const [, table] = await printed((io) => runGet(asked, io));
  expect(table).toMatch(/default +True +Effective +2 namespaces, 2 repositories, 1 refused, 3 bytes/);
  const [code, warnings] = await printed((io) => runValidate({ paths: [fleet.manifests], strict: false }, io));
  expect(code).toBe(0);
  expect(warnings).toMatch(/foreign\.yaml:1: warning: spec\.datastore: .*namespace lab.*DatastoreNotPermitted/);
});
