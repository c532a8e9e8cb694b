import { expect, test } from 'vitest';
import { clientHeadLimit, parseClientResponse } from '../../src/wire/client-response.ts';

function outcome(answer: string) {
  const parsed = parseClientResponse(Buffer.from(answer, 'latin1'));
  return parsed.state === 'content' ? { length: parsed.length, bodyAt: parsed.bodyAt } : parsed.state;
}

const head = [
  'HTTP/1.1 200 OK',
  'Date: Mon, 23 Nov 2026 07:06:52 GMT',
  'Server: VMGuestStore',
  'Accept-Ranges: bytes',
  'Content-Length: 5',
  'Content-Type: application/octet-stream',
  'Connection: close',
  '\r\n',
].join('\r\n');

test.each([
  ['the head of the real plugin', head, { length: 5, bodyAt: 178 }],
  ['a minimal head', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', { length: 5, bodyAt: 38 }],
  ['a body behind the head', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello', { length: 5, bodyAt: 38 }],
  ['no content', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', { length: 0, bodyAt: 38 }],
  [
    'the first of two matches',
    'HTTP/1.1 200 OK\r\nX-Content-Length: 5\r\nContent-Length: 9\r\n\r\n',
    { length: 5, bodyAt: 59 },
  ],
  ['a length without digits', 'HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n', { length: 0, bodyAt: 39 }],
  ['a length with more behind it', 'HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n', { length: 5, bodyAt: 39 }],
])('is content: %s', (_, answer, expected) => {
  expect(outcome(answer)).toEqual(expected);
});

test.each([
  ['HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n', 'forbidden'],
  ['HTTP/1.1 403 No\r\nContent-Length: 7\r\n\r\nsecrets', 'forbidden'],
  ['HTTP/1.1 404 Not Found\r\n\r\n', 'not-found'],
])('%j is %s', (answer, state) => {
  expect(outcome(answer)).toBe(state);
});

test.each([
  ['HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\n\r\n'],
  ['HTTP/1.1 301 Moved\r\nContent-Length: 5\r\n\r\n'],
  ['HTTP/1.1 500 Internal Server Error\r\nContent-Length: 5\r\n\r\n'],
  ['HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n'],
  ['HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\n'],
  ['HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n'],
  ['HTTP/2 200 OK\r\nContent-Length: 5\r\n\r\n'],
  ['HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n'],
  ['HTTP/1.1 403\r\n\r\n'],
  ['HTTP/1.1 200 OK\r\n\r\n'],
  ['HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n'],
  ['HTTP/1.1 200 OK\r\nContent-Length:5\r\n\r\n'],
  ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n'],
  ['\r\n\r\n'],
])('%j is malformed', (answer) => {
  expect(outcome(answer)).toBe('malformed');
});

test.each([[''], ['HTTP/1.1 200 OK\n\nhello'], ['HTTP/1.1 403 Forbidden\r\n'], [head.slice(0, -1)]])(
  '%j is not complete',
  (answer) => {
    expect(outcome(answer)).toBe('incomplete');
  },
);

test('a head ends within 65,535 bytes', () => {
  const start = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: ';
  const padded = (total: number): string => `${start}${'x'.repeat(total - start.length - 4)}\r\n\r\n`;
  expect(outcome(padded(clientHeadLimit))).toEqual({ length: 5, bodyAt: 65_535 });
  expect(outcome(padded(clientHeadLimit + 1))).toBe('malformed');
  expect(outcome('x'.repeat(65_534))).toBe('incomplete');
});
