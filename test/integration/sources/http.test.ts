import { expect, onTestFinished, test } from 'vitest';
import { createFetchHttp, type FetchHttpOptions } from '../../../src/sources/http.ts';
import type { HttpAnswer, HttpJob } from '../../../src/sources/types.ts';
import { collect } from '../../support/collect.ts';
import { patternOf, startHttpServer } from '../../support/http-server.ts';

const plenty = 1024 * 1024 * 1024;
const never = new AbortController().signal;
const text = Buffer.from('hello\n');
const monday = 'Mon, 05 Jan 2026 10:00:00 GMT';

async function start(options: FetchHttpOptions = {}) {
  const server = await startHttpServer();
  const fetchHttp = createFetchHttp({ allowLoopback: true, patience: { resumes: 20, delay: 1 }, ...options });
  onTestFinished(async () => {
    await fetchHttp[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });
  const get = (path: string, job: Partial<HttpJob> = {}, signal = never) =>
    fetchHttp({ url: server.url(path), known: undefined, maxSize: plenty, ...job }, signal);
  return { server, get, fetchHttp };
}

function bytesOf(answer: HttpAnswer): Promise<Buffer> {
  if (answer.outcome === 'unchanged') throw new Error('unchanged');
  return collect(answer.bytes);
}

const read = async (answer: Promise<HttpAnswer>) => bytesOf(await answer);

test('a file arrives with its size and ETag, asked for without a coding', async () => {
  const { server, get } = await start();
  server.serve('/a', { body: text, etag: '"one"' });
  const answer = await get('/a?signature=1');
  expect(answer).toMatchObject({ outcome: 'fetched', sourceRevision: '"one"', size: text.length });
  expect(await bytesOf(answer)).toEqual(text);
  expect(server.requests).toMatchObject([{ path: '/a?signature=1', headers: { 'accept-encoding': 'identity' } }]);
});

test('an empty file and one of unannounced size arrive', async () => {
  const { server, get } = await start();
  server.serve('/empty', { body: 0 });
  server.serve('/chunked', { body: 700_000, chunked: true });
  expect(await read(get('/empty'))).toHaveLength(0);
  const answer = await get('/chunked');
  expect(answer).toMatchObject({ size: undefined, sourceRevision: '' });
  expect((await bytesOf(answer)).equals(patternOf(0, 700_000))).toBe(true);
});

test('a revision that is still current is not sent again', async () => {
  const { server, get } = await start();
  server.serve('/tag', { body: text, etag: '"one"' });
  server.serve('/date', { body: text, lastModified: monday });
  expect(await get('/tag', { known: '"one"' })).toEqual({ outcome: 'unchanged' });
  expect(await get('/date', { known: monday })).toEqual({ outcome: 'unchanged' });
  expect(await get('/tag', { known: '"old"' })).toMatchObject({ outcome: 'fetched', sourceRevision: '"one"' });
  expect(server.requests.map(({ status }) => status)).toEqual([304, 304, 200]);
});

test('a 304 that nobody asked for is trouble, not "unchanged"', async () => {
  const { server, get } = await start();
  server.serve('/a', { status: 304 });
  await expect(get('/a')).rejects.toMatchObject({ code: 'SourceUnavailable' });
});

test.each([
  { status: 404, code: 'SourceNotFound' },
  { status: 410, code: 'SourceNotFound' },
  { status: 401, code: 'SourceRefused' },
  { status: 403, code: 'SourceRefused' },
  { status: 500, code: 'SourceUnavailable' },
  { status: 206, code: 'SourceUnavailable' },
])('an answer $status is $code and repeats nothing of the server', async ({ status, code }) => {
  const { server, get } = await start();
  server.serve('/a', { status });
  const failure = get('/a?token=hidden');
  await expect(failure).rejects.toMatchObject({ code, message: expect.stringContaining(`${status}`) });
  await expect(failure).rejects.not.toThrow(/hidden|secret/);
  await expect(failure).rejects.toThrow(`http source ${server.url('/a')}: `);
});

test('429 carries how long to wait', async () => {
  const { server, get } = await start();
  server.serve('/a', { status: 429, headers: { 'retry-after': '7' } });
  await expect(get('/a')).rejects.toMatchObject({ code: 'SourceUnavailable', retryAfter: 7000 });
});

test('an announced size above the limit is refused before the body', async () => {
  const { server, get } = await start();
  server.serve('/a', { body: 2000 });
  await expect(get('/a', { maxSize: 1999 })).rejects.toMatchObject({ code: 'TooLarge' });
  expect(await read(get('/a', { maxSize: 2000 }))).toHaveLength(2000);
});

test('an unannounced size above the limit ends the transfer', async () => {
  const { server, get } = await start();
  server.serve('/a', { body: 50_000_000, chunked: true });
  const answer = await get('/a', { maxSize: 100_000 });
  let received = 0;
  const drain = async () => {
    if (answer.outcome === 'unchanged') return;
    for await (const chunk of answer.bytes) received += chunk.length;
  };
  await expect(drain()).rejects.toMatchObject({ code: 'TooLarge' });
  expect(received).toBeLessThanOrEqual(100_000);
});

test('what a server sends beyond the size that it announced is not content', async () => {
  const { server, get } = await start();
  server.serve('/a', { body: 1000, announce: 600 });
  server.serve('/b', { body: text });
  expect((await read(get('/a'))).equals(patternOf(0, 600))).toBe(true);
  expect(await read(get('/b'))).toEqual(text);
});

test('a coded body is refused', async () => {
  const { server, get } = await start();
  server.serve('/a', { body: text, gzip: true });
  await expect(get('/a')).rejects.toMatchObject({ code: 'SourceRefused' });
});

test('five redirects are followed, six are not', async () => {
  const { server, get } = await start();
  for (let hop = 1; hop <= 6; hop++) server.serve(`/${hop}`, { redirect: `/${hop - 1}`, status: 301 + (hop % 2) });
  server.serve('/0', { body: text, etag: '"end"' });
  expect(await get('/5')).toMatchObject({ sourceRevision: '"end"' });
  await expect(get('/6')).rejects.toMatchObject({
    code: 'SourceRefused',
    message: expect.stringMatching(/more than 5/),
  });
});

test.each([
  { redirect: '/a', why: /circle/ },
  { redirect: '/b', why: /circle/ },
  { redirect: 'file:///etc/passwd', why: /must be http or https/ },
  { redirect: 'http://user:pass@localhost/', why: /must not carry/ },
  { redirect: 'http://169.254.169.254/latest/meta-data', why: /may not reach/ },
])('a redirect to $redirect is refused', async ({ redirect, why }) => {
  const { server, get } = await start();
  server.serve('/a', { redirect });
  server.serve('/b', { redirect: '/a' });
  const failure = get('/a');
  await expect(failure).rejects.toMatchObject({ code: 'SourceRefused', message: expect.stringMatching(why) });
  await expect(failure).rejects.not.toThrow(/passwd|pass@|169\.254/);
});

test('a transfer that breaks is taken up where it broke', async () => {
  const { server, get } = await start();
  server.serve('/a', { body: 1_000_000, etag: '"one"', ranges: true, cutAfter: [300_000, 1, 400_000] });
  expect((await read(get('/a'))).equals(patternOf(0, 1_000_000))).toBe(true);
  expect(server.requests.map(({ status, headers }) => [status, headers.range, headers['if-range']])).toEqual([
    [200, undefined, undefined],
    [206, 'bytes=300000-', '"one"'],
    [206, 'bytes=300001-', '"one"'],
    [206, 'bytes=700001-', '"one"'],
  ]);
});

test('a date long past is good enough to resume by', async () => {
  const { server, get } = await start();
  server.serve('/a', { body: 1000, lastModified: monday, ranges: true, cutAfter: [400] });
  expect((await read(get('/a'))).equals(patternOf(0, 1000))).toBe(true);
  expect(server.requests[1]?.headers['if-range']).toBe(monday);
});

test('a chunked transfer that breaks is taken up too, through the redirect that led to it', async () => {
  const { server, get } = await start();
  server.serve('/r', { redirect: '/a' });
  server.serve('/a', { body: 1000, chunked: true, etag: '"one"', ranges: true, cutAfter: [400] });
  expect((await read(get('/r'))).equals(patternOf(0, 1000))).toBe(true);
  expect(server.requests.map(({ path }) => path)).toEqual(['/r', '/a', '/r', '/a']);
});

test.each([
  { name: 'knows no ranges', behaviour: { etag: '"one"' }, requests: 2 },
  { name: 'has only a weak ETag', behaviour: { etag: 'W/"one"', ranges: true }, requests: 1 },
  { name: 'names no revision', behaviour: { ranges: true }, requests: 1 },
  {
    name: 'gives another range than asked for',
    behaviour: { etag: '"one"', ranges: true, headers: { 'content-range': 'bytes 399-998/1000' } },
    requests: 2,
  },
  {
    name: 'gives the range of a file of another size',
    behaviour: { etag: '"one"', ranges: true, headers: { 'content-range': 'bytes 400-1000/1001' } },
    requests: 2,
  },
])('a broken transfer fails when the server $name', async ({ behaviour, requests }) => {
  const { server, get } = await start();
  server.serve('/a', { body: 1000, cutAfter: [400], ...behaviour });
  await expect(read(get('/a'))).rejects.toMatchObject({ code: 'SourceUnavailable' });
  expect(server.requests).toHaveLength(requests);
});

test.each([
  { name: 'says so', now: { etag: '"two"' } },
  { name: 'gives a part of the new one all the same', now: { etag: '"one"', headers: { etag: '"two"' } } },
])('a file that changed between two parts is never mixed, when the server $name', async ({ now }) => {
  const { server, get } = await start();
  server.serve('/a', { body: 1000, etag: '"one"', ranges: true, cutAfter: [400] });
  const answer = await get('/a');
  if (answer.outcome === 'unchanged') throw new Error('unchanged');
  const iterator = answer.bytes[Symbol.asyncIterator]();
  await iterator.next();
  server.serve('/a', { body: Buffer.alloc(1000), ranges: true, ...now });
  const rest = async () => {
    while (!(await iterator.next()).done);
  };
  await expect(rest()).rejects.toMatchObject({
    code: 'SourceUnavailable',
    message: expect.stringMatching(/broke off half-way/),
  });
  expect(server.requests).toHaveLength(2);
});

test('a server that breaks every time is given up, sooner when nothing comes', async () => {
  const { server, get } = await start({ patience: { resumes: 5, delay: 1 } });
  server.serve('/drip', { body: 1000, etag: '"one"', ranges: true, cutAfter: Array(50).fill(10) });
  server.serve('/dry', { body: 1000, etag: '"one"', ranges: true, cutAfter: [10, ...Array(50).fill(0)] });
  await expect(read(get('/drip'))).rejects.toMatchObject({ code: 'SourceUnavailable' });
  expect(server.requests).toHaveLength(6);
  await expect(read(get('/dry'))).rejects.toMatchObject({ code: 'SourceUnavailable' });
  expect(server.requests).toHaveLength(6 + 4);
});

test('a server that stops sending is stalled, before the head and within the body', async () => {
  const { server, get } = await start({ stall: 200 });
  server.serve('/silent', { silent: true });
  server.serve('/half', { body: 1000, etag: '"one"', ranges: true, stallAfter: 400 });
  await expect(get('/silent')).rejects.toMatchObject({ code: 'SourceStalled' });
  await expect(read(get('/half'))).rejects.toMatchObject({ code: 'SourceStalled' });
});

test('hints of an answer to come are no answer', async () => {
  const { server, get } = await start({ stall: 1500, connectTimeout: 500 });
  server.serve('/a', { hinting: true });
  await expect(get('/a')).rejects.toMatchObject({ code: 'SourceStalled' });
});

test('a reader who takes his time does not make the source stalled', async () => {
  const { server, get } = await start({ stall: 200 });
  server.serve('/a', { body: 3_000_000 });
  const answer = await get('/a');
  if (answer.outcome === 'unchanged') throw new Error('unchanged');
  const iterator = answer.bytes[Symbol.asyncIterator]();
  const first = await iterator.next();
  // Longer than the stall and the second that undici's timers are coarse by; nothing else would show it.
  await new Promise((resolve) => setTimeout(resolve, 2500));
  let size = first.done ? 0 : first.value.length;
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) size += next.value.length;
  expect(size).toBe(3_000_000);
});

