import { chmod, chown, mkdir, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { listenOnPipe, type Pipe } from '../../../src/guest/pipe.ts';
import { testFolder } from '../../support/folder.ts';
import { connectRaw } from '../../support/raw-client.ts';

async function listen(path: string, adminOnly = false): Promise<Pipe> {
  const pipe = await listenOnPipe(path, adminOnly, (client) => client.destroy());
  onTestFinished(() => pipe[Symbol.asyncDispose]());
  return pipe;
}

const modeOf = async (path: string): Promise<string> => ((await stat(path)).mode & 0o7777).toString(8);

test.each([
  [false, '1777'],
  [true, '755'],
])('with adminOnly %s the socket has mode %s, whatever the umask', async (adminOnly, mode) => {
  const path = join(await testFolder(), 'vmware', 'pipe');
  const umask = process.umask(0o077);
  onTestFinished(() => void process.umask(umask));
  await listen(path, adminOnly);
  expect(await modeOf(path)).toBe(mode);
  expect(await modeOf(dirname(path))).toBe('755');
});

test.each([
  [0o700, '755'],
  [0o777, '755'],
  [0o2770, '2755'],
  [0o755, '755'],
])('a folder of mode %o gets mode %s', async (before, after) => {
  const folder = join(await testFolder(), 'vmware');
  await mkdir(folder);
  await chmod(folder, before);
  await listen(join(folder, 'pipe'));
  expect(await modeOf(folder)).toBe(after);
});

test('a folder that everybody shares is refused and keeps its mode', async () => {
  const folder = join(await testFolder(), 'tmp');
  await mkdir(folder);
  await chmod(folder, 0o1777);
  await expect(listen(join(folder, 'pipe'))).rejects.toMatchObject({
    code: 'ChannelRefused',
    message: expect.stringContaining('a folder of its own'),
  });
  expect(await modeOf(folder)).toBe('1777');
});

test.runIf(process.geteuid?.() === 0)('a folder of another user is refused', async () => {
  const folder = join(await testFolder(), 'vmware');
  await mkdir(folder);
  await chown(folder, 65534, 65534);
  await expect(listen(join(folder, 'pipe'))).rejects.toMatchObject({
    code: 'ChannelRefused',
    message: expect.stringContaining('belongs to user 65534'),
  });
});

test('the socket file stays behind, refuses connections then, and makes way for the next plugin', async () => {
  const path = join(await testFolder(), 'vmware', 'pipe');
  const first = await listen(path);
  await first[Symbol.asyncDispose]();
  expect((await stat(path)).isSocket()).toBe(true);
  await expect(connectRaw(path)).rejects.toMatchObject({ code: 'ECONNREFUSED' });

  await listen(path);
  const client = await connectRaw(path);
  expect((await client.answer).end).toBe('end');
  client.socket.destroy();
});

test('a plugin that stops leaves the socket of its successor alone', async () => {
  const path = join(await testFolder(), 'vmware', 'pipe');
  const first = await listen(path);
  await listen(path);
  await first[Symbol.asyncDispose]();
  const client = await connectRaw(path);
  expect((await client.answer).end).toBe('end');
  client.socket.destroy();
});

test.each([
  ['a file', (path: string) => writeFile(path, 'precious')],
  ['a folder', (path: string) => mkdir(path)],
  ['a link', (path: string) => symlink('elsewhere', path)],
])('%s in the place of the socket is left alone', async (_, make) => {
  const folder = join(await testFolder(), 'vmware');
  await mkdir(folder);
  await make(join(folder, 'pipe'));
  await expect(listen(join(folder, 'pipe'))).rejects.toMatchObject({
    code: 'ChannelRefused',
    message: expect.stringContaining('no socket'),
  });
});

test('a path that is too long for a socket, or has no parent, is refused with the reason', async () => {
  const folder = await testFolder();
  await expect(listen(join(folder, 'x'.repeat(100)))).rejects.toMatchObject({
    code: 'InvalidArgument',
    message: expect.stringContaining('at most 107'),
  });
  await expect(listen(join(folder, 'no', 'vmware', 'pipe'))).rejects.toMatchObject({
    code: 'ChannelRefused',
    message: expect.stringContaining('ENOENT'),
  });
});
