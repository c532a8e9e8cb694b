import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Kind } from '../../src/api/resources.generated.ts';
import { type Condition, dated } from '../../src/core/conditions.ts';
import type { Reach } from '../../src/core/hosts.ts';
import {
  type Failure,
  heard,
  type ItemOutcome,
  type Outcome,
  ownReasons,
  type PolicyOutcome,
  type RepositoryOutcome,
  type VmOutcome,
} from '../../src/core/outcome.ts';
import { itemFacts, policyFacts, repositoryFacts, vmFacts } from '../../src/core/status.ts';
import { progressOf, type Shown, statusFaults } from '../../src/core/status-faults.ts';
import { errorCodes } from '../../src/lib/errors.ts';
import { faultsOfStatus } from '../support/conditions.ts';

const time = '2026-11-24T09:00:00Z';
const ready: Condition = {
  type: 'Ready',
  status: 'True',
  reason: 'Served',
  message: 'Published, and served.',
  observedGeneration: 2,
  lastTransitionTime: time,
};
const failing = { ...ready, status: 'False', reason: 'SourceNotFound', message: 'There is none.' } as const;
const stalled = { ...failing, type: 'Stalled', status: 'True' } as const;

const shown = (conditions: readonly Condition[], more: object = {}, spec: object = {}): Shown => ({
  metadata: { generation: 2 },
  spec,
  status: { observedGeneration: 2, conditions, ...more },
});

describe('a status without fault', () => {
  test.each([
    ['of an object that is served', shown([ready])],
    ['of one that failed for good', shown([failing, stalled])],
    ['of one that is tried again', shown([failing, { ...stalled, type: 'Reconciling' }])],
    ['that nobody has written yet', { metadata: { generation: 1 }, status: { observedGeneration: -1 } }],
    ['of an older generation', { ...shown([ready]), metadata: { generation: 3 } }],
    [
      'that names what the object names',
      shown([{ ...ready, message: 'from 10.1.2.3:8443' }], {}, { url: '10.1.2.3:8443' }),
    ],
    ['with a digest', shown([{ ...ready, message: `wanted sha256:${'a'.repeat(64)}` }])],
  ])('%s', (_, object) => {
    expect(faultsOfStatus('ContentItem', object)).toEqual([]);
  });
});

describe('each fault is found', () => {
  const said = (message: string) => shown([{ ...ready, message }]);
  test.each([
    ['no status', { metadata: { generation: 1 } }, /no status/],
    ['no observedGeneration', shown([ready], { observedGeneration: undefined }), /missing/],
    [
      'a generation that is yet to come',
      shown([{ ...ready, observedGeneration: 3 }], { observedGeneration: 3 }),
      /newer/,
    ],
    ['conditions of what nobody has seen', shown([ready], { observedGeneration: -1 }), /nobody has seen/],
    ['no Ready', shown([stalled]), /Ready is missing/],
    ['Ready twice', shown([ready, ready]), /twice/],
    [
      'a condition of another kind',
      shown([ready, { ...ready, type: 'RulesEffective' }]),
      /no condition of a ContentItem/,
    ],
    ['Ready and Stalled', shown([ready, stalled]), /with Ready True there is Stalled/],
    ['neither', shown([failing]), /neither Reconciling nor Stalled/],
    ['both', shown([failing, stalled, { ...stalled, type: 'Reconciling' }]), /Reconciling and Stalled/],
    ['two stories', shown([failing, { ...stalled, reason: 'TooLarge' }]), /says TooLarge where Ready says/],
    ['a false Stalled', shown([ready, { ...stalled, status: 'False' }]), /although it is not so/],
    ['a free reason', shown([{ ...ready, reason: 'AllIsWell' }]), /no reason of/],
    ['a condition of another generation', shown([{ ...ready, observedGeneration: 1 }]), /is 1, not 2/],
    ['fractions of seconds', shown([{ ...ready, lastTransitionTime: '2026-11-24T09:00:00.123Z' }]), /whole seconds/],
    ['nothing to say', said(' '), /blank/],
    ['a time', said('failed at 2026-11-24T09:00:00Z'), /a time/],
    ['an id', said('request 1b4e28ba-2fa1-11d2-883f-0016d3cca427'), /random id/],
    ['an id without dashes', said('request 0123456789abcdef0123456789abcdef'), /long number/],
    ['a count of attempts', said('failed on attempt 7'), /attempts/],
    ['how far it came', said('broke off after 4711 bytes'), /how far/],
    ['hosts', said('not yet served by 17 hosts'), /count of hosts/],
    ['a port of the moment', said('read ECONNRESET 10.0.0.7:49152'), /address with its port/],
    ['a file of the moment', said('cannot listen at /run/.0123456789ab'), /temporary file/],
    ['a stack', said('boom\n    at run (file.ts:1)'), /stack/],
    ['a password', said('https://me:pass@host/x: 404'), /password/],
    ['a key', said('-----BEGIN PRIVATE KEY-----'), /credential/],
    ['a page', said('<HTML><body>Bad Gateway'), /page/],
    ['a slip', said('no such undefined'), /by mistake/],
    ['a text of a target', shown([ready], { targets: [{ message: 'pid 12' }] }), /process id/],
    ['the digest of a Secret', shown([ready], { digest: 'x' }, { source: { secretKeyRef: {} } }), /tells of a Secret/],
    ['too much', said('x'.repeat(200_000)), /longer than/],
  ])('%s', (_, object, fault) => {
    expect(statusFaults('ContentItem', object as Shown).join('\n')).toMatch(fault);
  });

  test('what the API server would refuse', () => {
    expect(faultsOfStatus('ContentItem', shown([ready], { size: -1, unknown: 1 })).join('\n')).toMatch(
      /size[\s\S]*unknown/,
    );
  });

  test('a transition time that moves by itself, or back', () => {
    const later = '2026-11-24T10:00:00Z';
    const faults = (before: Condition, after: Condition) =>
      statusFaults('ContentItem', shown([after]), shown([before]));
    expect(faults(ready, { ...ready, lastTransitionTime: later }).join()).toMatch(/moved and the status did not/);
    expect(faults({ ...ready, status: 'Unknown', lastTransitionTime: later }, ready).join()).toMatch(/went back/);
    expect(faults(ready, { ...ready, reason: 'Published' })).toEqual([]);
    expect(faults({ ...ready, status: 'Unknown' }, { ...ready, lastTransitionTime: later })).toEqual([]);
  });
});

