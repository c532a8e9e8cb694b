import { expect, test } from 'vitest';
import type { GuestVM, VMAccessPolicy } from '../../src/api/resources.generated.ts';
import { createChanges } from '../../src/operator/publish/changes.ts';
import { createLedger } from '../../src/operator/publish/ledger.ts';
import { createSelected } from '../../src/operator/publish/selected.ts';
import type { World } from '../../src/operator/types.ts';
import { policyOf, vmOf } from '../support/resources.ts';

/** VMs `web-0`, `web-1`, `db-0` and `db-1` with labels of their tier, and one policy. */
function ground(policy: VMAccessPolicy) {
  const vms = new Map<string, GuestVM>();
  for (const name of ['web-0', 'web-1', 'db-0', 'db-1']) {
    const vm = vmOf(name);
    vms.set(`fleet/${name}`, { ...vm, metadata: { ...vm.metadata, labels: { tier: name.slice(0, -2) } } });
  }
  const policies = new Map([['fleet/rules', policy]]);
  const none = new Map<string, never>();
  const world: World = {
    vms,
    policies,
    repositories: none,
    items: none,
    clusterPolicies: none,
    namespaces: none,
    leavingNamespaces: new Set(),
    datastores: none,
    configMap: async () => undefined,
    secret: async () => undefined,
    onChange: () => () => {},
  };
  const selected = createSelected();
  const changes = createChanges(world, createLedger(new Map()), new Map(), selected, () => []);
  return { changes, selected, policies };
}

const tier = (name: string) => ({ vmSelector: { matchLabels: { tier: name } } });

test('a policy that changes concerns the VMs that it selects now', () => {
  const { changes } = ground(policyOf('rules', { deny: ['.*'] }, tier('web')));
  changes.add('VMAccessPolicy', 'fleet/rules');
  expect([...changes.take().vms]).toEqual(['fleet/web-0', 'fleet/web-1']);
});

test('and those that it selected until now, and no other', () => {
  const before = policyOf('rules', { deny: ['.*'] }, tier('web'));
  const { changes, selected, policies } = ground(before);
  for (const vm of ['fleet/web-0', 'fleet/web-1']) selected.set(vm, [before]);
  policies.set('fleet/rules', policyOf('rules', { deny: ['.*'] }, { vmSelector: { names: ['db-0'] } }));
  changes.add('VMAccessPolicy', 'fleet/rules');
  expect([...changes.take().vms]).toEqual(['fleet/web-0', 'fleet/web-1', 'fleet/db-0']);
});

test('one that is gone concerns those that it selected', () => {
  const policy = policyOf('rules', { deny: ['.*'] }, tier('db'));
  const { changes, selected, policies } = ground(policy);
  selected.set('fleet/db-1', [policy]);
  policies.clear();
  changes.add('VMAccessPolicy', 'fleet/rules');
  expect([...changes.take().vms]).toEqual(['fleet/db-1']);
});

test('one whose selector cannot be understood may concern all', () => {
  const policy = policyOf('rules', { deny: ['.*'] });
  const broken = { matchExpressions: [{ key: 'tier', operator: 'Like', values: ['web'] }] };
  const { changes } = ground({ ...policy, spec: { ...policy.spec, vmSelector: broken } } as unknown as VMAccessPolicy);
  changes.add('VMAccessPolicy', 'fleet/rules');
  expect(changes.take().vms.size).toBe(4);
});
