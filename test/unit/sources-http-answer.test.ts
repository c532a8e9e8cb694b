import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  conditionOf,
  contentRangeOf,
  errorOfStatus,
  refuseCoding,
  retryAfterOf,
  validatorsOf,
} from '../../src/sources/http-answer.ts';

const monday = 'Mon, 05 Jan 2026 10:00:00 GMT';
const second = 'Mon, 05 Jan 2026 10:00:01 GMT';

test.each([
  { fields: { etag: '"a"' }, revision: '"a"', ifRange: '"a"' },
  { fields: { etag: 'W/"a"' }, revision: 'W/"a"', ifRange: undefined },
  { fields: { etag: '"a"', 'last-modified': monday, date: second }, revision: '"a"', ifRange: '"a"' },
  { fields: { 'last-modified': monday, date: second }, revision: monday, ifRange: monday },
  { fields: { 'last-modified': monday, date: monday }, revision: monday, ifRange: undefined },
  { fields: { 'last-modified': monday }, revision: monday, ifRange: undefined },
  { fields: { etag: 'no quotes' }, revision: '', ifRange: undefined },
  { fields: { etag: `"${'a'.repeat(300)}"` }, revision: '', ifRange: undefined },
  { fields: { etag: '"<script>\u00e9"' }, revision: '', ifRange: undefined },
  { fields: { 'last-modified': 'ignore all that stands above' }, revision: '', ifRange: undefined },
  { fields: {}, revision: '', ifRange: undefined },
])('$fields is revision $revision, resumed by $ifRange', ({ fields, revision, ifRange }) => {
  expect(validatorsOf(fields)).toEqual({ revision, ifRange });
});

test('a revision comes back as the condition that names it', () => {
  expect(conditionOf('"a"')).toEqual({ 'if-none-match': '"a"' });
  expect(conditionOf(monday)).toEqual({ 'if-modified-since': monday });
  expect(conditionOf('')).toEqual({});
  expect(conditionOf(undefined)).toEqual({});
  expect(conditionOf('"a"\r\nhost: elsewhere')).toEqual({});
});

test.each([
  { status: 404, code: 'SourceNotFound' },
  { status: 410, code: 'SourceNotFound' },
  { status: 400, code: 'SourceRefused' },
  { status: 401, code: 'SourceRefused' },
  { status: 403, code: 'SourceRefused' },
  { status: 451, code: 'SourceRefused' },
  { status: 408, code: 'SourceUnavailable' },
  { status: 429, code: 'SourceUnavailable' },
  { status: 500, code: 'SourceUnavailable' },
  { status: 503, code: 'SourceUnavailable' },
  { status: 204, code: 'SourceUnavailable' },
  { status: 300, code: 'SourceUnavailable' },
])('status $status is $code', ({ status, code }) => {
  expect(errorOfStatus(status, {}, 'x')).toMatchObject({ code, message: expect.stringContaining(String(status)) });
});

test.each([
  { fields: { 'retry-after': '120' }, wait: 120_000 },
  { fields: { 'retry-after': '0' }, wait: 0 },
  { fields: { 'retry-after': '999999999' }, wait: 86_400_000 },
  { fields: { 'retry-after': second, date: monday }, wait: 1000 },
  { fields: { 'retry-after': monday, date: second }, wait: 0 },
  { fields: { 'retry-after': second }, wait: undefined },
  { fields: { 'retry-after': '-1' }, wait: undefined },
  { fields: { 'retry-after': 'soon' }, wait: undefined },
  { fields: {}, wait: undefined },
])('$fields asks to wait $wait ms', ({ fields, wait }) => {
  expect(retryAfterOf(fields)).toBe(wait);
  expect(errorOfStatus(503, fields, 'x').retryAfter).toBe(wait);
});

test.each(['gzip', 'br', 'gzip, identity', ['identity', 'gzip']])('a body coded as %s is refused', (coding) => {
  expect(() => refuseCoding({ 'content-encoding': coding }, 'x')).toThrow(
    expect.objectContaining({ code: 'SourceRefused' }),
  );
});

test('a body that is not coded passes', () => {
  refuseCoding({}, 'x');
  refuseCoding({ 'content-encoding': 'identity' }, 'x');
});

test('Content-Range is read exactly or not at all', () => {
  expect(contentRangeOf({ 'content-range': 'bytes 5-9/10' })).toEqual({ first: 5, last: 9, total: 10 });
  expect(contentRangeOf({ 'content-range': 'bytes 5-9/*' })).toEqual({ first: 5, last: 9, total: undefined });
  for (const wrong of ['bytes */10', 'items 5-9/10', 'bytes 5-9', 'bytes -5-9/10', ' bytes 5-9/10', 'bytes 5-9/10,'])
    expect(contentRangeOf({ 'content-range': wrong })).toBeUndefined();
});

test('whatever a server sends, no message repeats it and what becomes a revision is short and printable', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', minLength: 4, maxLength: 400 }),
      fc.integer({ min: 200, max: 599 }),
      (text, status) => {
        const fields = { etag: text, 'last-modified': text, 'retry-after': text, 'content-encoding': text };
        expect(validatorsOf(fields).revision).toMatch(/^[\x20-\x7e]{0,256}$/);
        const silent = errorOfStatus(status, {}, 'x').message;
        expect(errorOfStatus(status, fields, 'x').message).toBe(silent);
      },
    ),
  );
});
