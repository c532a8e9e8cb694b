import { describe, expect, test } from 'vitest';
import type { GuestStoreDatastore } from '../../src/api/resources.generated.ts';
import { boundsOf, useRefusal } from '../../src/core/bounds.ts';
import { judge } from '../support/judge.ts';

const namespaces = new Map([
  ['red', { tenant: 'small' }],
  ['blue', { tenant: 'large' }],
]);

function datastores(...rules: readonly object[]): ReadonlyMap<string, GuestStoreDatastore> {
  const manifest = {
    apiVersion: 'gueststore.dev/v1alpha1',
    kind: 'GuestStoreDatastore',
    metadata: { name: 'nfs' },
    spec: { namespaces: rules },
  };
  const { resources, faults } = judge(JSON.stringify(manifest));
  expect(faults).toEqual([]);
  return new Map([['nfs', resources[0] as GuestStoreDatastore]]);
}

const small = { from: 'Selector', selector: { matchLabels: { tenant: 'small' } } };

describe('what a namespace may do with a datastore', () => {
  test('without a GuestStoreDatastore of its name: everything', () => {
    expect(useRefusal('red/main', 'other', 'anything', datastores(), namespaces)).toBeUndefined();
    expect(boundsOf('other', 'red', datastores(), namespaces)).toMatchObject({ roots: undefined, egress: undefined });
  });

  test('the first rule that fits holds', () => {
    const both = datastores({ ...small, quota: '1Ki' }, { from: 'All', quota: '1Mi' });
    expect(boundsOf('nfs', 'red', both, namespaces)).toMatchObject({ quota: { bytes: 1024, text: '1Ki' } });
    expect(boundsOf('nfs', 'blue', both, namespaces)).toMatchObject({ quota: { bytes: 1024 ** 2 } });
  });

  test('one that no rule fits may do nothing, also one whose labels nobody knows', () => {
    for (const namespace of ['blue', 'unheard-of']) {
      expect(boundsOf('nfs', namespace, datastores(small), namespaces)).toMatchObject({
        reason: 'DatastoreNotPermitted',
        terminal: true,
      });
    }
  });

  test('a namespace is also selected by its name', () => {
    const byName = { from: 'Selector', selector: { matchLabels: { 'kubernetes.io/metadata.name': 'blue' } } };
    expect(useRefusal('blue/main', 'nfs', 'blue/main', datastores(byName), new Map())).toBeUndefined();
  });

  test('loopback must be said', () => {
    expect(boundsOf('nfs', 'red', datastores({ from: 'All' }), namespaces)).toMatchObject({
      egress: { hosts: undefined, cidrs: undefined, loopback: false },
    });
  });
});

test.each([
  ['red/main', true],
  ['red', true],
  ['shared/red/x', true],
  ['blue/main', false],
  ['Red/main', false],
  ['redder/main', false],
  ['shared/red2', false],
  ['shared', false],
])('root %s is permitted to namespace red: %s', (root, permitted) => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: as people write it in the resource.
  const rules = datastores({ from: 'All', roots: ['${namespace}', 'shared/${namespace}'] });
  const refusal = useRefusal('red/main', 'nfs', root, rules, namespaces);
  expect(refusal?.reason).toBe(permitted ? undefined : 'RootNotPermitted');
  if (!permitted) expect(refusal?.message).toContain('red, shared/red');
});