test('an abort ends a transfer, waiting or under way', async () => {
  const { server, get } = await start();
  server.serve('/silent', { silent: true });
  server.serve('/half', { body: 1000, stallAfter: 400 });
  const waiting = new AbortController();
  const pending = get('/silent', {}, waiting.signal);
  waiting.abort();
  await expect(pending).rejects.toMatchObject({ code: 'Aborted' });
  const running = new AbortController();
  const half = await get('/half', {}, running.signal);
  const rest = bytesOf(half);
  running.abort();
  await expect(rest).rejects.toMatchObject({ code: 'Aborted' });
  await expect(get('/half', {}, running.signal)).rejects.toMatchObject({ code: 'Aborted' });
});

test('nothing listening and a name that is not there are trouble that may pass', async () => {
  const { fetchHttp } = await start();
  const gone = await startHttpServer();
  const url = gone.url('/a');
  await gone[Symbol.asyncDispose]();
  const job = { known: undefined, maxSize: plenty };
  await expect(fetchHttp({ ...job, url }, never)).rejects.toMatchObject({
    code: 'SourceUnavailable',
    message: expect.stringContaining('ECONNREFUSED'),
  });
  await expect(fetchHttp({ ...job, url: 'http://nowhere.invalid/a' }, never)).rejects.toMatchObject({
    code: 'SourceUnavailable',
    message: expect.stringMatching(/ENOTFOUND|EAI_AGAIN/),
  });
});

test('loopback is refused by address, by name, and when a name turns out to mean it', async () => {
  let turn = 0;
  const { server, fetchHttp } = await start({
    allowLoopback: false,
    resolve: (_name, done) => done(null, [{ address: turn++ === 0 ? '127.0.0.1' : '169.254.169.254', family: 4 }]),
  });
  server.serve('/a', { body: text });
  for (const host of ['127.0.0.1', '[::1]', 'localhost', 'innocent.test', 'innocent.test']) {
    const job = { url: server.url('/a', host), known: undefined, maxSize: plenty };
    await expect(fetchHttp(job, never)).rejects.toMatchObject({
      code: 'SourceRefused',
      message: expect.stringMatching(/may not reach/),
    });
  }
  expect(turn).toBe(2);
  expect(server.requests).toEqual([]);
});
