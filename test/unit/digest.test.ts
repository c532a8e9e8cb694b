import { expect, test } from 'vitest';
import { hexOf, isDigest } from '../../src/core/digest.ts';

const hex = '0123456789abcdef'.repeat(4);

test('a digest is sha256: and 64 lower-case hexadecimal digits', () => {
  expect(isDigest(`sha256:${hex}`)).toBe(true);
  for (const other of [
    '',
    hex,
    `sha256:${hex}0`,
    `sha256:${hex.slice(1)}`,
    `sha256:${hex.toUpperCase()}`,
    `sha512:${hex}`,
  ]) {
    expect(isDigest(other)).toBe(false);
  }
});

test('a digest that ends in a line break is none', () => {
  expect(isDigest(`sha256:${hex}\n`)).toBe(false);
});

test('its hexadecimal part names files', () => {
  expect(hexOf(`sha256:${hex}`)).toBe(hex);
});
