import { describe, expect, test } from 'vitest';
import { itemTarget, sourceFingerprint } from '../../src/core/desired-item.ts';
import {
  desiredRepository,
  rootConflict,
  rootFault,
  unsupportedOfRepository,
} from '../../src/core/desired-repository.ts';
import { vmPlace } from '../../src/core/desired-vm.ts';
import { ownRepository, referRepository } from '../../src/core/permitted.ts';
import type { Labels } from '../../src/core/selector.ts';
import { itemOf, repositoryOf, vmOf } from '../support/resources.ts';

const none: ReadonlyMap<string, Labels> = new Map();
const repositories = (...all: ReturnType<typeof repositoryOf>[]) =>
  new Map(all.map((one) => [`${one.metadata.namespace}/${one.metadata.name}`, one]));
const main = repositories(repositoryOf('main'));

describe('where an item lies', () => {
  test('in the repository that it names, at its path', () => {
    expect(itemTarget(itemOf(), main, none)).toMatchObject({
      repository: 'fleet/main',
      path: '/motd',
      unsupported: undefined,
    });
  });

  test.each([
    { spec: { path: '/cafe\u0301' }, reason: 'InvalidPath', terminal: true },
    { spec: { repositoryRef: { name: 'other' } }, reason: 'RepositoryNotFound', terminal: false },
    { spec: { repositoryRef: { name: 'main', namespace: 'lab' } }, reason: 'ReferenceNotPermitted', terminal: false },
  ])('nowhere: $reason', ({ spec, reason, terminal }) => {
    expect(itemTarget(itemOf(spec), main, none)).toMatchObject({ failure: { reason, terminal } });
  });

  test.each([
    [{ source: { existing: {} } }, 'spec.source.existing'],
    [{ source: { git: { url: 'https://example.org/x.git' } } }, 'spec.source.git'],
    [{ verify: [{ key: 'x' }] }, 'spec.verify'],
    [{ extract: { format: 'tar' } }, 'spec.extract'],
  ])('what this version cannot do is named, and its path claimed all the same', (spec, field) => {
    const item = { ...itemOf(), spec: { ...itemOf().spec, ...spec } } as ReturnType<typeof itemOf>;
    const target = itemTarget(item, main, none);
    expect(target).toMatchObject({ path: '/motd', unsupported: { reason: 'NotSupportedYet', terminal: true } });
    expect(JSON.stringify(target)).toContain(field);
  });

  test('no keys to verify with is nothing to verify', () => {
    const item = { ...itemOf(), spec: { ...itemOf().spec, verify: [] } };
    expect(itemTarget(item, main, none)).toMatchObject({ unsupported: undefined });
  });

  test('another source or digest is another fingerprint, another path or interval is not', () => {
    const digest = `sha256:${'0'.repeat(64)}`;
    const of = (spec: object) => sourceFingerprint(itemOf({ ...spec }));
    expect(of({ source: { inline: { text: 'x' } } })).not.toBe(of({}));
    expect(of({ digest })).not.toBe(of({}));
    expect(of({ path: '/other', interval: '5m' })).toBe(of({}));
  });
});

describe('repositories', () => {
  test('have a root of their own name unless they say otherwise', () => {
    expect(desiredRepository(repositoryOf('main'))).toEqual({
      root: 'fleet/main',
      plainTree: 'Publish',
      authoritative: true,
    });
    expect(desiredRepository(repositoryOf('main', { root: 'r', plainTree: 'None', authoritative: false }))).toEqual({
      root: 'r',
      plainTree: 'None',
      authoritative: false,
    });
  });

  test('name the fields of later versions', () => {
    expect(unsupportedOfRepository(repositoryOf('main'))).toEqual([]);
    expect(
      unsupportedOfRepository(repositoryOf('main', { retention: { revisions: 5 }, revision: 3, unmanaged: 'Adopt' })),
    ).toEqual(['spec.retention', 'spec.revision', 'spec.unmanaged']);
  });

  const row = (root: string) => ({ root, plainTree: 'Publish', authoritative: true }) as const;
  test.each([
    { root: 'a', conflict: true },
    { root: 'a/b', conflict: true },
    { root: 'a/b/c/d', conflict: true },
    { root: 'a/bc', conflict: false },
    { root: 'ab', conflict: false },
    { root: 'own', conflict: false },
  ])('root $root beside a/b/c and a/b: $conflict', ({ root, conflict }) => {
    const claimed = [
      ['z/own', row('own')],
      ['x/two', row('a/b')],
      ['x/one', row('a/b/c')],
    ] as const;
    const failure = rootConflict('z/own', root, claimed);
    expect(failure !== undefined).toBe(conflict);
    if (conflict)
      expect(failure).toMatchObject({
        reason: 'RootConflict',
        terminal: true,
        // Nobody learns who it is in another namespace.
        message: expect.stringContaining('a repository of another namespace'),
      });
  });

  test('a claimant of the same namespace is named, and letter case makes no other root', () => {
    const failure = rootConflict('x/two', 'A/b', [['x/one', row('a')]]);
    expect(failure?.message).toContain('repository x/one');
  });

  test('a root that is spelled with combining characters is refused', () => {
    expect(rootFault('Cafe\u0301')).toMatchObject({ reason: 'InvalidPath', terminal: true });
    expect(rootFault('Caf\u00e9')).toBeUndefined();
  });
});

