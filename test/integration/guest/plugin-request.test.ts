import { expect, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { startTestPlugin } from '../../support/plugin.ts';
import { askRaw, connectRaw } from '../../support/raw-client.ts';
import { hostHead, type Script } from '../../support/scripted-channel.ts';

const hello: Script = (_, socket) => void socket.end(`${hostHead('200 OK', 5)}hello`);

const request = 'GET /a HTTP/1.1\r\n\r\n';

test('content has exactly the head of the real plugin, and the connection ends after its last byte', async () => {
  const { pipe } = await startTestPlugin(hello);
  const { text, end } = await askRaw(pipe, request);
  expect(text).toMatch(
    /^HTTP\/1\.1 200 OK\r\nDate: (Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r\nServer: VMGuestStore\r\nAccept-Ranges: bytes\r\nContent-Length: 5\r\nContent-Type: application\/octet-stream\r\nConnection: close\r\n\r\nhello$/,
  );
  expect(text).toHaveLength(178 + 5);
  expect(end).toBe('end');
});

test.each([
  ['403 Forbidden', 0],
  ['404 Not Found', 0],
  ['403 Whatever', 7],
])('%s of the host is passed on, without a body', async (status, length) => {
  const { pipe } = await startTestPlugin((_, socket) => void socket.end(hostHead(status, length) + 'x'.repeat(length)));
  const { text, end } = await askRaw(pipe, request);
  const words = status.startsWith('403') ? '403 Forbidden' : '404 Not Found';
  expect(text).toMatch(
    new RegExp(
      `^HTTP/1\\.1 ${words}\\r\\nDate: .{29}\\r\\nServer: VMGuestStore\\r\\nAccept-Ranges: bytes\\r\\nContent-Length: 0\\r\\n` +
        'Content-Type: application/octet-stream\\r\\nConnection: close\\r\\n\\r\\n$',
    ),
  );
  expect(end).toBe('end');
});

test('no content is a 200 without a byte behind its head', async () => {
  const { pipe } = await startTestPlugin((_, socket) => void socket.end(hostHead('200 OK', 0)));
  const { text, end } = await askRaw(pipe, request);
  expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n.*Content-Length: 0\r\n.*\r\n\r\n$/s);
  expect(end).toBe('end');
});

test.each([
  ['POST /a HTTP/1.1\r\n\r\n'],
  ['get /a HTTP/1.1\r\n\r\n'],
  ['\r\nGET /a HTTP/1.1\r\n\r\n'],
  ['GET /%00 HTTP/1.1\r\n\r\n'],
  ['GET /a% HTTP/1.1\r\n\r\n'],
  ['GET http://h/a HTTP/1.1\r\n\r\n'],
  [`GET /${'p'.repeat(1024)} HTTP/1.1\r\n\r\n`],
  ['x'.repeat(4095)],
  [`GET /a HTTP/1.1\r\nX: ${'x'.repeat(4096 - 24)}\r\n\r\n`],
  ['x'.repeat(200_000)],
])('a bad request (case %#) is closed at once, without a word, and the host is not asked', async (bad) => {
  const { pipe, host } = await startTestPlugin(hello);
  const { text } = await askRaw(pipe, bad);
  expect(text).toBe('');
  expect((await askRaw(pipe, 'GET /b HTTP/1.1\r\n\r\n')).text).toMatch(/hello$/);
  expect(host.requests).toEqual(['GET /b HTTP/1.1\r\n\r\n']);
});

test('4,095 bytes of request are served', async () => {
  const { pipe } = await startTestPlugin(hello);
  const start = 'GET /a HTTP/1.1\r\nX: ';
  const { text } = await askRaw(pipe, `${start}${'x'.repeat(4095 - start.length - 4)}\r\n\r\n`);
  expect(text).toMatch(/hello$/);
});

test('a request may come in pieces', async () => {
  const { pipe } = await startTestPlugin(hello);
  const { socket, answer } = await connectRaw(pipe);
  for (const byte of request) await new Promise((resolve) => socket.write(byte, resolve));
  expect((await answer).text).toMatch(/hello$/);
  socket.destroy();
});

test('a client that has sent its request may close its half', async () => {
  const { pipe } = await startTestPlugin(hello);
  const { socket, answer } = await connectRaw(pipe);
  socket.end(request);
  expect(await answer).toEqual({ text: expect.stringMatching(/hello$/), end: 'end' });
});

test('a client that closes its half too early is closed at once, not by the timer', async () => {
  const { pipe, host } = await startTestPlugin(hello, { clientRecvTimeout: 1000 });
  const { socket, answer } = await connectRaw(pipe);
  socket.end('GET /a HTTP/1.1\r\n');
  expect(await answer).toEqual({ text: '', end: 'end' });
  expect(host.requests).toEqual([]);
  socket.destroy();
});

test('what a client sends after its request is ignored', async () => {
  const { pipe, host } = await startTestPlugin(async (_, socket) => {
    socket.write(hostHead('200 OK', 5));
    await eventually(() => late || undefined);
    socket.end('hello');
  });
  let late = false;
  const { socket, answer } = await connectRaw(pipe);
  socket.write(request);
  await eventually(() => host.requests.length === 1 || undefined);
  socket.write('GET /b HTTP/1.1\r\n\r\n', () => {
    late = true;
  });
  expect((await answer).text).toMatch(/hello$/);
  expect(host.requests).toEqual([request]);
  socket.destroy();
});

test('the path reaches the host byte for byte, unnormalised', async () => {
  const { pipe, host } = await startTestPlugin(hello);
  await askRaw(pipe, 'GET /../a//b%20%25%3F\xff\r\n%C3%A9+/ HTTP/1.1\r\n\r\n');
  expect(host.requests).toEqual(['GET /../a//b%20%25%3F%FF%0D%0A%C3%A9%2B/ HTTP/1.1\r\n\r\n']);
});
