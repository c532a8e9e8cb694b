import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Kind } from '../../src/api/resources.generated.ts';
import { conditionOf, dated, type Fact } from '../../src/core/conditions.ts';
import type { Reach } from '../../src/core/hosts.ts';
import type { ItemOutcome, PolicyOutcome, RepositoryOutcome, VmOutcome } from '../../src/core/outcome.ts';
import { itemFacts, policyFacts, repositoryFacts, vmFacts } from '../../src/core/status.ts';
import { checkStatus } from '../support/conditions.ts';

const now = new Date('2026-11-24T09:00:00.789Z');
const alone: Reach = { current: [], behind: [], unreachable: [] };
const served: Reach = { current: ['a'], behind: [], unreachable: [] };
const behind: Reach = { current: ['a'], behind: ['b'], unreachable: [] };

const outcome = {
  generation: 3,
  seq: 7,
  inherited: false,
  failure: undefined,
  suspended: false,
  notSupported: [],
  handled: undefined,
};
const digest = `sha256:${'0'.repeat(64)}` as const;
const item: ItemOutcome = {
  ...outcome,
  repository: 'fleet/main',
  fetching: false,
  served: { digest, size: 1, sensitive: false },
  sourceRevision: '',
  sourceFailure: undefined,
};
const repository: RepositoryOutcome = { ...outcome, items: 1, bytes: 1 };
const policy: PolicyOutcome = { ...outcome, matched: 1 };
const vm: VmOutcome = {
  ...outcome,
  repository: 'fleet/main',
  host: 'a',
  enabled: true,
  ruleSet: digest,
  grants: 1,
  denies: 2,
  policies: [],
  exported: undefined,
};
const failing = (
  reason: 'PathConflict' | 'SourceUnavailable' | 'StoreUnavailable' | 'InvalidRule' | 'TooLarge',
  terminal: boolean,
) => ({
  seq: undefined,
  failure: { reason, message: 'why', terminal },
});
const said = (facts: readonly Fact[]) =>
  Object.fromEntries(facts.map(({ type, status, reason }) => [type, `${status} ${reason}`]));

describe('an item', () => {
  test.each([
    {
      name: 'served',
      is: {},
      reach: served,
      says: { Ready: 'True Served', Served: 'True Served', Stored: 'True Published', SourceReady: 'True Published' },
    },
    {
      name: 'published, nobody to serve it',
      is: {},
      reach: alone,
      says: { Ready: 'True Published', Served: 'True Published' },
    },
    {
      name: 'not yet everywhere',
      is: {},
      reach: behind,
      says: { Ready: 'False WaitingForHosts', Reconciling: 'True WaitingForHosts', Served: 'False WaitingForHosts' },
    },
    {
      name: 'being fetched',
      is: { fetching: true, seq: undefined, served: undefined },
      reach: alone,
      says: { Ready: 'False Fetching', Reconciling: 'True Fetching', Stored: 'False Publishing' },
    },
    {
      name: 'not published yet',
      is: { seq: undefined },
      reach: alone,
      says: { Ready: 'False Publishing', Reconciling: 'True Publishing' },
    },
    {
      name: 'in conflict',
      is: { ...failing('PathConflict', true), served: undefined },
      reach: alone,
      says: { Ready: 'False PathConflict', Stalled: 'True PathConflict', Stored: 'False PathConflict' },
    },
    {
      name: 'without its source, content kept',
      is: failing('SourceUnavailable', false),
      reach: served,
      says: {
        Ready: 'False SourceUnavailable',
        Reconciling: 'True SourceUnavailable',
        SourceReady: 'False SourceUnavailable',
        Stored: 'True Published',
      },
    },
    {
      name: 'too large',
      is: failing('TooLarge', true),
      reach: served,
      says: { Stalled: 'True TooLarge', SourceReady: 'False TooLarge' },
    },
    {
      name: 'served, its source in trouble since',
      is: { sourceFailure: { reason: 'SourceStalled', message: 'why', terminal: false } as const },
      reach: served,
      says: { Ready: 'True Served', SourceReady: 'False SourceStalled' },
    },
    { name: 'suspended', is: { suspended: true }, reach: served, says: { Ready: 'True Suspended' } },
    {
      name: 'suspended and failing',
      is: { suspended: true, ...failing('PathConflict', true) },
      reach: served,
      says: { Ready: 'False Suspended', Stalled: 'True Suspended' },
    },
    {
      name: 'asked nothing of its source',
      is: { sourceRevision: undefined },
      reach: served,
      says: { Ready: 'True Served' },
    },
  ])('$name', ({ is, reach, says }) => {
    const facts = itemFacts({ ...item, ...is }, reach);
    expect(said(facts)).toMatchObject(says);
    checked('ContentItem', facts);
  });

  test('Served is not said of what is not published', () => {
    expect(said(itemFacts({ ...item, seq: undefined }, served))).not.toHaveProperty('Served');
    expect(said(itemFacts({ ...item, sourceRevision: undefined }, served))).not.toHaveProperty('SourceReady');
  });
});

describe('a repository', () => {
  test('says where it is served, and which of its fields have no effect yet', () => {
    const facts = repositoryFacts({ ...repository, notSupported: ['spec.retention', 'spec.revision'] }, served);
    expect(said(facts)).toEqual({
      Ready: 'True Served',
      Served: 'True Served',
      NotSupportedYet: 'True NotSupportedYet',
    });
    expect(facts.find(({ type }) => type === 'NotSupportedYet')?.message).toContain('spec.retention, spec.revision');
    expect(said(repositoryFacts({ ...repository, seq: undefined }, alone))).not.toHaveProperty('Served');
  });

  test('names at most three hosts that are behind', () => {
    const [ready] = repositoryFacts(repository, { ...behind, behind: ['b', 'c', 'd', 'e', 'f'] });
    expect(ready?.message).toMatch(/b, c, d and others/);
  });
});

