import type { Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { startTestPlugin } from '../../support/plugin.ts';
import { askRaw, connectRaw, type RawClient } from '../../support/raw-client.ts';
import { hostHead, type Script, startScriptedChannel } from '../../support/scripted-channel.ts';

const hello: Script = (_, socket) => void socket.end(`${hostHead('200 OK', 5)}hello`);
const get = (path: string): string => `GET ${path} HTTP/1.1\r\n\r\n`;

/** A host that answers when told to. */
function slowHost() {
  const held: { target: string; socket: Socket }[] = [];
  return {
    held,
    script: (target: string, socket: Socket) => void held.push({ target, socket }),
    answerNext: async (): Promise<string> => {
      const { target, socket } = await eventually(() => held.shift());
      socket.end(`${hostHead('200 OK', target.length)}${target}`);
      return target;
    },
  };
}

async function ask(pipe: string, path: string): Promise<RawClient> {
  const client = await connectRaw(pipe);
  client.socket.write(get(path));
  return client;
}

test('clients are served one at a time, in the order in which they came', async () => {
  const { held, script, answerNext } = slowHost();
  const { pipe, host } = await startTestPlugin(script);
  const clients: RawClient[] = [];
  for (const path of ['/1', '/2', '/3', '/4']) clients.push(await ask(pipe, path));
  for (const path of ['/1', '/2', '/3', '/4']) {
    await eventually(() => held.length > 0 || undefined);
    expect(host.open()).toBe(1);
    expect(await answerNext()).toBe(path);
  }
  for (const { answer } of clients) expect((await answer).end).toBe('end');
  expect(host.requests).toEqual(['/1', '/2', '/3', '/4'].map(get));
});

test.each([
  { maxConnections: 1, served: 1 },
  { maxConnections: 2, served: 2 },
  { maxConnections: 8, served: 8 },
  { maxConnections: 0, served: 0 },
  { maxConnections: -1, served: 12 },
])(
  'of 12 clients $served stay with maxConnections $maxConnections, the current one counted',
  async ({ maxConnections, served }) => {
    const { script, answerNext } = slowHost();
    const { pipe, lines } = await startTestPlugin(script, { maxConnections });
    const clients: RawClient[] = [];
    for (let n = 0; n < 12; n += 1) clients.push(await connectRaw(pipe));
    await eventually(() => lines.filter((line) => line.includes('turned away')).length === 12 - served || undefined);
    for (const { socket, answer } of clients.slice(served)) {
      expect((await answer).text).toBe('');
      socket.destroy();
    }
    for (const [n, { socket }] of clients.slice(0, served).entries()) socket.write(get(`/${n}`));
    for (const [n, { answer }] of clients.slice(0, served).entries()) {
      expect(await answerNext()).toBe(`/${n}`);
      expect((await answer).text).toMatch(new RegExp(`/${n}$`));
    }
  },
);

test('a client that is turned away with its request unread sees a reset', async () => {
  const { script } = slowHost();
  const { pipe, lines } = await startTestPlugin(script, { maxConnections: 0 });
  const ends = new Set<string>();
  for (let n = 0; n < 20; n += 1) ends.add((await askRaw(pipe, get('/a'))).end);
  // Which of the two depends on whether the request was sent before the close.
  expect([...ends].every((end) => end === 'ECONNRESET' || end === 'EPIPE')).toBe(true);
  expect(lines.filter((line) => line.includes('turned away'))).toHaveLength(20);
});

test('a place is free again once a client was served', async () => {
  const { pipe } = await startTestPlugin(hello, { maxConnections: 1 });
  for (let n = 0; n < 5; n += 1) expect((await askRaw(pipe, get('/a'))).text).toMatch(/hello$/);
});

test('the time for a request begins with the turn of the client, so that silent ones are cut one after another', async () => {
  const { pipe } = await startTestPlugin(hello, { clientRecvTimeout: 0.3 });
  const start = performance.now();
  const cut = async ({ answer, socket }: RawClient): Promise<number> => {
    expect(await answer).toEqual({ text: '', end: 'end' });
    socket.destroy();
    return performance.now() - start;
  };
  const clients = [await connectRaw(pipe), await connectRaw(pipe), await connectRaw(pipe)];
  const [first = 0, second = 0, third = 0] = await Promise.all(clients.map(cut));
  expect(first).toBeGreaterThan(290);
  expect(second).toBeGreaterThan(590);
  expect(third).toBeGreaterThan(890);
});

test('bytes that drip in do not prolong the time for a request', async () => {
  const { pipe } = await startTestPlugin(hello, { clientRecvTimeout: 0.3 });
  const { socket, answer } = await connectRaw(pipe);
  // It never ends by itself: with a timer that each byte restarts the test would hang.
  const drip = setInterval(() => socket.write('x'), 20);
  expect((await answer).text).toBe('');
  clearInterval(drip);
  socket.destroy();
});

test('one byte after the terminator makes a request that never ends', async () => {
  const { pipe, host, lines } = await startTestPlugin(hello, { clientRecvTimeout: 0.3 });
  expect((await askRaw(pipe, `${get('/a')}x`)).text).toBe('');
  expect(lines.join()).toContain('no whole request arrived within 300 ms');
  expect(host.requests).toEqual([]);
});

test('a waiting client is not read: its whole request waits in the kernel', async () => {
  const { script, answerNext } = slowHost();
  const { pipe, host } = await startTestPlugin(script);
  const first = await ask(pipe, '/1');
  const second = await ask(pipe, '/2');
  await eventually(() => host.requests.length === 1 || undefined);
  // More than socket and stream buffers hold: it could not be sent whole to a plugin that reads.
  let sent = false;
  second.socket.write(Buffer.alloc(4_000_000), () => {
    sent = true;
  });
  await answerNext();
  await first.answer;
  expect(sent).toBe(false);
  second.socket.destroy();
});

test('when nothing moves for the time of inactivity, client and channel are closed and the next is served', async () => {
  const { pipe, host } = await startTestPlugin(
    (target, socket) => (target === '/ok' ? hello(target, socket) : undefined),
    {
      connTimeout: 0.3,
    },
  );
  const stuck = await ask(pipe, '/stuck');
  const next = await ask(pipe, '/ok');
  expect(await stuck.answer).toEqual({ text: '', end: 'end' });
  expect((await next.answer).text).toMatch(/hello$/);
  await eventually(() => host.open() === 0 || undefined);
});

test('a client that takes nothing is inactive too', async () => {
  const { pipe, host } = await startTestPlugin(
    (_, socket) => {
      socket.write(hostHead('200 OK', 50_000_000));
      socket.write(Buffer.alloc(50_000_000));
    },
    { connTimeout: 0.3 },
  );
  const { socket } = await ask(pipe, '/big');
  socket.pause();
  await eventually(() => host.requests.length === 1 || undefined);
  await eventually(() => host.open() === 0 || undefined);
  socket.destroy();
});

test('an answer that is slow as a whole, but moves, is not cut', async () => {
  const { pipe } = await startTestPlugin(
    (_, socket) => {
      socket.write(hostHead('200 OK', 10));
      let sent = 0;
      const drip = setInterval(() => {
        socket.write('x');
        sent += 1;
        if (sent < 10) return;
        clearInterval(drip);
        socket.end();
      }, 100);
    },
    { connTimeout: 0.5 },
  );
  expect((await askRaw(pipe, get('/slow'))).text).toMatch(/\r\n\r\nx{10}$/);
});

test('without a host every client is closed, the waiting ones too, and the next is served when it is back', async () => {
  // No timer of theirs would close the silent ones within this test.
  const { pipe, host } = await startTestPlugin(hello, { clientRecvTimeout: 1000 });
  await host[Symbol.asyncDispose]();
  const first = await connectRaw(pipe);
  const waiting = [await connectRaw(pipe), await connectRaw(pipe)];
  first.socket.write(get('/a'));
  for (const { answer, socket } of [first, ...waiting]) {
    expect(await answer).toEqual({ text: '', end: 'end' });
    socket.destroy();
  }
  const back = await startScriptedChannel(host.channel.slice('unix:'.length), hello);
  onTestFinished(() => back[Symbol.asyncDispose]());
  expect((await askRaw(pipe, get('/b'))).text).toMatch(/hello$/);
});

test('stopping closes the current client, those that wait, and the channel', async () => {
  const { script } = slowHost();
  const { pipe, host, stop } = await startTestPlugin(script);
  const clients = [await ask(pipe, '/1'), await connectRaw(pipe), await connectRaw(pipe)];
  await eventually(() => host.requests.length === 1 || undefined);
  await stop();
  for (const { answer, socket } of clients) {
    expect(await answer).toEqual({ text: '', end: 'end' });
    socket.destroy();
  }
  await eventually(() => host.open() === 0 || undefined);
});

test('stopping cuts an answer that is under way', async () => {
  const { pipe, host, stop } = await startTestPlugin(
    (_, socket) => void socket.write(`${hostHead('200 OK', 10)}hello`),
  );
  const { answer, socket } = await ask(pipe, '/1');
  await eventually(() => socket.bytesRead > 178 || undefined);
  await stop();
  expect((await answer).text).toMatch(/\r\n\r\nhello$/);
  await eventually(() => host.open() === 0 || undefined);
  socket.destroy();
});
