import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type HeadResult, printableLine, readRequestHead } from '../../src/wire/request-head.ts';

function read(head: string | Uint8Array): HeadResult {
  const bytes = typeof head === 'string' ? Buffer.from(head) : Buffer.from(head);
  return readRequestHead(bytes, bytes.length);
}

/** As `read`, with the bytes coming in pieces that end at `cuts`. */
function readInPieces(bytes: Buffer, cuts: readonly number[]): HeadResult {
  let scanned = 0;
  for (const cut of [...cuts.filter((at) => at < bytes.length).sort((a, b) => a - b), bytes.length]) {
    const result = readRequestHead(bytes, cut, scanned);
    if (result.state !== 'incomplete') return result;
    scanned = cut;
  }
  return { state: 'incomplete' };
}

function pathOf(target: string | Uint8Array): string | undefined {
  const result = read(Buffer.concat([Buffer.from('GET '), Buffer.from(target), Buffer.from(' HTTP/1.1\r\n\r\n')]));
  return result.state === 'request' ? result.request.path : undefined;
}

function statusOf(head: string | Uint8Array): number | undefined {
  const result = read(head);
  return result.state === 'refused' ? result.refusal.status : undefined;
}

test('the request of VMware’s own client has no fields', () => {
  const head = 'GET /a/b HTTP/1.1\r\n\r\n';
  expect(read(head)).toEqual({
    state: 'request',
    request: { path: '/a/b', bare: true, minor: 1, fields: new Map() },
    end: head.length,
  });
});

test('fields are read, in lower case and joined', () => {
  const head = 'GET /a HTTP/1.0\r\nHost: h\r\nX-A:  1\t\r\nx-a: 2\r\nEmpty:\r\n\r\n';
  const result = read(`${head}rest`);
  expect(result).toMatchObject({ state: 'request', request: { bare: false, minor: 0 }, end: head.length });
  expect(result.state === 'request' && Object.fromEntries(result.request.fields)).toEqual({
    host: 'h',
    'x-a': '1, 2',
    empty: '',
  });
});

test('an empty line before the request line is passed over, once', () => {
  expect(read('\r\nGET /a HTTP/1.1\r\n\r\n')).toMatchObject({ state: 'request', request: { path: '/a' } });
  expect(statusOf('\r\n\r\nGET /a HTTP/1.1\r\n\r\n')).toBe(400);
});

describe('targets', () => {
  test.each([
    ['/', '/'],
    ['/dir/', '/dir/'],
    ['/a%20b', '/a b'],
    ['/a%25b%3Fc', '/a%b?c'],
    ['/a?x=1&y=%zz', '/a'],
    ['/a#f', '/a#f'],
    ['/a+b', '/a+b'],
    ['/%41%c3%A9', '/Aé'],
    ['/ünï/日本語.bin', '/ünï/日本語.bin'],
    ['/%2e%2e/a', '/../a'],
    ['/a//b', '/a//b'],
    ['/%252e', '/%2e'],
    ['/\u{feff}a', '/\u{feff}a'],
  ])('%s asks for %s', (target, path) => expect(pathOf(target)).toBe(path));

  test.each([
    ['NUL', '/a%00b'],
    ['half an escape', '/a%4'],
    ['a lone percent sign', '/a%'],
    ['an escape that is none', '/a%zz'],
    ['an escape with a sign', '/a%+1'],
    ['escaped bytes that are not UTF-8', '/a%ff'],
    ['a surrogate', '/a%ed%a0%80'],
    ['an overlong slash', '/a%c0%af'],
    ['absolute form', 'http://h/a'],
    ['authority form', 'h:80'],
    ['asterisk form', '*'],
    ['no slash', 'a'],
    ['an escaped first slash', '%2Fa'],
    ['nothing but a query', '?/a'],
  ])('%s is a bad request', (_, target) => expect(statusOf(`GET ${target} HTTP/1.1\r\n\r\n`)).toBe(400));

  test('raw bytes that are not UTF-8 are a bad request', () => {
    const head = Buffer.concat([Buffer.from('GET /a'), Buffer.from([0xff]), Buffer.from(' HTTP/1.1\r\n\r\n')]);
    expect(statusOf(head)).toBe(400);
  });

  test('1,024 bytes of path are read, 1,025 are too many, escaped or not', () => {
    expect(pathOf(`/${'a'.repeat(1023)}`)?.length).toBe(1024);
    expect(pathOf(`/${'%25'.repeat(1023)}`)?.length).toBe(1024);
    expect(statusOf(`GET /${'a'.repeat(1024)} HTTP/1.1\r\n\r\n`)).toBe(414);
    expect(statusOf(`GET /${'%25'.repeat(1024)} HTTP/1.1\r\n\r\n`)).toBe(414);
    expect(statusOf(`GET /${'é'.repeat(512)} HTTP/1.1\r\n\r\n`)).toBe(414);
  });
});

