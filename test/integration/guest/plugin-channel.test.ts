import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { startTestPlugin } from '../../support/plugin.ts';
import { askRaw, connectRaw } from '../../support/raw-client.ts';
import { hostHead } from '../../support/scripted-channel.ts';

const request = 'GET /a HTTP/1.1\r\n\r\n';

test.each([
  ['503', hostHead('503 Service Unavailable', 0)],
  ['400', hostHead('400 Bad Request', 0)],
  ['500 with a body', `${hostHead('500 Internal Server Error', 4)}oops`],
  ['206', `${hostHead('206 Partial Content', 5)}hello`],
  ['301', hostHead('301 Moved Permanently', 0)],
  ['HTTP/1.0', 'HTTP/1.0 404 Not Found\r\n\r\n'],
  ['garbage', 'garbage\r\n\r\n'],
  ['half a head', 'HTTP/1.1 404 Not Found\r\n'],
  ['nothing at all', ''],
  ['no length', 'HTTP/1.1 200 OK\r\n\r\nhello'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello'],
  ['a length that is no number', 'HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello'],
  ['chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'],
  ['an endless head', `HTTP/1.1 404 Not Found\r\nX: ${'x'.repeat(20_000)}`],
])('trouble on the channel (%s) is a silent close, never an answer', async (_, bytes) => {
  const { pipe, host } = await startTestPlugin((_target, socket) => void socket.end(bytes));
  expect(await askRaw(pipe, request)).toEqual({ text: '', end: 'end' });
  await eventually(() => host.open() === 0 || undefined);
});

test('a host that ends too early gives a close in the body, never padding', async () => {
  const { pipe } = await startTestPlugin((_, socket) => void socket.end(`${hostHead('200 OK', 10)}hello`));
  const { text, end } = await askRaw(pipe, request);
  expect(text).toMatch(/Content-Length: 10\r\n.*\r\n\r\nhello$/s);
  expect(end).toBe('end');
});

test('a host that breaks off gives a close in the body', async () => {
  const { pipe } = await startTestPlugin((_, socket) => {
    socket.write(`${hostHead('200 OK', 10)}hello`, () => socket.destroy());
  });
  expect((await askRaw(pipe, request)).text).toMatch(/\r\n\r\nhello$/);
});

test('a piece with more bytes than were announced is not passed on', async () => {
  const { pipe, host } = await startTestPlugin((_, socket) => void socket.write(`${hostHead('200 OK', 5)}hello!`));
  expect((await askRaw(pipe, request)).text).toMatch(/Content-Length: 5\r\n.*\r\n\r\n$/s);
  await eventually(() => host.open() === 0 || undefined);
});

test('surplus in a later piece takes only that piece', async () => {
  let passOn = (): void => {};
  const { pipe } = await startTestPlugin((_, socket) => {
    socket.write(`${hostHead('200 OK', 10)}hello`);
    passOn = () => socket.write('world!');
  });
  const { socket, answer } = await connectRaw(pipe);
  socket.write(request);
  await eventually(() => socket.bytesRead >= 179 + 5 || undefined);
  passOn();
  expect((await answer).text).toMatch(/\r\n\r\nhello$/);
  socket.destroy();
});

test('head and body may come byte by byte', async () => {
  const { pipe } = await startTestPlugin(async (_, socket) => {
    for (const byte of `${hostHead('200 OK', 5)}hello`) await new Promise((resolve) => socket.write(byte, resolve));
    socket.end();
  });
  expect((await askRaw(pipe, request)).text).toMatch(/\r\n\r\nhello$/);
});

test('the channel connection is closed as soon as the content is whole, without waiting for the host', async () => {
  const { pipe, host } = await startTestPlugin((_, socket) => void socket.write(`${hostHead('200 OK', 5)}hello`));
  expect((await askRaw(pipe, request)).text).toMatch(/hello$/);
  await eventually(() => host.open() === 0 || undefined);
});

test('a client that vanishes in mid-answer ends the channel connection, and the next is served', async () => {
  const { pipe, host } = await startTestPlugin((target, socket) => {
    socket.write(hostHead('200 OK', target === '/big' ? 50_000_000 : 5));
    socket.write(target === '/big' ? Buffer.alloc(50_000_000) : 'hello');
  });
  const { socket } = await connectRaw(pipe);
  socket.write('GET /big HTTP/1.1\r\n\r\n');
  await eventually(() => socket.bytesRead > 100_000 || undefined);
  socket.destroy();
  expect((await askRaw(pipe, request)).text).toMatch(/hello$/);
  await eventually(() => host.open() === 0 || undefined);
});

test('a client that takes nothing holds the host back, and gets every byte when it goes on', async () => {
  const block = Buffer.from(Array.from({ length: 10_007 }, (_, n) => (n * 31) % 251));
  const blocks = 2000;
  let handedOver = 0;
  const { pipe } = await startTestPlugin(async (_, socket) => {
    socket.write(hostHead('200 OK', blocks * block.length));
    for (let n = 0; n < blocks; n += 1) {
      await new Promise((resolve) => socket.write(block, resolve));
      handedOver += block.length;
    }
  });
  const socket = connect({ path: pipe });
  socket.write(request);
  socket.pause();
  await settled(() => handedOver);
  expect(handedOver).toBeGreaterThan(0);
  // What went is what the buffers of two sockets hold.
  expect(handedOver).toBeLessThan(2_000_000);

  const answer = Buffer.concat(await Array.fromAsync(socket));
  const expected = Buffer.concat(Array.from({ length: blocks }, () => block));
  expect(answer.subarray(answer.indexOf('\r\n\r\n') + 4).equals(expected)).toBe(true);
});

/** Resolves when `value` has stayed the same for a while, having changed at least once. */
async function settled(value: () => number): Promise<void> {
  let last = value();
  let same = 0;
  await eventually(() => {
    const now = value();
    same = now === last && now > 0 ? same + 1 : 0;
    last = now;
    return same >= 10 || undefined;
  });
}
