import { createHash } from 'node:crypto';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { testFolder } from '../../support/folder.ts';
import { type Guest, type GuestOptions, startGuest } from '../../support/guest.ts';
import { hostHead, type Script, type ScriptedChannel, startScriptedChannel } from '../../support/scripted-channel.ts';

// VMware's own client library and command, through our plugin, to a host that we script.

const isRoot = process.geteuid?.() === 0;
const nobody = 65534;
const program = [process.execPath, 'src/main.ts'];

const sha256 = (bytes: string | Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

interface Setting {
  readonly guest: Guest;
  readonly host: ScriptedChannel;
  /** For output; everybody may write there. */
  readonly folder: string;
}

async function setUp(script: Script, options: Partial<GuestOptions> = {}): Promise<Setting> {
  const folder = await testFolder();
  await chmod(folder, 0o777);
  const host = await startScriptedChannel(join(folder, 'host'), script);
  onTestFinished(() => host[Symbol.asyncDispose]());
  await chmod(join(folder, 'host'), 0o777);
  const guest = await startGuest({ channel: host.channel, program, ...options });
  onTestFinished(() => guest.stop());
  return { guest, host, folder };
}

/** Answers with the path that was asked for, as it came over the wire. */
const echo: Script = (target, socket) => void socket.end(hostHead('200 OK', target.length) + target);

const answers: Record<string, string> = {
  '/empty': hostHead('200 OK', 0),
  '/hello': `${hostHead('200 OK', 5)}hello`,
  '/denied': hostHead('403 Forbidden', 0),
  '/missing': hostHead('404 Not Found', 0),
  '/trouble': hostHead('503 Service Unavailable', 0),
  '/refused': hostHead('400 Bad Request', 0),
  '/short': `${hostHead('200 OK', 10)}hello`,
  '/long': `${hostHead('200 OK', 5)}hello!`,
};
const table: Script = (target, socket) => void socket.end(answers[target] ?? hostHead('404 Not Found', 0));

test("VMware's library and our getcontent return the same code for every answer", async () => {
  const { guest, folder } = await setUp(table);
  const cases = [
    ['/hello', 0],
    ['/empty', 0],
    ['/denied', 15],
    ['/missing', 16],
    ['/trouble', 12],
    ['/refused', 12],
    ['/short', 12],
    ['/long', 12],
    ['relative', 4],
    ['', 4],
    [`/${'x'.repeat(1024)}`, 4],
  ] as const;
  for (const [path, code] of cases) {
    const theirs = await guest.getContent(path, join(folder, 'theirs'));
    const ours = await guest.run([...program, 'getcontent', path, join(folder, 'ours')]);
    expect([path, theirs.code, ours.code]).toEqual([path, code, code]);
  }
});

test('content arrives byte for byte: nothing, a little', async () => {
  const { guest, folder } = await setUp(table);
  const file = join(folder, 'file');
  expect(await guest.getContent('/empty', file)).toMatchObject({ code: 0, bytes: 0, sha256: sha256('') });
  expect(await guest.getContent('/hello', file)).toEqual({
    code: 0,
    name: 'GSLIBERR_SUCCESS',
    contentSize: 5,
    bytes: 5,
    sha256: sha256('hello'),
    errno: 0,
  });
});

/** Sends `mebibytes` of them, each different, and gives the digest of all. */
function large(mebibytes: number): { readonly script: Script; readonly digest: () => string } {
  const block = Buffer.alloc(1_048_576);
  for (let n = 0; n < block.length; n += 1) block[n] = (n * 31) % 253;
  const numbered = (n: number): Buffer => {
    const copy = Buffer.from(block);
    copy.writeUInt32BE(n);
    return copy;
  };
  return {
    script: async (_, socket) => {
      socket.write(hostHead('200 OK', mebibytes * block.length));
      for (let n = 0; n < mebibytes; n += 1) await new Promise((resolve) => socket.write(numbered(n), resolve));
      socket.end();
    },
    digest: () => {
      const hash = createHash('sha256');
      for (let n = 0; n < mebibytes; n += 1) hash.update(numbered(n));
      return hash.digest('hex');
    },
  };
}

test('200 MiB arrive byte for byte', async () => {
  const { script, digest } = large(200);
  const { guest, folder } = await setUp(script);
  const report = await guest.getContent('/large', join(folder, 'file'));
  expect(report).toMatchObject({ code: 0, contentSize: 209_715_200, bytes: 209_715_200, sha256: digest() });
});

test('600 MiB go through the plugin in flat memory', async () => {
  const { script } = large(600);
  const { guest } = await setUp(script);
  const peak = async (): Promise<number> =>
    Number(/VmHWM:\s+(\d+) kB/.exec(await readFile(`/proc/${guest.pluginPid}/status`, 'utf8'))?.[1]) / 1024;
  await guest.run([...program, 'getcontent', '/small', '/dev/null']);
  const before = await peak();
  const { code, stderr } = await guest.run([...program, 'getcontent', '/large', '/dev/null']);
  expect([code, stderr]).toEqual([0, '']);
  expect((await peak()) - before).toBeLessThan(30);
});

test.each([
  ['/a b/c%d?e=f'],
  ['/'],
  ['/dir/'],
  ['/../../etc//passwd'],
  ['/ünï/日本語.bin'],
  ['/x#y+z&q"<>|\\'],
  ['/line\r\nend\t'],
  [`/${'%'.repeat(1023)}`],
  [`/${'?'.repeat(1023)}`],
  [Buffer.from([0x2f, 0xff, 0xfe, 0x80, 0x20, 0x01])],
])('the path reaches the host byte for byte (case %#)', async (path) => {
  const { guest, host, folder } = await setUp(echo);
  const report = await guest.getContent(path, join(folder, 'file'));
  expect(report.code).toBe(0);
  const target = host.requests[0]?.split(' ')[1] ?? '';
  const decoded = Buffer.from(
    target.replace(/%(..)/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
  expect(decoded.equals(Buffer.from(path))).toBe(true);
});

test('of ten clients at once eight are served, and two are turned away', async () => {
  const release = Promise.withResolvers<void>();
  const { guest, folder } = await setUp(async (target, socket) => {
    await release.promise;
    echo(target, socket);
  });
  const running = Array.from({ length: 10 }, (_, n) => guest.getContent(`/${n}`, join(folder, `file-${n}`)));
  await eventually(() => guest.log().split('client turned away').length > 2 || undefined);
  release.resolve();
  const codes = (await Promise.all(running)).map(({ code }) => code).sort((a, b) => a - b);
  expect(codes.slice(0, 8)).toEqual(Array.from({ length: 8 }, () => 0));
  for (const code of codes.slice(8)) expect([13, 14]).toContain(code);
});

test('a client that cancels gets code 18, and the next one is served', async () => {
  const { guest, host, folder } = await setUp((target, socket) =>
    target === '/large' ? large(50).script(target, socket) : echo(target, socket),
  );
  const report = await guest.getContent('/large', join(folder, 'file'), { cancelAfter: 1_000_000 });
  expect(report).toMatchObject({ code: 18, bytes: 0 });
  expect(await guest.getContent('/next', join(folder, 'file'))).toMatchObject({ code: 0, sha256: sha256('/next') });
  await eventually(() => host.open() === 0 || undefined);
});

test('a stopped plugin leaves its socket: code 9, and 8 where there never was one', async () => {
  const { guest, folder } = await setUp(table);
  const file = join(folder, 'file');
  expect(await guest.stopPlugin()).toBe(0);
  const codes = async (): Promise<(number | null)[]> => [
    (await guest.getContent('/hello', file)).code,
    (await guest.run([...program, 'getcontent', '/hello', file])).code,
  ];
  expect(await codes()).toEqual([9, 9]);
  await guest.run(['rm', '/run/vmware/guestStorePipe']);
  expect(await codes()).toEqual([8, 8]);
});

test('a host that is away gives code 12, and does not spoil a file of ours', async () => {
  const { guest, host, folder } = await setUp(table);
  await host[Symbol.asyncDispose]();
  const file = join(folder, 'file');
  await writeFile(file, 'before');
  expect((await guest.getContent('/hello', file)).code).toBe(12);
  expect((await guest.run([...program, 'getcontent', '/hello', file])).code).toBe(12);
  expect(await readFile(file, 'utf8')).toBe('before');
});

test("VMware's command fetches, says what it fetched, and exits with the library's code", async () => {
  const { guest, folder } = await setUp(table);
  const file = join(folder, 'file');
  const got = await guest.toolbox('/hello', file);
  expect(got).toMatchObject({ code: 0, stdout: expect.stringMatching(/Content size in bytes: 5\n.*100%.*succeeded/s) });
  expect(await readFile(file, 'utf8')).toBe('hello');
  expect((await guest.toolbox('"/hello"', `"${file}"`)).code).toBe(0);
  expect((await guest.toolbox('/denied', file)).code).toBe(15);
  expect((await guest.toolbox('/missing', file)).code).toBe(16);
  expect((await guest.toolbox('/trouble', file)).code).toBe(12);
});

test('several guests live side by side, each with its own host', async () => {
  const settings = await Promise.all(
    ['one', 'two', 'three'].map(async (name) => ({
      name,
      ...(await setUp((_, socket) => void socket.end(hostHead('200 OK', name.length) + name))),
    })),
  );
  await Promise.all(
    settings.map(async ({ name, guest, folder }) => {
      expect(await guest.getContent('/who', join(folder, 'file'))).toMatchObject({ code: 0, sha256: sha256(name) });
    }),
  );
  await expect(stat('/run/vmware/guestStorePipe')).rejects.toMatchObject({ code: 'ENOENT' });
});

test('wrong usage of our command is code 64, with a line that says what', async () => {
  const { guest } = await setUp(table);
  for (const args of [[], ['/hello'], ['/hello', 'file', 'more'], ['--no-such', '/hello', 'file']]) {
    const { code, stderr } = await guest.run([...program, 'getcontent', ...args]);
    expect([args, code]).toEqual([args, 64]);
    expect(stderr).toMatch(/^gueststore getcontent: .+\n$/);
  }
});

test.runIf(isRoot)('any user of the guest may fetch', async () => {
  const { guest, folder } = await setUp(table);
  expect((await guest.getContent('/hello', join(folder, 'file'), { user: nobody })).code).toBe(0);
  const ours = await guest.run([...program, 'getcontent', '/hello', join(folder, 'ours')], { user: nobody });
  expect(ours).toMatchObject({ code: 0, stderr: '' });
});

test.runIf(isRoot)('with --admin-only others get code 10', async () => {
  const { guest, folder } = await setUp(table, { pluginArguments: ['--admin-only'] });
  expect((await guest.getContent('/hello', join(folder, 'theirs'), { user: nobody })).code).toBe(10);
  const ours = await guest.run([...program, 'getcontent', '/hello', join(folder, 'ours')], { user: nobody });
  expect(ours.code).toBe(10);
  expect((await guest.getContent('/hello', join(folder, 'file'))).code).toBe(0);
});

test.runIf(isRoot)('a plugin of another user than root is not trusted: code 11, and it is sent nothing', async () => {
  const { guest, host, folder } = await setUp(table);
  await guest.stopPlugin();
  await guest.run(['chown', '-R', `${nobody}`, '/run/vmware']);
  const impostor = guest.run([...program, 'plugin', '--channel', host.channel], { user: nobody });
  await eventually(async () => {
    const theirs = await guest.getContent('/hello', join(folder, 'theirs'));
    return theirs.code === 11 || undefined;
  });
  expect((await guest.run([...program, 'getcontent', '/hello', join(folder, 'ours')])).code).toBe(11);
  expect(host.requests).toEqual([]);
  await guest.stop();
  await impostor;
});

test.runIf(isRoot)('a guest of an unprivileged user works alike', async () => {
  const { guest, folder } = await setUp(table, { user: nobody });
  expect(await guest.getContent('/hello', join(folder, 'file'))).toMatchObject({ code: 0, sha256: sha256('hello') });
  expect((await guest.getContent('/denied', join(folder, 'denied'))).code).toBe(15);
  expect((await guest.toolbox('/hello', join(folder, 'toolbox'))).code).toBe(0);
  expect((await guest.run([...program, 'getcontent', '/hello', join(folder, 'ours')])).code).toBe(0);
});
