import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDuration } from '../../src/core/duration.ts';
import { compareKeys, keyOf } from '../../src/core/names.ts';
import { failureOf } from '../../src/core/outcome.ts';
import { parseQuantity } from '../../src/core/quantity.ts';
import { GuestStoreError } from '../../src/lib/errors.ts';

const refused = expect.objectContaining({ code: 'InvalidArgument' });

describe('quantities', () => {
  test.each([
    ['0', 0],
    ['512Mi', 512 * 2 ** 20],
    ['4Gi', 4 * 2 ** 30],
    ['1.5Ki', 1536],
    ['.5k', 500],
    ['1e6', 1_000_000],
    ['2E3', 2_000],
    ['1T', 1e12],
    ['4Pi', 4 * 2 ** 50],
    ['1500m', 2],
    ['7.', 7],
  ])('%s is %d bytes', (text, bytes) => {
    expect(parseQuantity(text)).toBe(bytes);
  });

  test.each(['', 'x', '-1', '1 Gi', '1Gb', '1e99', '9Pi9', '9000000000G', 'Ki', '1_000'])('%j is none', (text) => {
    expect(() => parseQuantity(text)).toThrow(refused);
  });

  test('whole numbers are themselves', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (bytes) => {
        expect(parseQuantity(String(bytes))).toBe(bytes);
      }),
    );
  });
});

describe('durations', () => {
  test.each([
    ['0s', 0],
    ['250ms', 250],
    ['90s', 90_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1_500],
    ['24h', 86_400_000],
  ])('%s is %d ms', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  test.each(['', '5', 's', '1d', '-1s', '1h ', '1h-30m', '1hh'])('%j is none', (text) => {
    expect(() => parseDuration(text)).toThrow(refused);
  });
});

test('keys name an object, with its namespace where it has one, and order as bytes do', () => {
  expect(keyOf({ namespace: 'fleet', name: 'main' })).toBe('fleet/main');
  expect(keyOf({ name: 'all' })).toBe('all');
  expect(['b/a', 'a/b', 'a/a', 'B/a', 'a/a'].toSorted(compareKeys)).toEqual(['B/a', 'a/a', 'a/a', 'a/b', 'b/a']);
});

test('a failure says what the error says', () => {
  expect(failureOf(new GuestStoreError('TooLarge', 'm'))).toEqual({ reason: 'TooLarge', message: 'm', terminal: true });
});
