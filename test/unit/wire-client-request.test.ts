import { expect, test } from 'vitest';
import { encodeChannelRequest, encodeClientRequest, faultOfClientPath } from '../../src/wire/client-request.ts';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const path = (characters: string): Uint8Array => Buffer.from(characters, 'latin1');

test.each([
  ['/a b/c%d?e=f', '/a%20b/c%25d%3Fe=f'],
  ['/x#y+z&q"<>|\\', '/x#y+z&q"<>|\\'],
  ['/\t\r\n\x7f', '/\t\r\n\x7f'],
  ['/\xe6\x97\xa5\xff', '/\xe6\x97\xa5\xff'],
  ['/', '/'],
  ['/dir/', '/dir/'],
])('the client asks for %j as %j', (asked, target) => {
  expect(text(encodeClientRequest(path(asked)))).toBe(`GET ${target} HTTP/1.1\r\n\r\n`);
});

test('the longest request of a client has 3,087 bytes', () => {
  expect(encodeClientRequest(path(`/${'%'.repeat(1023)}`))).toHaveLength(3087);
});

test.each([
  ['/a-b_c.d~e/9', '/a-b_c.d~e/9'],
  ['/a b%?#+', '/a%20b%25%3F%23%2B'],
  ['/\r\n\x01\x7f', '/%0D%0A%01%7F'],
  ['/\xc3\xa9\xff', '/%C3%A9%FF'],
  ['/../..//x', '/../..//x'],
])('the host is asked for %j as %j', (asked, target) => {
  expect(text(encodeChannelRequest(path(asked)))).toBe(`GET ${target} HTTP/1.1\r\n\r\n`);
});

test.each([
  ['', false],
  ['a/b', false],
  ['/', true],
  [`/${'x'.repeat(1023)}`, true],
  [`/${'x'.repeat(1024)}`, false],
])('a client sends a path of the right form only (case %#)', (asked, sent) => {
  expect(faultOfClientPath(path(asked)) === undefined).toBe(sent);
});
