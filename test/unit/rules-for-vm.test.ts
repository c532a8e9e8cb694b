import { describe, expect, test } from 'vitest';
import { type PolicyRules, rulesForVm } from '../../src/rules/rules-for-vm.ts';

const repository = { kind: 'GuestStoreRepository', namespace: 'fleet', name: 'main' };

test('rules stand by scope, then namespace and name, then as written, each with its policy', () => {
  const { grant, deny, ceiling } = rulesForVm([
    policy('b/x', { grant: ['1', '2'], deny: ['9'] }),
    policy('a/y', { grant: ['3'] }),
    policy('a-b/a', { grant: ['4'] }),
    policy('zz', { grant: ['5'], deny: ['8'], match: 'Search' }),
    policy('aa', { grant: ['6'] }),
  ]);
  expect(grant.map(({ pattern }) => pattern)).toEqual(['6', '5', '4', '3', '1', '2']);
  expect(deny.map(({ pattern }) => pattern)).toEqual(['8', '9']);
  expect(grant.at(-1)).toEqual({
    pattern: '2',
    match: 'Whole',
    policy: { kind: 'VMAccessPolicy', namespace: 'b', name: 'x' },
    index: 1,
  });
  expect(deny[0]).toEqual({
    pattern: '8',
    match: 'Search',
    policy: { kind: 'ClusterVMAccessPolicy', name: 'zz' },
    index: 0,
  });
  expect(ceiling).toBeNull();
});

test('the order of what comes in does not matter', () => {
  const policies = [policy('b/x', { deny: ['1'] }), policy('a/y', { deny: ['2'] }), policy('c', { deny: ['3'] })];
  expect(rulesForVm(policies.toReversed())).toEqual(rulesForVm(policies));
});

test('a policy in audit mode takes no part', () => {
  expect(rulesForVm([policy('a/x', { deny: ['.*'], mode: 'Audit' })])).toEqual({ grant: [], deny: [], ceiling: null });
});

describe('the posture of the repository', () => {
  test('Closed adds a last deny of everything, in the name of the repository', () => {
    const { deny } = rulesForVm([policy('a/x', { deny: ['/a'] })], { by: repository, posture: 'Closed' });
    expect(deny.at(-1)).toEqual({
      pattern: '.*',
      match: 'Whole',
      policy: { kind: 'GuestStoreRepository', namespace: 'fleet', name: 'main' },
      index: 0,
    });
    expect(deny.length).toBe(2);
  });

  test('Open adds nothing, nor does a VM without repository', () => {
    expect(rulesForVm([], { by: repository, posture: 'Open' }).deny).toEqual([]);
    expect(rulesForVm([]).deny).toEqual([]);
  });
});

test('a VM has at most 2,048 rules, the closing one included', () => {
  const full = Array.from({ length: 8 }, (_, index) =>
    policy(`a/p${index}`, { deny: Array.from({ length: 256 }, (_, rule) => `/${rule}`) }),
  );
  expect(rulesForVm(full).deny.length).toBe(2048);
  expect(() => rulesForVm(full, { by: repository, posture: 'Closed' })).toThrowError(
    expect.objectContaining({
      code: 'TooManyRules',
      message: expect.stringContaining('8 policies together give 2049 rules'),
    }),
  );
});

function policy(key: string, rules: Partial<Omit<PolicyRules, 'policy'>>): PolicyRules {
  const [first = '', name] = key.split('/');
  return {
    policy:
      name === undefined
        ? { kind: 'ClusterVMAccessPolicy', name: first }
        : { kind: 'VMAccessPolicy', namespace: first, name },
    grant: [],
    deny: [],
    match: 'Whole',
    mode: 'Enforce',
    ...rules,
  };
}
