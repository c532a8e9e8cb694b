import { expect, test } from 'vitest';
import type { Entry } from '../../src/core/catalog.ts';
import { type Answer, answerRequest } from '../../src/daemon/answer.ts';
import { createDecider } from '../../src/rules/decision-cache.ts';
import { host, noRules, noRulesDigest, vmRow } from '../support/daemon.ts';
import { digestOf, type RevisionDraft, rulesOf, snapshotOf } from '../support/memory-store.ts';

const now = Date.UTC(2026, 10, 23, 12);
const stored: Entry = {
  state: 'stored',
  claim: 'fleet/item',
  digest: digestOf('hello'),
  size: 5,
  since: '2026-11-23T07:06:52Z',
};
const retired = (until: string): Entry => ({ ...stored, state: 'retired', until });

const entries: Record<string, Entry> = {
  '/a/stored': stored,
  '/a/metadata.json': stored,
  '/a/pending': { state: 'pending', claim: 'fleet/item' },
  '/a/leaving': retired('2026-11-23T12:00:01Z'),
  '/a/left': retired('2026-11-23T12:00:00Z'),
  '/a/undated': retired('some day'),
  '/a/newer': { ...stored, critical: ['delta'] },
  '/a/unknown-state': { ...stored, state: 'frozen' } as unknown as Entry,
  '/secret/x': stored,
};

const denySecret = rulesOf([], ['/secret/.*']);
const broken = rulesOf([], ['(']);
const newerRules = { ...noRules, critical: ['time-windows'] };
const ruleSets = {
  [noRulesDigest]: noRules,
  [digestOf('deny')]: denySecret,
  [digestOf('broken')]: broken,
  [digestOf('newer')]: newerRules,
};

function ask(path: string, draft: RevisionDraft = {}, decider = createDecider(() => undefined)): Answer {
  const snapshot = snapshotOf({
    repositories: { 'fleet/main': { entries } },
    vms: { 'fleet/web-7': vmRow('web-7', { ruleSet: digestOf('deny') }) },
    ruleSets,
    ...draft,
  });
  return answerRequest(snapshot, 'fleet/web-7', path, { host, decide: decider.decide, now });
}

/** One word for each answer. */
function brief(answer: Answer): string {
  if (answer.kind === 'unavailable') return answer.reason;
  return answer.kind === 'bad' ? `bad ${answer.status}` : answer.kind;
}

test.each([
  ['/a/stored', 'content'],
  ['/a/', 'content'],
  ['/a/leaving', 'content'],
  ['/a/left', 'not-found'],
  ['/a/nothing', 'not-found'],
  ['/', 'not-found'],
  ['/a/pending', 'ContentPending'],
  ['/a/undated', 'NotUnderstood'],
  ['/a/newer', 'NotUnderstood'],
  ['/a/unknown-state', 'NotUnderstood'],
  ['/secret/x', 'denied'],
  ['/secret/nothing', 'denied'],
  ['/secret/', 'denied'],
  ['/a/../secret/x', 'bad 400'],
  ['//secret/x', 'bad 400'],
  ['/a/./stored', 'bad 400'],
  ['/a;b', 'bad 400'],
  ['/a\\b', 'bad 400'],
  ['/a\nb', 'bad 400'],
  ['/e\u0301', 'bad 400'],
  [`/${'a'.repeat(256)}`, 'bad 400'],
])('%j is %s', (path, expected) => expect(brief(ask(path))).toBe(expected));

test.each<[string, RevisionDraft]>([
  ['UnknownVM', { vms: {} }],
  ['UnknownVM', { vms: { 'fleet/web-7': vmRow('web-7', { host: 'host-b' }) } }],
  ['AccessDisabled', { vms: { 'fleet/web-7': vmRow('web-7', { enabled: false }) } }],
  ['VMRefused', { vms: { 'fleet/web-7': vmRow('web-7', { refused: 'ChannelConflict' }) } }],
  ['NoRepository', { vms: { 'fleet/web-7': vmRow('web-7', { repository: null }) } }],
  ['NoRepository', { vms: { 'fleet/web-7': vmRow('web-7', { repository: 'fleet/gone' }) } }],
  ['RulesUnreadable', { vms: { 'fleet/web-7': vmRow('web-7', { ruleSet: null }) } }],
  ['RulesUnreadable', { vms: { 'fleet/web-7': vmRow('web-7', { ruleSet: digestOf('not there') }) } }],
  ['RulesUnreadable', { vms: { 'fleet/web-7': vmRow('web-7', { ruleSet: digestOf('broken') }) } }],
  ['NotUnderstood', { vms: { 'fleet/web-7': vmRow('web-7', { ruleSet: digestOf('newer') }) } }],
  ['NotUnderstood', { vms: { 'fleet/web-7': vmRow('web-7', { critical: ['x'] }) } }],
  ['NotUnderstood', { vms: { 'fleet/web-7': vmRow('web-7', { catalog: digestOf('own') }) } }],
  ['NotUnderstood', { repositories: { 'fleet/main': { entries, critical: ['x'] } } }],
  ['NotUnderstood', { critical: ['x'] }],
])('%s is no verdict, for no path', (reason, draft) => {
  for (const path of ['/a/stored', '/secret/x', '/a/nothing']) expect(brief(ask(path, draft))).toBe(reason);
});

test('a repository that does not know its whole tree says so in place of not found, and only then', () => {
  const repositories = { 'fleet/main': { entries, authoritative: false } };
  expect(brief(ask('/a/nothing', { repositories }))).toBe('NotAuthoritative');
  expect(brief(ask('/a/stored', { repositories }))).toBe('content');
  expect(brief(ask('/secret/nothing', { repositories }))).toBe('denied');
});

test('without any revision nothing is decided', () => {
  const { decide } = createDecider(() => undefined);
  expect(brief(answerRequest(undefined, 'fleet/web-7', '/a/stored', { host, decide, now }))).toBe('NoRevision');
  expect(brief(answerRequest(undefined, 'fleet/web-7', '/../x', { host, decide, now }))).toBe('bad 400');
});

test('a denial names its rule, and a directory is judged by what answers it', () => {
  const answer = ask('/secret/');
  expect(answer).toMatchObject({
    kind: 'denied',
    path: '/secret/metadata.json',
    decision: { effect: 'deny', rule: { pattern: '/secret/.*', index: 0, policy: { name: 'policy' } } },
  });
});

test('critical names that are none refuse nothing', () => {
  expect(brief(ask('/a/stored', { vms: { 'fleet/web-7': vmRow('web-7', { critical: [] }) } }))).toBe('content');
});
