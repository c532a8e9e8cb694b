import { expect, test } from 'vitest';
import { servable, unknownCritical } from '../../src/core/critical.ts';

test('a record without critical extensions may be served', () => {
  expect(servable({})).toBe(true);
  expect(servable({ critical: [] })).toBe(true);
});

test('a record that names an extension which this version does not know may not', () => {
  expect(servable({ critical: ['chunks'] })).toBe(false);
});

test('what is known does not count', () => {
  expect(unknownCritical({ critical: ['chunks', 'deltas'] }, new Set(['chunks']))).toEqual(['deltas']);
});
