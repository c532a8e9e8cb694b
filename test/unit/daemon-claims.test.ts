import { expect, test } from 'vitest';
import type { VmRow } from '../../src/core/settings.ts';
import { createClaims } from '../../src/daemon/claims.ts';
import type { Snapshot } from '../../src/store/types.ts';
import { createMemoryStore, snapshotOf } from '../support/memory-store.ts';

type Rows = ReadonlyMap<string, VmRow>;

const roots = { runDir: '/run/gs', socketRoots: new Map<string, readonly string[]>() };
const reader = createMemoryStore('/nowhere');

/** Rows in groups, as two revisions share them. */
function served(...groups: readonly Rows[]) {
  const snapshot: Snapshot = { ...snapshotOf({}), vmGroups: () => groups };
  return new Map([['default', { reader, snapshot }]]);
}

function row(path: string, host = 'here'): VmRow {
  const channel = { kind: 'hybridUDS', path, port: 1 } as const;
  return { host, channel, repository: null, ruleSet: null, enabled: true, refused: null };
}

test('of two revisions only the groups that differ are looked at', () => {
  const claims = createClaims('here', roots);
  const kept: Rows = new Map([['red/kept', row('kept')]]);
  expect(claims.follow(served(kept, new Map([['red/edited', row('old')]])))).toEqual(
    new Set(['/run/gs/red/kept_1', '/run/gs/red/old_1']),
  );
  expect(claims.follow(served(kept, new Map([['red/edited', row('new')]])))).toEqual(
    new Set(['/run/gs/red/old_1', '/run/gs/red/new_1']),
  );
  expect(claims.at('/run/gs/red/old_1')).toBeUndefined();
  expect(claims.at('/run/gs/red/new_1')?.map(({ tenant }) => tenant.vm)).toEqual(['red/edited']);
  expect(claims.at('/run/gs/red/kept_1')?.map(({ tenant }) => tenant.vm)).toEqual(['red/kept']);
});

test('a conflict across groups comes and goes with either of them', () => {
  const claims = createClaims('here', roots);
  const first: Rows = new Map([['red/b', row('same')]]);
  const other: Rows = new Map([['red/a', row('same')]]);
  claims.follow(served(first, other));
  expect([...claims.contested]).toEqual(['/run/gs/red/same_1']);
  expect(claims.at('/run/gs/red/same_1')?.map(({ tenant }) => tenant.vm)).toEqual(['red/a', 'red/b']);
  expect(claims.follow(served(other))).toEqual(new Set(['/run/gs/red/same_1']));
  expect([...claims.contested]).toEqual([]);
  expect(claims.at('/run/gs/red/same_1')?.map(({ tenant }) => tenant.vm)).toEqual(['red/a']);
});

test('what no VM of this host claims any more is forgotten, with its folder and what was wrong', () => {
  const claims = createClaims('here', roots);
  claims.follow(served(new Map([['red/a', row('a')]]), new Map([['red/b', row('../b')]])));
  expect([...claims.folders()].map(([folder]) => folder)).toEqual(['/run/gs/red']);
  expect([...claims.misplaced()].map(({ tenant, error }) => [tenant.vm, error.code])).toEqual([
    ['red/b', 'ChannelRefused'],
  ]);
  expect(claims.follow(served(new Map([['red/a', row('a', 'elsewhere')]])))).toEqual(new Set(['/run/gs/red/a_1']));
  expect([...claims.folders(), ...claims.misplaced()]).toEqual([]);
  expect(claims.at('/run/gs/red/a_1')).toBeUndefined();
  expect(claims.follow(new Map())).toEqual(new Set());
});
