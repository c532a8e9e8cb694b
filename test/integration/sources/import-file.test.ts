import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdir, mkdtemp, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { openImport } from '../../../src/sources/import-file.ts';
import type { OpenImport } from '../../../src/sources/types.ts';
import { collect } from '../../support/collect.ts';
import { patternOf } from '../../support/http-server.ts';

const never = new AbortController().signal;

/** An import folder, and beside it a place that must stay out of reach. */
async function folders() {
  const base = await mkdtemp(join(tmpdir(), 'gueststore-import-'));
  onTestFinished(() => rm(base, { recursive: true, force: true }));
  const [folder, outside] = [join(base, 'import'), join(base, 'import-outside')];
  await mkdir(join(folder, 'agents'), { recursive: true });
  await mkdir(outside);
  await writeFile(join(outside, 'secret'), 'secret');
  return { folder, outside };
}

const read = async (folder: string, path: string) => collect((await openImport(folder, path, never)).bytes);
const source: OpenImport = openImport;
const open = (folder: string, path: string) => source(folder, path, never);

test('a file arrives whole, with its size and a revision that an edit changes', async () => {
  const { folder } = await folders();
  const file = join(folder, 'agents', 'a.bin');
  await writeFile(file, patternOf(0, 300_000));
  const first = await open(folder, 'agents/a.bin');
  expect(first.size).toBe(300_000);
  expect((await collect(first.bytes)).equals(patternOf(0, 300_000))).toBe(true);
  expect((await open(folder, 'agents/a.bin')).sourceRevision).toBe(first.sourceRevision);
  await utimes(file, 1, 1);
  expect((await open(folder, 'agents/a.bin')).sourceRevision).not.toBe(first.sourceRevision);
});

test('an empty file arrives empty', async () => {
  const { folder } = await folders();
  await writeFile(join(folder, 'empty'), '');
  expect(await read(folder, 'empty')).toHaveLength(0);
});

test('links within the folder are followed, as a mounted ConfigMap has them, also across its swap', async () => {
  const { folder } = await folders();
  for (const version of ['one', 'two']) {
    await mkdir(join(folder, `..${version}`));
    await writeFile(join(folder, `..${version}`, 'motd'), version);
  }
  await symlink('..one', join(folder, '..data'));
  await symlink('..data/motd', join(folder, 'motd'));
  expect((await read(folder, 'motd')).toString()).toBe('one');
  await symlink('..two', join(folder, '..tmp'));
  await rename(join(folder, '..tmp'), join(folder, '..data'));
  expect((await read(folder, 'motd')).toString()).toBe('two');
});

test('the import folder may itself be a link', async () => {
  const { folder } = await folders();
  await writeFile(join(folder, 'a'), 'a');
  await symlink(folder, `${folder}-link`);
  expect((await read(`${folder}-link`, 'a')).toString()).toBe('a');
});

test.each(['', '/etc/passwd', '../import-outside/secret', 'agents/../a', './a', 'agents//a', 'agents/', 'a\0b'])(
  'the path %j is refused',
  async (path) => {
    const { folder } = await folders();
    await writeFile(join(folder, 'a'), 'a');
    await expect(open(folder, path)).rejects.toMatchObject({ code: 'SourceRefused' });
  },
);

test('links that lead out are refused, whether of a file, a folder on the way, or to a folder with the same beginning', async () => {
  const { folder, outside } = await folders();
  await symlink(join(outside, 'secret'), join(folder, 'absolute'));
  await symlink('../import-outside/secret', join(folder, 'relative'));
  await symlink(outside, join(folder, 'way'));
  for (const path of ['absolute', 'relative', 'way/secret']) {
    const failure = open(folder, path);
    await expect(failure).rejects.toMatchObject({ code: 'SourceRefused', message: expect.stringMatching(/leads out/) });
    await expect(failure).rejects.not.toThrow(folder);
  }
});