describe('references', () => {
  const spaces = new Map([
    ['fleet', { team: 'a' }],
    ['other', { team: 'b' }],
  ]);
  const allowing = (allow: object) => repositories(repositoryOf('shared', { allow }, 'lab'));
  const teamA = { from: 'Selector', selector: { matchLabels: { team: 'a' } } };

  test.each([
    { allow: {}, from: 'lab', permitted: true },
    { allow: {}, from: 'fleet', permitted: false },
    { allow: { vms: { from: 'Same' } }, from: 'fleet', permitted: false },
    { allow: { items: { from: 'All' } }, from: 'fleet', permitted: false },
    { allow: { vms: { from: 'All' } }, from: 'fleet', permitted: true },
    { allow: { vms: teamA }, from: 'fleet', permitted: true },
    { allow: { vms: teamA }, from: 'other', permitted: false },
    { allow: { vms: teamA }, from: 'unlabelled', permitted: false },
  ])('allow $allow, from $from: $permitted', ({ allow, from, permitted }) => {
    const referred = referRepository({ name: 'shared', namespace: 'lab' }, from, 'vms', allowing(allow), spaces);
    expect('key' in referred).toBe(permitted);
  });

  test('one that may not be followed looks like one to nothing', () => {
    const to = (name: string) => referRepository({ name, namespace: 'lab' }, 'fleet', 'items', allowing({}), spaces);
    expect(JSON.stringify(to('shared')).replaceAll('shared', 'X')).toBe(
      JSON.stringify(to('none')).replaceAll('none', 'X'),
    );
  });

  test.each([
    { names: [], found: 'RepositoryNotFound' },
    { names: [['one', {}]], found: 'fleet/one' },
    {
      names: [
        ['one', {}],
        ['two', {}],
      ],
      found: 'RepositoryAmbiguous',
    },
    {
      names: [
        ['one', {}],
        ['two', { default: true }],
      ],
      found: 'fleet/two',
    },
    {
      names: [
        ['one', { default: true }],
        ['two', { default: true }],
      ],
      found: 'RepositoryAmbiguous',
    },
  ] as const)('a VM that names none: $found', ({ names, found }) => {
    const all = repositories(
      ...names.map(([name, spec]) => repositoryOf(name, spec)),
      repositoryOf('far', { default: true }, 'lab'),
    );
    const own = ownRepository('fleet', all);
    expect('key' in own ? own.key : own.failure.reason).toBe(found);
  });
});

describe('where a VM is met', () => {
  test('at a socket of its own name unless it says otherwise', () => {
    expect(vmPlace(vmOf('web'), main, none)).toEqual({
      host: 'host-a',
      channel: { kind: 'hybridUDS', path: 'web.vsock', port: 1024 },
      address: 'host-a fleet/web.vsock_1024',
      repository: 'fleet/main',
      failure: undefined,
    });
  });

  test('two that would share a socket have one address, those on two hosts or in two namespaces have two', () => {
    const address = (...args: Parameters<typeof vmOf>) => {
      const place = vmPlace(vmOf(...args), main, none);
      return 'address' in place ? place.address : undefined;
    };
    const at = (path: string, more: object = {}) => ({ channel: { hybridUDS: { path } }, ...more });
    expect(address('a', at('x'))).toBe(address('b', at('x')));
    expect(address('a', at('x', { host: 'host-b' }))).not.toBe(address('b', at('x')));
    expect(address('a', at('x'), 'lab')).not.toBe(address('a', at('x')));
    expect(address('a', at('/run/x'), 'lab')).toBe(address('a', at('/run/x')));
  });

  test('owner of the socket as it says, failures of the reference beside it', () => {
    const vm = vmOf('web', { channel: { hybridUDS: { uid: 7, gid: 8 } }, repositoryRef: { name: 'none' } });
    expect(vmPlace(vm, main, none)).toMatchObject({
      channel: { uid: 7, gid: 8 },
      repository: null,
      failure: { reason: 'RepositoryNotFound' },
    });
  });

  test.each([{ vsock: { cid: 7 } }, { serial: { path: 'web.serial' } }])('not by %o in this version', (channel) => {
    expect(vmPlace(vmOf('web', { channel }), main, none)).toMatchObject({
      unsupported: { reason: 'NotSupportedYet', message: expect.stringContaining(Object.keys(channel)[0] ?? '') },
    });
  });

  test('a channel that says nothing is named by nothing', () => {
    const vm = vmOf('web');
    expect(vmPlace({ ...vm, spec: { ...vm.spec, channel: {} } }, main, none)).toHaveProperty('unsupported');
  });
});
