import { expect, test } from 'vitest';
import { HttpDate, type ResponseStatus, responseHead } from '../../src/wire/response-head.ts';

const date = 'Mon, 23 Nov 2026 07:06:52 GMT';

test.each([
  [200, 5, 'OK', ''],
  [403, 0, 'Forbidden', ''],
  [404, 0, 'Not Found', ''],
  [400, 0, 'Bad Request', ''],
  [405, 0, 'Method Not Allowed', 'Allow: GET\r\n'],
  [413, 0, 'Content Too Large', ''],
  [414, 0, 'URI Too Long', ''],
  [431, 0, 'Request Header Fields Too Large', ''],
  [501, 0, 'Not Implemented', ''],
  [503, 0, 'Service Unavailable', 'Retry-After: 5\r\n'],
  [505, 0, 'HTTP Version Not Supported', ''],
] satisfies [ResponseStatus, number, string, string][])(
  'the head of %i, byte for byte',
  (status, length, phrase, extra) => {
    expect(responseHead(status, length, date)).toBe(
      `HTTP/1.1 ${status} ${phrase}\r\n` +
        `Date: ${date}\r\n` +
        'Server: VMGuestStore\r\n' +
        'Accept-Ranges: bytes\r\n' +
        `Content-Length: ${length}\r\n` +
        'Content-Type: application/octet-stream\r\n' +
        extra +
        'Connection: close\r\n' +
        '\r\n',
    );
  },
);

test('the head of a 200 with a length of one digit has 178 bytes, as VMware’s own', () => {
  expect(responseHead(200, 5, date)).toHaveLength(178);
});

test('a date is made once a second', () => {
  const clock = new HttpDate();
  const noon = Date.UTC(2026, 10, 23, 7, 6, 52);
  expect(clock.at(noon)).toBe(date);
  expect(clock.at(noon + 999)).toBe(date);
  expect(clock.second).toBe(noon / 1000);
  expect(clock.at(noon + 1000)).toBe('Mon, 23 Nov 2026 07:06:53 GMT');
  expect(clock.at(noon)).toBe(date);
});