test('what is no regular file is refused at once', async () => {
  const { folder } = await folders();
  await promisify(execFile)('mkfifo', [join(folder, 'fifo')]);
  await symlink('loop', join(folder, 'loop'));
  const server = createServer().listen(join(folder, 'socket'));
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  for (const path of ['fifo', 'socket', 'agents', 'loop'])
    await expect(open(folder, path)).rejects.toMatchObject({ code: 'SourceRefused' });
});

test('what is not there is not found, and a missing import folder is trouble', async () => {
  const { folder } = await folders();
  await writeFile(join(folder, 'a'), 'a');
  await symlink('nowhere', join(folder, 'dangling'));
  for (const path of ['b', 'a/b', 'dangling'])
    await expect(open(folder, path)).rejects.toMatchObject({ code: 'SourceNotFound' });
  const failure = open(`${folder}-gone`, 'a');
  await expect(failure).rejects.toMatchObject({
    code: 'SourceUnavailable',
    message: expect.stringMatching(/ENOENT.*--import-dir/),
  });
});

const size = 1_000_000;
test.each([
  { change: 'appended to', act: (file: string) => appendFile(file, 'more') },
  { change: 'cut', act: (file: string) => writeFile(file, patternOf(0, size - 1)) },
  {
    change: 'written over, its size and time kept',
    act: async (file: string) => {
      const { atime, mtime } = await stat(file);
      await writeFile(file, Buffer.alloc(size));
      await utimes(file, atime, mtime);
    },
  },
  {
    change: 'replaced',
    act: async (file: string) => {
      await writeFile(`${file}.new`, Buffer.alloc(size));
      await rename(`${file}.new`, file);
    },
  },
])('a file that is $change while it is read gives no mix', async ({ act }) => {
  const { folder } = await folders();
  const file = join(folder, 'a');
  await writeFile(file, patternOf(0, size));
  const failure = { code: 'SourceUnavailable', message: expect.stringMatching(/changed while it was read/) };

  const begun = (await open(folder, 'a')).bytes[Symbol.asyncIterator]();
  const waiting = (await open(folder, 'a')).bytes;
  await begun.next();
  await act(file);
  const rest = async () => {
    while (!(await begun.next()).done);
  };
  await expect(rest()).rejects.toMatchObject(failure);
  await expect(collect(waiting)).rejects.toMatchObject(failure);
});

/** Makes a folder's `agents` a link to the outside and a folder again, as fast as it can, until it is killed. */
const swapper = `
  const { renameSync } = require('node:fs');
  process.chdir(process.argv[1]);
  process.stdout.write('ready');
  for (;;) {
    const until = performance.now() + Math.random() / 2;
    while (performance.now() < until);
    renameSync('agents', 'kept');
    renameSync('evil', 'agents');
    const back = performance.now() + Math.random() / 2;
    while (performance.now() < back);
    renameSync('agents', 'evil');
    renameSync('kept', 'agents');
  }`;

test('a folder on the way that becomes a link while the file is opened never leads out', async () => {
  const { folder, outside } = await folders();
  await writeFile(join(folder, 'agents', 'a'), 'inside');
  await writeFile(join(outside, 'a'), 'out of reach');
  await symlink(outside, join(folder, 'evil'));
  const child = spawn(process.execPath, ['-e', swapper, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(async () => {
    const closed = once(child, 'close');
    child.kill('SIGKILL');
    await closed;
  });
  await once(child.stdout, 'data');
  const seen = new Set<string>();
  for (let turn = 0; turn < 3000; turn++)
    seen.add(
      await open(folder, 'agents/a').then(
        ({ size }) => `${size} bytes`,
        ({ code }) => String(code),
      ),
    );
  expect(seen).toContain('6 bytes');
  expect(seen).toContain('SourceRefused');
  expect(seen).not.toContain('12 bytes');
});

test('an abort ends the reading and leaves no file open', async () => {
  const { folder } = await folders();
  await writeFile(join(folder, 'a'), patternOf(0, size));
  const stop = new AbortController();
  const { bytes } = await openImport(folder, 'a', stop.signal);
  stop.abort();
  await expect(collect(bytes)).rejects.toMatchObject({ code: 'Aborted' });
});
