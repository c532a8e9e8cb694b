import { assert, jsonValue, object, oneof, property, string } from 'fast-check';
import { expect, test } from 'vitest';
import type { Entry } from '../../src/core/catalog.ts';
import { GuestStoreError } from '../../src/lib/errors.ts';
import { canonicalJson, digestOf, ruleSetObject } from '../../src/store/canonical.ts';
import { encodeCommit } from '../../src/store/commits.ts';
import {
  isRoot,
  parseCommit,
  parseEntry,
  parseIdentity,
  parseIndex,
  parseNode,
  parseRuleSet,
  parseVmRow,
} from '../../src/store/records.ts';
import type { Commit } from '../../src/store/types.ts';

const commit: Commit = {
  format: 1,
  seq: 7,
  parent: digestOf('6'),
  epoch: 2,
  by: 'operator-0',
  index: digestOf('index'),
  cause: { kind: 'observed', summary: 'a test' },
  at: '2026-11-23T07:06:52Z',
  critical: [],
  signature: null,
};

const entry: Entry = {
  state: 'retired',
  claim: 'fleet/motd',
  digest: digestOf('motd'),
  size: 4,
  since: '2026-11-23T07:06:52Z',
  until: '2026-11-24T07:06:52Z',
  sensitive: true,
  critical: ['chunks'],
};

test('whatever lies in a record, reading it gives a record or says what is wrong', () => {
  const kinds = oneof(
    jsonValue({ maxDepth: 4 }),
    object({ key: oneof(string(), string()), maxDepth: 3 }),
    jsonValue().map((value) => ({ kind: 'leaf', entries: value })),
    jsonValue().map((value) => ({ kind: 'branch', children: value })),
    jsonValue().map((value) => ({ kind: 'rules', rules: value })),
    jsonValue().map((value) => ({ kind: 'index', format: 1, repositories: { x: value }, vms: value, critical: [] })),
    jsonValue().map((value) => ({ ...commit, cause: value })),
    jsonValue().map((value) => ({ ...entry, claim: value })),
  );
  assert(
    property(kinds, (raw) => {
      const text = canonicalJson(raw) ?? '';
      for (const parse of [parseCommit, parseIdentity, parseIndex, parseNode, parseRuleSet])
        refusesOrReads(() => parse(text, 'x'));
      refusesOrReads(() => parseEntry('/a', raw));
      refusesOrReads(() => parseVmRow('fleet/web', raw));
    }),
  );
});

function refusesOrReads(read: () => unknown): void {
  try {
    read();
  } catch (thrown) {
    if (thrown instanceof GuestStoreError && thrown.message !== '') return;
    throw thrown;
  }
}

test('fields that a later version adds are passed over', () => {
  expect(parseCommit(canonicalJson({ ...commit, later: 1 }), 'x')).toEqual(commit);
  expect(parseEntry('/a', { ...entry, later: {} })).toEqual(entry);
});

test('a channel of a later version comes through by name', () => {
  const row = {
    host: 'h',
    channel: { kind: 'carrier-pigeon', loft: 3 },
    repository: null,
    ruleSet: null,
    enabled: true,
    refused: null,
  };
  expect(parseVmRow('fleet/web', row).channel).toEqual(row.channel);
});

test('rule sets come back as they were written', () => {
  const policy = { kind: 'ClusterVMAccessPolicy', name: 'base' };
  const rule = { pattern: '.*', match: 'Search', policy, index: 3 } as const;
  const rules = { grant: [], deny: [rule], ceiling: { mustDeny: [rule] }, critical: ['x'] };
  expect(parseRuleSet(ruleSetObject(rules).text, 'x')).toEqual(rules);
});

test.each([
  ['GuestStore', true],
  ['fleet/main', true],
  ['a/.gueststore', true],
  ['', false],
  ['/a', false],
  ['a/', false],
  ['a//b', false],
  ['../a', false],
  ['.gueststore', false],
  ['.gueststore/objects', false],
])('%j as a root: %s', (root, expected) => {
  expect(isRoot(root)).toBe(expected);
});

test('a commit is one line and its digest', () => {
  const { text, digest } = encodeCommit(commit);
  expect(text).toBe(`${canonicalJson(commit)}\n${digest}\n`);
  expect(digest).toBe(digestOf(canonicalJson(commit)));
});