test('what waits for any kind of object gets the right idea', () => {
  const fresh = { metadata: { generation: 1 }, status: { observedGeneration: -1 } };
  expect(progressOf(fresh)).toBe('InProgress');
  expect(progressOf({ metadata: { generation: 1 } })).toBe('InProgress');
  expect(progressOf(shown([ready]))).toBe('Current');
  expect(progressOf({ ...shown([ready]), metadata: { generation: 3 } })).toBe('InProgress');
  expect(progressOf(shown([failing, stalled]))).toBe('Failed');
  expect(progressOf(shown([failing, { ...stalled, type: 'Reconciling' }]))).toBe('InProgress');
  expect(progressOf(shown([failing]))).toBe('InProgress');
});

describe('whatever came of an object and wherever it arrived, its status has no fault', () => {
  const reason = fc.constantFrom(...errorCodes, ...ownReasons);
  const failure: fc.Arbitrary<Failure> = fc.record({
    reason,
    message: fc.constantFrom('why', 'datastore: cannot write x: ENOSPC; free space', '"\u2028" in a path; correct it.'),
    terminal: fc.boolean(),
  });
  const some = <T>(one: fc.Arbitrary<T>) => fc.option(one, { nil: undefined });
  const outcome = {
    generation: fc.constant(2),
    seq: some(fc.nat()),
    inherited: fc.boolean(),
    failure: some(failure),
    suspended: fc.boolean(),
    handled: some(fc.string()),
    notSupported: fc.subarray(['spec.uid', 'spec.retention', 'spec.revision']),
  } satisfies { readonly [Field in keyof Outcome]: fc.Arbitrary<Outcome[Field]> };
  const digest = fc.constant(`sha256:${'0'.repeat(64)}` as const);
  const hosts = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'host-7.example'));
  const reach: fc.Arbitrary<Reach> = fc.record({ current: hosts, behind: hosts, unreachable: hosts });
  const refused = some(
    fc.record({ reason: fc.oneof(reason, fc.string()), message: fc.constantFrom('', ' ', 'too long') }),
  );
  const item: fc.Arbitrary<ItemOutcome> = fc.record({
    ...outcome,
    repository: some(fc.constant('fleet/main')),
    fetching: fc.boolean(),
    served: some(fc.record({ digest, size: fc.nat(), sensitive: fc.boolean() })),
    sourceRevision: some(fc.constantFrom('', '"1"')),
    sourceFailure: some(failure),
  });
  const repository: fc.Arbitrary<RepositoryOutcome> = fc.record({ ...outcome, items: fc.nat(), bytes: fc.nat() });
  const policy: fc.Arbitrary<PolicyOutcome> = fc.record({ ...outcome, matched: fc.nat() });
  const vm: fc.Arbitrary<VmOutcome> = fc.record({
    ...outcome,
    repository: some(fc.constant('fleet/main')),
    host: fc.constant('a'),
    enabled: fc.boolean(),
    ruleSet: some(digest),
    grants: fc.nat(),
    denies: fc.nat(),
    policies: fc.constant([]),
    exported: fc.constant(undefined),
  });

  const statuses: fc.Arbitrary<readonly [Kind, ReturnType<typeof itemFacts>]> = fc.oneof(
    fc.tuple(item, reach).map(([one, where]) => ['ContentItem', itemFacts(one, where)] as const),
    fc.tuple(repository, reach).map(([one, where]) => ['GuestStoreRepository', repositoryFacts(one, where)] as const),
    fc.tuple(policy, reach).map(([one, where]) => ['VMAccessPolicy', policyFacts(one, where)] as const),
    fc
      .tuple(vm, reach, refused)
      .map(([one, where, said]) => ['GuestVM', vmFacts(one, where, said && heard(said, 'ChannelRefused'))] as const),
  );

  test('at first, and when another outcome follows', () => {
    fc.assert(
      fc.property(statuses, statuses, ([kind, first], [other, second]) => {
        const before = shown(dated(first, [], 2, new Date(time)));
        expect(statusFaults(kind, before)).toEqual([]);
        if (other !== kind) return;
        const after = dated(second, before.status?.conditions ?? [], 2, new Date('2026-11-24T10:00:00Z'));
        expect(statusFaults(kind, shown(after), before)).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
  });
});
