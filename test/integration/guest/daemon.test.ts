import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { noRules, noRulesDigest, startDaemon, vmRow } from '../../support/daemon.ts';
import { testFolder } from '../../support/folder.ts';
import { type Guest, startGuest } from '../../support/guest.ts';
import { digestOf, rulesOf } from '../../support/memory-store.ts';

// VMware's client, our plugin, and our own daemon at the other end of the channel.

const hexDigest = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');

/** One host with three VMs: `web-1` may read everything, `web-2` what lies below /open/, `web-3` is switched off. */
async function setUp() {
  const under = await startDaemon();
  onTestFinished(() => under[Symbol.asyncDispose]());
  const { store } = under;
  const big = randomBytes(20_000_001);
  const openOnly = digestOf('open only');
  store.publish({
    repositories: {
      'fleet/main': {
        entries: {
          '/open/hello': await store.put('hello'),
          '/open/empty': await store.put(''),
          '/open/big': await store.put(big),
          '/open/dir/metadata.json': await store.put('{}'),
          '/open/with space 100% é?#+': await store.put('odd'),
          '/open/later': { state: 'pending', claim: 'fleet/later' },
          '/closed/secret': await store.put('secret'),
        },
      },
    },
    vms: {
      'fleet/web-1': vmRow('web-1'),
      'fleet/web-2': vmRow('web-2', { ruleSet: openOnly }),
      'fleet/web-3': vmRow('web-3', { enabled: false }),
    },
    ruleSets: { [noRulesDigest]: noRules, [openOnly]: rulesOf(['/open/.*'], ['.*']) },
  });
  await under.daemon.settle();
  const folder = await testFolder();
  const guest = async (vm: string): Promise<Guest> => {
    const started = await startGuest({ channel: `unix:${under.socket(vm)}` });
    onTestFinished(() => started.stop());
    return started;
  };
  return { under, big, folder, guest };
}

test("VMware's client gets what its VM may have, and the code for all else", async () => {
  const { big, folder, guest } = await setUp();
  const [one, two, three] = await Promise.all([guest('web-1'), guest('web-2'), guest('web-3')]);
  const fetch = async (from: Guest, path: string): Promise<string | number> => {
    const { code, sha256 } = await from.getContent(path, join(folder, 'file'));
    return code === 0 ? String(sha256) : code;
  };
  const cases = [
    [one, '/open/hello', hexDigest('hello')],
    [one, '/open/empty', hexDigest('')],
    [one, '/open/big', hexDigest(big)],
    [one, '/open/dir/', hexDigest('{}')],
    [one, '/open/with space 100% é?#+', hexDigest('odd')],
    [one, '/closed/secret', hexDigest('secret')],
    [one, '/open/missing', 16],
    [one, '/open/later', 12],
    [one, '/open/../closed/secret', 12],
    [one, '//open/hello', 12],
    [two, '/open/hello', hexDigest('hello')],
    [two, '/closed/secret', 15],
    [two, '/closed/missing', 15],
    [two, '/open/missing', 16],
    [three, '/open/hello', 12],
  ] as const;
  for (const [from, path, expected] of cases) expect([path, await fetch(from, path)]).toEqual([path, expected]);
  const notUtf8 = await one.getContent(Buffer.from('/open/\xff', 'latin1'), join(folder, 'file'));
  expect(notUtf8.code).toBe(12);
});

test("our getcontent says the same over the plugin's pipe and straight over the channel, where trouble has words", async () => {
  const { under, folder, guest } = await setUp();
  const two = await guest('web-2');
  const channel = `--channel=unix:${under.socket('web-2')}`;
  const ours = async (path: string, ...flags: string[]) => {
    const { code, stderr } = await two.run([
      ...[process.execPath, 'src/main.ts', 'getcontent', path, join(folder, 'file')],
      ...flags,
    ]);
    return { code, stderr };
  };
  for (const flags of [[], [channel]]) {
    expect(await ours('/open/hello', ...flags)).toEqual({ code: 0, stderr: '' });
    expect(await readFile(join(folder, 'file'), 'utf8')).toBe('hello');
    expect((await ours('/closed/secret', ...flags)).code).toBe(15);
    expect((await ours('/open/missing', ...flags)).code).toBe(16);
  }
  expect((await ours('/open/later')).code).toBe(12);
  const straight = await ours('/open/later', channel);
  expect(straight.code).toBe(17);
  expect(straight.stderr).toContain('503 Service Unavailable');
});

test('a daemon that has stopped is trouble, not an answer', async () => {
  const { under, folder, guest } = await setUp();
  const one = await guest('web-1');
  const file = join(folder, 'file');
  expect((await one.getContent('/open/hello', file)).code).toBe(0);
  await under.daemon.stop();
  expect((await one.getContent('/open/hello', file)).code).toBe(12);
});