describe('a policy', () => {
  test.each([
    {
      is: {},
      reach: served,
      says: { Ready: 'True Served', RulesEffective: 'True Effective', Programmed: 'True Programmed' },
    },
    { is: {}, reach: behind, says: { Ready: 'False WaitingForHosts', Programmed: 'False WaitingForHosts' } },
    {
      is: failing('InvalidRule', true),
      reach: served,
      says: { Ready: 'False InvalidRule', Stalled: 'True InvalidRule', RulesEffective: 'False InvalidRule' },
    },
    {
      is: failing('StoreUnavailable', false),
      reach: served,
      says: { Ready: 'False StoreUnavailable', Reconciling: 'True StoreUnavailable', RulesEffective: 'True Effective' },
    },
    { is: { suspended: true }, reach: served, says: { Ready: 'True Suspended', RulesEffective: 'True Effective' } },
  ])('$says', ({ is, reach, says }) => {
    const facts = policyFacts({ ...policy, ...is }, reach);
    expect(said(facts)).toMatchObject(says);
    checked('VMAccessPolicy', facts);
  });

  test('that begins suspended has no rules in effect', () => {
    expect(said(policyFacts({ ...policy, suspended: true, seq: undefined }, alone))).toEqual({
      Ready: 'False Suspended',
      Stalled: 'True Suspended',
    });
  });

  test('counts what it selects', () => {
    const message = (matched: number) =>
      policyFacts({ ...policy, matched }, served).find(({ type }) => type === 'Programmed')?.message;
    expect([message(0), message(1), message(2)]).toEqual(['Selects 0 VMs.', 'Selects 1 VM.', 'Selects 2 VMs.']);
  });
});

describe('a VM', () => {
  const refused = { reason: 'ChannelRefused', message: 'too long' };
  test.each([
    { is: {}, refused: undefined, reach: served, says: { Ready: 'True Served', Programmed: 'True Programmed' } },
    {
      is: {},
      refused: undefined,
      reach: behind,
      says: { Ready: 'False WaitingForHosts', Programmed: 'False WaitingForHosts' },
    },
    { is: { enabled: false }, refused: undefined, reach: served, says: { Ready: 'True Disabled' } },
    { is: { enabled: false }, refused: undefined, reach: behind, says: { Ready: 'False WaitingForHosts' } },
    {
      is: {},
      refused,
      reach: served,
      says: { Ready: 'False ChannelRefused', Stalled: 'True ChannelRefused', Programmed: 'False ChannelRefused' },
    },
    { is: { suspended: true }, refused, reach: served, says: { Ready: 'True Suspended' } },
    { is: failing('PathConflict', true), refused, reach: served, says: { Ready: 'False PathConflict' } },
    {
      is: { notSupported: ['spec.uid'] },
      refused: undefined,
      reach: served,
      says: { NotSupportedYet: 'True NotSupportedYet' },
    },
  ])('$says', ({ is, refused, reach, says }) => {
    const facts = vmFacts({ ...vm, ...is }, reach, refused);
    expect(said(facts)).toMatchObject(says);
    checked('GuestVM', facts);
  });

  test('counts its rules', () => {
    const message = vmFacts(vm, served, undefined).find(({ type }) => type === 'Programmed')?.message;
    expect(message).toBe('1 grant, 2 denies.');
  });
});

describe('dates', () => {
  const fact: Fact = { type: 'Ready', status: 'True', reason: 'Served', message: 'm' };

  test('of whole seconds, kept while the status stays, also when reason and message change', () => {
    const first = dated([fact], [], 1, now);
    expect(first[0]).toMatchObject({ lastTransitionTime: '2026-11-24T09:00:00Z', observedGeneration: 1 });
    const later = new Date(now.getTime() + 60_000);
    const same = dated([{ ...fact, reason: 'Published', message: 'n' }], first, 2, later);
    expect(same[0]).toMatchObject({
      lastTransitionTime: '2026-11-24T09:00:00Z',
      reason: 'Published',
      observedGeneration: 2,
    });
    expect(dated([{ ...fact, status: 'False' }], same, 2, later)[0]?.lastTransitionTime).toBe('2026-11-24T09:01:00Z');
  });

  test('a condition that is not among the facts is gone, and order is always the same', () => {
    const types = ['Stored', 'Ready', 'Served', 'Stalled', 'SourceReady'];
    fc.assert(
      fc.property(fc.shuffledSubarray(types, { minLength: types.length }), (shuffled) => {
        const conditions = dated(
          shuffled.map((type) => ({ ...fact, type })),
          [],
          1,
          now,
        );
        expect(conditions.map(({ type }) => type)).toEqual(['Ready', 'Stalled', 'SourceReady', 'Stored', 'Served']);
      }),
    );
    expect(conditionOf(dated([], dated([fact], [], 1, now), 1, now), 'Ready')).toBeUndefined();
    expect(conditionOf(undefined, 'Ready')).toBeUndefined();
  });

  test('messages are cut where the API server would refuse them', () => {
    expect(dated([{ ...fact, message: 'x'.repeat(40_000) }], [], 1, now)[0]?.message).toHaveLength(32_768);
  });
});

/** Every combination of facts that these functions give must be a status that keeps its promises. */
function checked(kind: Kind, facts: readonly Fact[]): void {
  const conditions = dated(facts, [], 3, now);
  checkStatus(kind, 'status', { metadata: { generation: 3 }, status: { observedGeneration: 3, conditions } });
}
