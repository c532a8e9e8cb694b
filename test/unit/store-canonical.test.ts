import { assert, jsonValue, property, shuffledSubarray } from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson, objectOf } from '../../src/store/canonical.ts';

test('canonical JSON says the same as JSON', () => {
  assert(
    property(jsonValue(), (value) => {
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('the order in which fields were set does not show', () => {
  const keys = ['a', 'b', 'B', '10', '9', 'ä', '\u{1F600}', '\uFFFD', ''];
  assert(
    property(shuffledSubarray(keys, { minLength: keys.length }), (order) => {
      const text = canonicalJson(Object.fromEntries(order.map((key) => [key, key])));
      expect(text).toBe(canonicalJson(Object.fromEntries(keys.map((key) => [key, key]))));
    }),
  );
});

test('keys are sorted by UTF-16 code units, as RFC 8785 wants it', () => {
  expect(canonicalJson({ '\u{1F600}': 1, '\uFFFD': 2, a: 3 })).toBe('{"a":3,"\u{1F600}":1,"\uFFFD":2}');
});

test('fields that are undefined are left out, maps are objects', () => {
  expect(
    canonicalJson({
      b: undefined,
      a: new Map([
        ['y', 1],
        ['x', null],
      ]),
    }),
  ).toBe('{"a":{"x":null,"y":1}}');
});

test('a field named __proto__ is a field', () => {
  expect(canonicalJson(JSON.parse('{"__proto__":{"x":1}}'))).toBe('{"__proto__":{"x":1}}');
});

test('an object is named by the digest of its text', () => {
  expect(objectOf({ kind: 'leaf', entries: {} })).toEqual({
    digest: 'sha256:ac8d27d2360d4b7b9be99353906f8e9dccee0bfa118959c9dc18f9c1a0ea11af',
    text: '{"entries":{},"kind":"leaf"}',
  });
});
