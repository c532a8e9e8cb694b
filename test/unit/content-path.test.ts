import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseContentPath, resolveRequestPath } from '../../src/core/content-path.ts';

const segment = (bytes: number) => 'a'.repeat(bytes);
/** A path of exactly so many bytes, in segments of at most 255. */
const pathOf = (bytes: number) => `${`/${segment(255)}`.repeat(Math.floor(bytes / 256))}/${segment((bytes % 256) - 1)}`;

test.each([
  '/a',
  '/vmtools/11/setup.exe',
  '/with space/über/日本語/😀',
  // Once decoded, `%` is a character like others: it is never decoded again.
  '/%2e%2e/%2F',
  '/.hidden/..a/a../...',
  '/a?b=c#d',
  '/"quotes"/\u00a0/\u200b',
  `/${segment(255)}`,
  `/${'é'.repeat(127)}a`,
  pathOf(1023),
  pathOf(1022),
])('%j is a content path, as it is', (path) => {
  expect(parseContentPath(path)).toBe(path);
});

test('the longest path has 1,024 bytes', () => {
  const longest = `${pathOf(1021)}/bc`;
  expect(Buffer.byteLength(longest)).toBe(1024);
  expect(parseContentPath(longest)).toBe(longest);
});

describe('a content path is refused, never repaired, when it', () => {
  test.each([
    { path: '', why: 'must begin with "/"' },
    { path: 'a', why: 'must begin with "/"' },
    { path: 'http://host/a', why: 'must begin with "/"' },
    { path: '/', why: 'empty, "." or ".." segment' },
    { path: '/a/', why: 'empty, "." or ".." segment' },
    { path: '//a', why: 'empty, "." or ".." segment' },
    { path: '/a//b', why: 'empty, "." or ".." segment' },
    { path: '/.', why: 'empty, "." or ".." segment' },
    { path: '/a/./b', why: 'empty, "." or ".." segment' },
    { path: '/..', why: 'empty, "." or ".." segment' },
    { path: '/a/../b', why: 'empty, "." or ".." segment' },
    { path: '/a/..', why: 'empty, "." or ".." segment' },
    { path: '/a;b', why: '";" or "\\"' },
    { path: '/a\\b', why: '";" or "\\"' },
    { path: '/a\u0000b', why: 'control characters' },
    { path: '/a\nb', why: 'control characters' },
    { path: '/a\u007f', why: 'control characters' },
    { path: '/a\u0085', why: 'control characters' },
    { path: '/a\u009f', why: 'control characters' },
    { path: '/a\u2028', why: 'line separators' },
    { path: '/a\u2029', why: 'line separators' },
    { path: '/a\ud800', why: 'valid Unicode' },
    { path: '/\udc00a', why: 'valid Unicode' },
    { path: '/u\u0308ber', why: 'normalization form C' },
    { path: '/\u212b', why: 'normalization form C' },
    { path: `/${segment(256)}`, why: 'at most 255 bytes' },
    { path: `/a/${segment(256)}/b`, why: 'at most 255 bytes' },
    { path: `/${'é'.repeat(128)}`, why: 'at most 255 bytes' },
    { path: `/${'日'.repeat(86)}`, why: 'at most 255 bytes' },
    { path: `/${'😀'.repeat(64)}`, why: 'at most 255 bytes' },
    { path: `${pathOf(1021)}/bcd`, why: 'at most 1024 bytes' },
    { path: `${`/${'é'.repeat(100)}`.repeat(6)}`, why: 'at most 1024 bytes' },
  ])('is $path ($why)', ({ path, why }) => {
    expect(() => parseContentPath(path)).toThrowError(
      expect.objectContaining({ code: 'InvalidPath', message: expect.stringContaining(why) }),
    );
  });
});

test.each([
  { requested: '/', path: '/metadata.json' },
  { requested: '/vmtools/', path: '/vmtools/metadata.json' },
  { requested: '/vmtools', path: '/vmtools' },
])('a request for $requested is one for $path', ({ requested, path }) => {
  expect(resolveRequestPath(requested)).toBe(path);
});

test('a request for a directory is held to the same rules', () => {
  expect(() => resolveRequestPath('/a//')).toThrowError(expect.objectContaining({ code: 'InvalidPath' }));
  expect(() => resolveRequestPath('/../')).toThrowError(expect.objectContaining({ code: 'InvalidPath' }));
});

test('lengths are those of the encoded text', () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(text, (raw) => {
      const path = `/${raw.normalize('NFC').replace(/[\p{Cc}\u2028\u2029;\\/.]/gu, '_')}`;
      const fits = Buffer.byteLength(path) - 1 <= 255;
      if (fits) expect(parseContentPath(path)).toBe(path);
      else expect(() => parseContentPath(path)).toThrowError(expect.objectContaining({ code: 'InvalidPath' }));
    }),
  );
});
