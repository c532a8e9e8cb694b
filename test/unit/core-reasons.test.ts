import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ownReasons } from '../../src/core/outcome.ts';
import { errorCodes, GuestStoreError } from '../../src/lib/errors.ts';

const page = readFileSync(new URL('../../docs/reasons.md', import.meta.url), 'utf8');
const rows = page
  .split('\n')
  .map((line) => /^\| `(\w+)` \| (.*?) \| (.*?)\|$/.exec(line))
  .filter((row) => row !== null);

test('docs/reasons.md explains every reason once, and no other', () => {
  const explained = rows.map(([, reason]) => reason);
  expect(explained.toSorted()).toEqual([...errorCodes, ...ownReasons].toSorted());
});

test('each with a meaning, and a way out where something is wrong', () => {
  const well = ['Served', 'Effective', 'Programmed', 'Heartbeat'];
  for (const [, reason = '', meaning = '', wayOut = ''] of rows) {
    expect(meaning.trim(), reason).not.toBe('');
    if (!well.includes(reason)) expect(wayOut.trim(), reason).not.toBe('');
  }
});

test('no reason means two things', () => {
  expect(new Set([...errorCodes, ...ownReasons]).size).toBe(errorCodes.length + ownReasons.length);
});

test('what only a change of the user can mend is terminal', () => {
  expect(new GuestStoreError('PathConflict', 'x').terminal).toBe(true);
  expect(new GuestStoreError('SourceUnavailable', 'x').terminal).toBe(false);
});
