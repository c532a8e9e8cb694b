import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeChannelRequest, encodeClientRequest } from '../../src/wire/client-request.ts';
import { parsePluginRequest, pluginRequestLimit } from '../../src/wire/plugin-request.ts';

const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1');

/** What becomes of a request, with one character a byte. */
function outcome(request: string): string {
  const parsed = parsePluginRequest(bytesOf(request));
  return parsed.state === 'complete' ? Buffer.from(parsed.path).toString('latin1') : parsed.state;
}

const end = '\r\n\r\n';

test.each([
  ['the request of the real client', `GET /a/b HTTP/1.1${end}`, '/a/b'],
  ['another version', `GET /a HTTP/1.0${end}`, '/a'],
  ['no version but another word', `GET /a JUNK${end}`, '/a'],
  ['no version at all: the terminator becomes part of the path', `GET /a${end}`, `/a${end}`],
  ['spaces before and between the words', `  GET   /a   HTTP/1.1${end}`, '/a'],
  ['a question mark before the path', `GET ?/a HTTP/1.1${end}`, '/a'],
  ['a query', `GET /a?x=1&y=2 HTTP/1.1${end}`, '/a'],
  ['a fragment', `GET /a#f HTTP/1.1${end}`, '/a#f'],
  ['escapes in both cases', `GET /%2F%20%3F%e9%C3%A9 HTTP/1.1${end}`, '//\x20?\xe9\xc3\xa9'],
  ['an escaped slash at the front', `GET %2Fa HTTP/1.1${end}`, '/a'],
  ['a plus', `GET /a+b HTTP/1.1${end}`, '/a+b'],
  ['bytes that are not UTF-8', `GET /\xff\xfe HTTP/1.1${end}`, '/\xff\xfe'],
  ['line ends in the path', `GET /a\r\nb HTTP/1.1${end}`, '/a\r\nb'],
  ['a NUL in the path', `GET /a\0b HTTP/1.1${end}`, '/a'],
  ['dots, forwarded as they are', `GET /../../etc/passwd HTTP/1.1${end}`, '/../../etc/passwd'],
  ['empty segments, forwarded as they are', `GET //a//b HTTP/1.1${end}`, '//a//b'],
  ['a directory', `GET /dir/ HTTP/1.1${end}`, '/dir/'],
  ['the root', `GET / HTTP/1.1${end}`, '/'],
  ['headers', `GET /a HTTP/1.1\r\nHost: h\r\nRange: bytes=1-${end}`, '/a'],
  ['a body that itself ends in an empty line', `GET /a HTTP/1.1${end}body${end}`, '/a'],
  ['two requests at once', `GET /a HTTP/1.1${end}GET /b HTTP/1.1${end}`, '/a'],
  ['1,024 bytes of path', `GET /${'p'.repeat(1023)} HTTP/1.1${end}`, `/${'p'.repeat(1023)}`],
  ['1,024 bytes of path, all escaped', `GET ${'%2F'.repeat(1024)} HTTP/1.1${end}`, '/'.repeat(1024)],
])('is accepted: %s', (_, request, path) => {
  expect(outcome(request)).toBe(path);
});

test.each([
  ['another method', `POST /a HTTP/1.1${end}`],
  ['HEAD', `HEAD /a HTTP/1.1${end}`],
  ['small letters', `get /a HTTP/1.1${end}`],
  ['a tab after the method', `GET\t/a HTTP/1.1${end}`],
  ['a method that only begins with GET', `GETS /a HTTP/1.1${end}`],
  ['a line end before the method', `\r\nGET /a HTTP/1.1${end}`],
  ['a NUL after the method', `GET\0 /a HTTP/1.1${end}`],
  ['no path', `GET ${end}`],
  ['nothing but the terminator', end],
  ['nothing but spaces', `   \0${end}`],
  ['an escaped NUL', `GET /%00 HTTP/1.1${end}`],
  ['an escape that is not hexadecimal', `GET /%zz HTTP/1.1${end}`],
  ['an escape of one digit', `GET /%4 HTTP/1.1${end}`],
  ['a percent sign at the end', `GET /a% HTTP/1.1${end}`],
  ['an absolute URL', `GET http://h/a HTTP/1.1${end}`],
  ['an asterisk', `GET * HTTP/1.1${end}`],
  ['a relative path', `GET a HTTP/1.1${end}`],
  ['1,025 bytes of path', `GET /${'p'.repeat(1024)} HTTP/1.1${end}`],
  ['1,025 bytes of path, all escaped', `GET ${'%2F'.repeat(1025)} HTTP/1.1${end}`],
])('is refused: %s', (_, request) => {
  expect(outcome(request)).toBe('refused');
});

test.each([
  ['nothing', ''],
  ['half an empty line', 'GET /a HTTP/1.1\r\n\r'],
  ['one byte after the terminator', `GET /a HTTP/1.1${end}x`],
  ['bare line feeds', 'GET /a HTTP/1.1\n\n'],
])('is not complete: %s', (_, request) => {
  expect(outcome(request)).toBe('incomplete');
});

const padded = (total: number): string => {
  const start = 'GET /a HTTP/1.1\r\nX: ';
  return `${start}${'x'.repeat(total - start.length - end.length)}${end}`;
};

test('a request may have 4,095 bytes, terminator included', () => {
  expect(padded(pluginRequestLimit)).toHaveLength(4095);
  expect(outcome(padded(4095))).toBe('/a');
  expect(outcome(padded(4096))).toBe('refused');
  expect(outcome('x'.repeat(4094))).toBe('incomplete');
  expect(outcome('x'.repeat(4095))).toBe('refused');
});

test('what lies beyond 4,095 bytes is not looked at', () => {
  expect(outcome(`${padded(4095)}more`)).toBe('/a');
});

/** All that a client may ask for: up to 1,024 bytes, the first a slash, none of them NUL. */
const anyPath = fc.uint8Array({ min: 1, max: 255, maxLength: 1023 }).map((rest) => Uint8Array.from([0x2f, ...rest]));

test.each([
  ['the client', encodeClientRequest],
  ['the plugin, to the host', encodeChannelRequest],
])('whatever path is sent by %s arrives byte for byte', (_, encode) => {
  fc.assert(
    fc.property(anyPath, (path) => {
      const parsed = parsePluginRequest(encode(path));
      expect(parsed).toEqual({ state: 'complete', path });
    }),
  );
});

test('no bytes make it throw, or accept a path that is not one', () => {
  const near = fc.tuple(fc.constantFrom('GET /', 'GET %', ' GET ?', ''), fc.uint8Array({ maxLength: 64 }));
  fc.assert(
    fc.property(near, ([start, bytes]) => {
      const parsed = parsePluginRequest(Buffer.concat([bytesOf(start), bytes, bytesOf(end)]));
      expect(parsed.state).not.toBe('incomplete');
      if (parsed.state !== 'complete') return;
      expect(parsed.path[0]).toBe(0x2f);
      expect(parsed.path.length).toBeLessThanOrEqual(1024);
      expect(parsed.path).not.toContain(0);
    }),
    { numRuns: 1000 },
  );
});
