import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { connectByteStream } from '../../../src/guest/byte-stream.ts';
import type { Channel } from '../../../src/guest/channel.ts';
import { listenOnPipe } from '../../../src/guest/pipe.ts';
import { createServe } from '../../../src/guest/serve-client.ts';
import { silent } from '../../../src/lib/log.ts';
import { eventually } from '../../support/eventually.ts';
import { testFolder } from '../../support/folder.ts';
import { connectRaw } from '../../support/raw-client.ts';

/** A listener with room for one connection that it has not accepted; a line on its input makes it accept all. */
async function startLazyListener(path: string): Promise<{ accept(): void }> {
  const program = `
import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(0); print("listening", flush=True)
sys.stdin.readline(); held = []
while True: held.append(s.accept())`;
  const listener = spawn('python3', ['-c', program, path], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(async () => {
    listener.kill();
    await once(listener, 'exit');
  });
  await once(listener.stdout, 'data');
  return { accept: () => void listener.stdin.write('\n') };
}

test('a connect to a full queue waits for its turn', async () => {
  const path = join(await testFolder(), 'lazy');
  const listener = await startLazyListener(path);
  const never = new AbortController();
  const first = await connectByteStream(path, never.signal);
  let connected = false;
  const second = connectByteStream(path, never.signal).then((stream) => {
    connected = true;
    return stream;
  });
  // Node itself gives up at once, which shows that the queue is full.
  await expect(connectRaw(path)).rejects.toMatchObject({ code: 'EAGAIN' });
  expect(connected).toBe(false);
  listener.accept();
  (await second).close();
  first.close();
});

test('waiting for a full queue ends with the signal', async () => {
  const path = join(await testFolder(), 'lazy');
  await startLazyListener(path);
  const stop = new AbortController();
  const first = await connectByteStream(path, stop.signal);
  const second = connectByteStream(path, stop.signal);
  stop.abort(new Error('enough'));
  await expect(second).rejects.toThrow('enough');
  first.close();
});

test('a host that is not reached in time closes the client and drops the others', async () => {
  const unreachable: Channel = {
    connect: (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  };
  const serve = createServe(unreachable, { receive: 60_000, connect: 50, inactivity: 60_000 }, silent, Date.now);
  const clients: Socket[] = [];
  const path = join(await testFolder(), 'vmware', 'pipe');
  const pipe = await listenOnPipe(path, false, (client) => clients.push(client));
  onTestFinished(() => pipe[Symbol.asyncDispose]());
  const { socket, answer } = await connectRaw(path);
  socket.write('GET /a HTTP/1.1\r\n\r\n');
  const client = await eventually(() => clients[0]);
  expect(await serve(client)).toBe('drop');
  client.destroy();
  expect((await answer).text).toBe('');
  socket.destroy();
});
