import { spawnSync } from 'node:child_process';
import { chmod, mkdir, open, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { type GetContentOptions, runGetContent } from '../../../src/cli/getcontent.ts';
import type { Io } from '../../../src/cli/io.ts';
import { eventually } from '../../support/eventually.ts';
import { testFolder } from '../../support/folder.ts';
import { startTestPlugin } from '../../support/plugin.ts';
import { type Script, startScriptedChannel } from '../../support/scripted-channel.ts';

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function collector(isTTY: boolean) {
  let written = '';
  const stream = new Writable({
    write: (part, _, done) => {
      written += part;
      done();
    },
  });
  return { stream: Object.assign(stream, { isTTY }), written: () => written };
}

async function run(
  options: GetContentOptions,
  { terminal = false, signal = new AbortController().signal }: { terminal?: boolean; signal?: AbortSignal } = {},
): Promise<Ran> {
  const stdout = collector(terminal);
  const stderr = collector(terminal);
  const io: Io = { stdout: stdout.stream, stderr: stderr.stream, signal };
  const code = await runGetContent(options, io);
  return { code, stdout: stdout.written(), stderr: stderr.written() };
}

/** The socket of a plugin whose answers are made by `script`, and a folder for output. */
async function scriptedPipe(script: Script) {
  const folder = await testFolder();
  const host = await startScriptedChannel(join(folder, 'pipe'), script);
  onTestFinished(() => host[Symbol.asyncDispose]());
  const output = join(folder, 'output');
  await mkdir(output);
  return { pipe: join(folder, 'pipe'), host, output, file: join(output, 'file') };
}

const answering =
  (bytes: string): Script =>
  (_, socket) =>
    void socket.end(Buffer.from(bytes, 'latin1'));

test.each([
  ['content', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello', 0, 'hello'],
  ['no content', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 0, ''],
  ['a length without digits', 'HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n', 0, ''],
  ['forbidden', 'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n', 15, undefined],
  ['forbidden, with a body', 'HTTP/1.1 403 No\r\nContent-Length: 7\r\n\r\nsecrets', 15, undefined],
  ['not found', 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n', 16, undefined],
  ['another status', 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n', 17, undefined],
  ['another version', 'HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello', 17, undefined],
  ['no length', 'HTTP/1.1 200 OK\r\n\r\nhello', 17, undefined],
  ['a head without an end', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(70_000)}`, 17, undefined],
  ['more than announced', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!', 17, undefined],
  ['nothing', '', 12, undefined],
  ['half a head', 'HTTP/1.1 403 Forbidden\r\n', 12, undefined],
  ['line feeds only', 'HTTP/1.1 200 OK\nContent-Length: 5\n\nhello', 12, undefined],
  ['half a body', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello', 12, undefined],
])('the answer is %s', async (_, bytes, code, content) => {
  const { pipe, file, output } = await scriptedPipe(answering(bytes));
  const ran = await run({ contentPath: '/a', file, pipe });
  expect(ran.code).toBe(code);
  expect(ran.stdout).toBe('');
  if (code === 0) {
    expect(await readFile(file, 'utf8')).toBe(content);
    expect(ran.stderr).toBe('');
  } else {
    expect(ran.stderr).toMatch(new RegExp(`^gueststore getcontent "/a": .*\\(code ${code}\\)\\. .*\\n$`));
  }
  // Neither a part of it nor a file to be renamed.
  expect(await readdir(output)).toEqual(code === 0 ? ['file'] : []);
});

test.each([
  ['forbidden', 'HTTP/1.1 403 Forbidden\r\n\r\n'],
  ['cut short', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello'],
  ['too long', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!'],
])('a file that was there stays untouched when the answer is %s', async (_, bytes) => {
  const { pipe, file, output } = await scriptedPipe(answering(bytes));
  await writeFile(file, 'before');
  expect((await run({ contentPath: '/a', file, pipe })).code).not.toBe(0);
  expect(await readFile(file, 'utf8')).toBe('before');
  expect(await readdir(output)).toEqual(['file']);
});

const hello = answering('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello');

test('a file that was there is replaced and keeps its mode; a link to it stays a link', async () => {
  const { pipe, file, output } = await scriptedPipe(hello);
  await writeFile(file, 'before');
  await chmod(file, 0o640);
  const link = join(output, 'link');
  await symlink('file', link);
  expect((await run({ contentPath: '/a', file: link, pipe })).code).toBe(0);
  expect(await readFile(file, 'utf8')).toBe('hello');
  expect((await stat(file)).mode & 0o777).toBe(0o640);
  expect(await readlink(link)).toBe('file');
});

test('a device is written to and stays what it is', async () => {
  const { pipe } = await scriptedPipe(hello);
  expect((await run({ contentPath: '/a', file: '/dev/null', pipe })).code).toBe(0);
  expect((await stat('/dev/null')).isCharacterDevice()).toBe(true);
});

test.each([
  ['a missing folder', 'no/file'],
  ['a folder', '.'],
])('output that cannot be created (%s) is code 6', async (_, name) => {
  const { pipe, output } = await scriptedPipe(hello);
  const ran = await run({ contentPath: '/a', file: join(output, name), pipe });
  expect(ran.code).toBe(6);
  expect(ran.stderr).toMatch(/cannot create .*(ENOENT|EISDIR)/);
});

test('output that cannot be written is code 7, also when it is small', async () => {
  const { pipe } = await scriptedPipe(hello);
  const ran = await run({ contentPath: '/a', file: '/dev/full', pipe });
  expect(ran.code).toBe(7);
  expect(ran.stderr).toContain('ENOSPC');
});

test.each([['relative'], [''], [`/${'x'.repeat(1024)}`], [`/${'é'.repeat(512)}`]])(
  'a path that VMware does not send (case %#) is code 4, and nobody is asked',
  async (contentPath) => {
    const { pipe, file, host } = await scriptedPipe(hello);
    expect((await run({ contentPath, file, pipe })).code).toBe(4);
    expect(host.requests).toEqual([]);
  },
);

test('1,024 bytes of path are sent, and three bytes escaped', async () => {
  const { pipe, file, host } = await scriptedPipe(hello);
  expect((await run({ contentPath: `/ %?é#+${'x'.repeat(1016)}`, file, pipe })).code).toBe(0);
  expect(host.requests).toEqual([`GET /%20%25%3F\xc3\xa9#+${'x'.repeat(1016)} HTTP/1.1\r\n\r\n`]);
});

test('no output name is code 4', async () => {
  const { pipe } = await scriptedPipe(hello);
  expect((await run({ contentPath: '/a', file: '', pipe })).code).toBe(4);
});

test('no socket is code 8, a stale one code 9', async () => {
  const { pipe, stop } = await startTestPlugin(hello);
  const file = join(await testFolder(), 'file');
  const none = await run({ contentPath: '/a', file, pipe: `${pipe}-none` });
  expect(none.code).toBe(8);
  expect(none.stderr).toMatch(/ENOENT.*gueststore plugin/);
  await stop();
  expect((await run({ contentPath: '/a', file, pipe })).code).toBe(9);
});

test('a plugin that turns clients away gives code 13 or 14', async () => {
  const { pipe } = await startTestPlugin(hello, { maxConnections: 0 });
  const file = join(await testFolder(), 'file');
  for (let n = 0; n < 10; n += 1) expect([13, 14]).toContain((await run({ contentPath: '/a', file, pipe })).code);
});

test('through the plugin trouble of the host is code 12, and decisions are 15 and 16', async () => {
  const statuses: Record<string, string> = { '/503': '503 Service Unavailable', '/403': '403 No', '/404': '404 No' };
  const { pipe } = await startTestPlugin((target, socket) => {
    socket.end(`HTTP/1.1 ${statuses[target]}\r\nContent-Length: 0\r\n\r\n`);
  });
  const file = join(await testFolder(), 'file');
  const codes: number[] = [];
  for (const contentPath of ['/503', '/403', '/404']) codes.push((await run({ contentPath, file, pipe })).code);
  expect(codes).toEqual([12, 15, 16]);
});

test('with a channel the host is asked directly, everything unusual escaped', async () => {
  const { pipe, host, file } = await scriptedPipe(hello);
  expect((await run({ contentPath: '/a b\n', file, channel: `unix:${pipe}` })).code).toBe(0);
  expect(host.requests).toEqual(['GET /a%20b%0A HTTP/1.1\r\n\r\n']);
});

test('pipe and channel together, or a channel of no known kind, are wrong usage', async () => {
  const file = join(await testFolder(), 'file');
  const bad = [{ pipe: '/p', channel: 'unix:/c' }, { channel: '/c' }, { channel: 'unix:' }, { channel: 'tcp:h:1' }];
  for (const given of bad) {
    await expect(run({ contentPath: '/a', file, ...given })).rejects.toMatchObject({ code: 'InvalidArgument' });
  }
  await expect(run({ contentPath: '/a', file, channel: 'vsock:2:1024' })).rejects.toMatchObject({
    code: 'NotSupportedYet',
  });
});

test('a cancelled download is code 18 and leaves nothing', async () => {
  const { pipe, file, output } = await scriptedPipe((_, socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello');
  });
  const stop = new AbortController();
  const running = run({ contentPath: '/a', file, pipe }, { signal: stop.signal });
  await eventually(async () => (await readdir(output)).length === 1 || undefined);
  stop.abort();
  expect((await running).code).toBe(18);
  expect(await readdir(output)).toEqual([]);
});

test('progress is for terminals', async () => {
  const { pipe, file } = await scriptedPipe(
    answering(`HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n${'x'.repeat(1_048_576)}`),
  );
  const ran = await run({ contentPath: '/a', file, pipe }, { terminal: true });
  expect(ran.stdout).toBe('');
  expect(ran.stderr).toMatch(/^(\r *\d+ % {2}\d\.\d of 1\.0 MiB)*\r100 % {2}1\.0 of 1\.0 MiB\n$/);
  expect((await run({ contentPath: '/a', file, pipe })).stderr).toBe('');
});

test('a FIFO gets the content as it comes', async () => {
  const { pipe, output } = await scriptedPipe(hello);
  const fifo = join(output, 'fifo');
  spawnSync('mkfifo', [fifo]);
  const reading = open(fifo, 'r').then((handle) => text(handle.createReadStream()));
  expect((await run({ contentPath: '/a', file: fifo, pipe })).code).toBe(0);
  expect(await reading).toBe('hello');
});