describe('refusals', () => {
  test.each([
    [405, 'POST /a HTTP/1.1\r\n\r\n'],
    [405, 'HEAD /a HTTP/1.1\r\n\r\n'],
    [405, 'OPTIONS * HTTP/1.1\r\n\r\n'],
    [501, 'BREW /a HTTP/1.1\r\n\r\n'],
    [501, 'get /a HTTP/1.1\r\n\r\n'],
    [400, 'GET\t/a HTTP/1.1\r\n\r\n'],
    [400, 'G@T /a HTTP/1.1\r\n\r\n'],
    [400, ' /a HTTP/1.1\r\n\r\n'],
    [400, 'GET  /a HTTP/1.1\r\n\r\n'],
    [400, 'GET /a  HTTP/1.1\r\n\r\n'],
    [400, 'GET /a HTTP/1.1 \r\n\r\n'],
    [400, 'GET /a b HTTP/1.1\r\n\r\n'],
    [400, 'GET /a\r\n\r\n'],
    [400, 'GET\r\n\r\n'],
    [400, 'GET /a HTTP/11\r\n\r\n'],
    [400, 'GET /a http/1.1\r\n\r\n'],
    [505, 'GET /a HTTP/1.2\r\n\r\n'],
    [505, 'GET /a HTTP/2.0\r\n\r\n'],
    [400, 'GET /a HTTP/1.1\nHost: h\n\n'],
    [400, 'GET /a HTTP/1.1\r\nHost: h\n\r\n'],
    [400, 'GET /a\rb HTTP/1.1\r\n\r\n'],
    [400, 'GET /a\0b HTTP/1.1\r\n\r\n'],
    [400, 'GET /a HTTP/1.1\r\nX: a\r\n b\r\n\r\n'],
    [400, 'GET /a HTTP/1.1\r\n Folded: a\r\n\r\n'],
    [400, 'GET /a HTTP/1.1\r\nNo colon\r\n\r\n'],
    [400, 'GET /a HTTP/1.1\r\nHost : h\r\n\r\n'],
    [400, 'GET /a HTTP/1.1\r\n: h\r\n\r\n'],
    [400, 'GET /a HTTP/1.1\r\nX: a\x01\r\n\r\n'],
    [400, 'GET /a HTTP/1.1\r\nX: a\x7f\r\n\r\n'],
    [400, 'GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
    [400, 'GET /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n'],
    [400, 'GET /a HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n'],
    [400, 'GET /a HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n'],
    [400, 'GET /a HTTP/1.1\r\nContent-Length: -1\r\n\r\n'],
    [400, 'GET /a HTTP/1.1\r\nContent-Length:\r\n\r\n'],
    [413, 'GET /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello'],
    [414, `GET /${'a'.repeat(5000)} HTTP/1.1\r\n\r\n`],
    [414, `GET /a?${'a'.repeat(5000)} HTTP/1.1\r\n\r\n`],
    [431, `GET /a HTTP/1.1\r\n${'X: y\r\n'.repeat(2000)}\r\n`],
    [431, `GET /a HTTP/1.1\r\nX: ${'y'.repeat(8200)}\r\n\r\n`],
  ])('%i for %j', (status, head) => expect(statusOf(head)).toBe(status));

  test('a body of no bytes is none', () => {
    expect(read('GET /a HTTP/1.1\r\nContent-Length: 0\r\n\r\n').state).toBe('request');
  });

  test('a long head is refused before its end', () => {
    expect(statusOf(`GET /${'a'.repeat(4200)}`)).toBe(414);
    expect(statusOf(`GET /a HTTP/1.1\r\nX: ${'y'.repeat(8200)}`)).toBe(431);
    expect(read(`GET /a HTTP/1.1\r\nX: ${'y'.repeat(8000)}`).state).toBe('incomplete');
  });

  test('a bare line feed, a bare CR and a NUL are refused at sight', () => {
    expect([statusOf('GET /a HTTP/1.1\n'), statusOf('GET /a\rx'), statusOf('GET\0')]).toEqual([400, 400, 400]);
  });
});

test('the longest request of VMware’s own client is read', () => {
  const result = read(`GET /${'%3F'.repeat(1023)} HTTP/1.1\r\n\r\n`);
  expect(result).toMatchObject({ state: 'request', request: { path: `/${'?'.repeat(1023)}` }, end: 3087 });
});

const headText = fc.oneof(
  fc.constantFrom(
    'GET /a HTTP/1.1\r\n\r\n',
    'GET /a%20b/é?q HTTP/1.1\r\nHost: h\r\nRange: bytes=0-1\r\n\r\nGET /next HTTP/1.1\r\n\r\n',
    '\r\nGET / HTTP/1.0\r\n\r\n',
    'GET /a HTTP/1.1\r\nX: y\r\n folded\r\n\r\n',
    'PUT /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc',
  ),
  fc
    .array(
      fc.constantFrom('GET', ' ', '/', 'a', '%2e', '%', '\r\n', '\r', '\n', '\0', 'HTTP/1.1', ':', 'Host', 'é', '?'),
      {
        maxLength: 40,
      },
    )
    .map((parts) => parts.join('')),
);

test('however it is split, a head is read alike', () => {
  fc.assert(
    fc.property(headText, fc.array(fc.nat(120), { maxLength: 12 }), (text, cuts) => {
      const bytes = Buffer.from(text);
      expect(readInPieces(bytes, cuts)).toEqual(readRequestHead(bytes, bytes.length));
      expect(readInPieces(bytes, [...bytes.keys()])).toEqual(readRequestHead(bytes, bytes.length));
    }),
    { numRuns: 2000 },
  );
});

test('no bytes bring it to throw, and what it reads is one of the answers that there are', () => {
  const known = new Set([400, 405, 413, 414, 431, 501, 505]);
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc
      .uint8Array({ maxLength: 60 })
      .map((middle) => Buffer.concat([Buffer.from('GET /'), middle, Buffer.from(' HTTP/1.1\r\n\r\n')])),
  );
  fc.assert(
    fc.property(bytes, (raw) => {
      const result = read(raw);
      if (result.state === 'refused') expect(known).toContain(result.refusal.status);
      if (result.state === 'request') {
        expect(result.request.path).toMatch(/^\//);
        expect(result.request.path).not.toContain('\0');
        expect(Buffer.byteLength(result.request.path)).toBeLessThanOrEqual(1024);
      }
    }),
    { numRuns: 5000 },
  );
});

test('a path that is escaped as VMware’s own client does comes out as it went in', () => {
  const path = fc.string({ unit: 'grapheme', maxLength: 80 }).filter((text) => !/[\0\r\n]/.test(text));
  fc.assert(
    fc.property(path, (text) => {
      const escaped = text.replace(/[ %?]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
      expect(pathOf(`/${escaped}`)).toBe(`/${text}`);
    }),
    { numRuns: 1000 },
  );
});

test('a line for the log is short and printable', () => {
  const line = Buffer.from('GET /\x1b[2J\u00e9 HTTP/1.1\r\nSecret: x\r\n\r\n');
  expect(printableLine(line, line.length)).toBe('GET /\\x1b[2J\\xc3\\xa9 HTTP/1.1');
  expect(printableLine(Buffer.from('a'.repeat(9000)), 9000)).toHaveLength(256);
});
