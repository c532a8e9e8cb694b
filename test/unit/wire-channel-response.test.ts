import { expect, test } from 'vitest';
import { parseChannelResponse } from '../../src/wire/channel-response.ts';

function outcome(answer: string) {
  const parsed = parseChannelResponse(Buffer.from(answer, 'latin1'));
  return parsed.state === 'content' ? { length: parsed.length, bodyAt: parsed.bodyAt } : parsed.state;
}

test.each([
  ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', { length: 5, bodyAt: 38 }],
  ['HTTP/1.1 200 OK\r\ncontent-length:5 \r\nServer: x\r\n\r\nhello', { length: 5, bodyAt: 49 }],
  ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', { length: 0, bodyAt: 38 }],
])('%j is content', (answer, expected) => {
  expect(outcome(answer)).toEqual(expected);
});

test.each([
  ['HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n', 'forbidden'],
  ['HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n', 'not-found'],
  ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n', 'incomplete'],
  ['', 'incomplete'],
])('%j is %s', (answer, state) => {
  expect(outcome(answer)).toBe(state);
});

test.each([
  ['HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n'],
  ['HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\n\r\n'],
  ['HTTP/1.1 4040 Not Found\r\n\r\n'],
  ['HTTP/1.0 404 Not Found\r\n\r\n'],
  ['HTTP/1.1 200 OK\r\n\r\n'],
  ['HTTP/1.1 200 OK\r\nX-Content-Length: 5\r\n\r\n'],
  ['HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n'],
  ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n'],
  ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n'],
  ['garbage\r\n\r\n'],
  ['x'.repeat(16_384)],
])('case %# is trouble', (answer) => {
  expect(outcome(answer)).toBe('trouble');
});
