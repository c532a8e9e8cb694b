import { describe, expect, test } from 'vitest';
import { ownRepository } from '../../src/core/permitted.ts';
import { referencesExist, referrersOf } from '../../src/core/references.ts';
import { itemOf, repositoryOf, vmOf } from '../support/resources.ts';

const leaving = <One extends { readonly metadata: object }>(object: One): One => ({
  ...object,
  metadata: { ...object.metadata, deletionTimestamp: '2026-11-24T12:00:00Z' },
});
const named = <One extends { readonly metadata: { readonly namespace: string } }>(object: One, name: string): One => ({
  ...object,
  metadata: { ...object.metadata, name },
});
const keyed = <One extends { readonly metadata: { readonly namespace: string; readonly name: string } }>(all: One[]) =>
  new Map(all.map((one) => [`${one.metadata.namespace}/${one.metadata.name}`, one]));

const shared = { name: 'main', namespace: 'fleet' };
const main = leaving(repositoryOf('main', { allow: { items: { from: 'All' } } }));

describe('who refers to a repository', () => {
  const declarations = {
    repositories: keyed([main, repositoryOf('other', {}, 'lab')]),
    items: keyed([
      named(itemOf(), 'same'),
      named(leaving(itemOf()), 'going'),
      named(itemOf({ repositoryRef: { name: 'other' } }), 'elsewhere'),
      named(itemOf({ repositoryRef: shared }, 'lab'), 'permitted'),
    ]),
    vms: keyed([
      vmOf('naming', { repositoryRef: { name: 'main' } }),
      vmOf('implied', { repositoryRef: undefined }),
      leaving(vmOf('going', { repositoryRef: { name: 'main' } })),
      vmOf('not-permitted', { repositoryRef: shared }, 'lab'),
      vmOf('of-its-own', { repositoryRef: undefined }, 'lab'),
    ]),
    namespaces: new Map(),
  };

  test('items and VMs that may, and are not going themselves; a VM that names none, where it has no other', () => {
    expect(referrersOf(new Set(['fleet/main']), declarations)).toEqual(
      new Map([['fleet/main', { items: ['fleet/same', 'lab/permitted'], vms: ['fleet/naming', 'fleet/implied'] }]]),
    );
    expect(referrersOf(new Set(), declarations)).toEqual(new Map());
  });

  test('a VM that names none leaves a repository that is going for one that stays', () => {
    const both = keyed([main, repositoryOf('second')]);
    expect(ownRepository('fleet', both)).toMatchObject({ key: 'fleet/second' });
    expect(ownRepository('fleet', keyed([main]))).toMatchObject({ key: 'fleet/main' });
  });
});

test.each([
  { items: ['fleet/b', 'fleet/a'], vms: [], by: 'ContentItem a and ContentItem b', out: 'another repository; then' },
  { items: [], vms: ['fleet/web'], by: 'GuestVM web', out: 'another repository; then' },
  {
    items: ['fleet/1', 'fleet/2', 'lab/x'],
    vms: ['fleet/3', 'fleet/4', 'lab/y'],
    by: 'ContentItem 1, ContentItem 2, GuestVM 3, 1 more of this namespace and 2 of other namespaces',
    out: 'another repository, or tighten spec.allow; then',
  },
  { items: ['lab/x'], vms: [], by: '1 of other namespaces', out: 'another repository, or tighten spec.allow; then' },
])('said as: by $by', ({ items, vms, by, out }) => {
  const { reason, message, terminal } = referencesExist('fleet/main', { items, vms });
  expect({ reason, terminal }).toEqual({ reason: 'ReferencesExist', terminal: false });
  expect(message).toContain(`: by ${by}. `);
  expect(message).toContain(out);
});
