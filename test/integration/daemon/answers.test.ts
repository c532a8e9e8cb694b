import { rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import type { Entry } from '../../../src/core/catalog.ts';
import { ask, bare, type DaemonUnderTest, noRules, noRulesDigest, startDaemon, vmRow } from '../../support/daemon.ts';
import { eventually } from '../../support/eventually.ts';
import { digestOf, type RevisionDraft, rulesOf } from '../../support/memory-store.ts';
import { openGuest } from '../../support/slow-guest.ts';

const large = Buffer.alloc(3 * 1024 * 1024 + 17, 'large ');

/** One VM, no rules, these entries. */
async function publish(
  under: DaemonUnderTest,
  entries: Record<string, Entry>,
  more: RevisionDraft = {},
): Promise<void> {
  under.store.publish({
    repositories: { 'fleet/main': { entries } },
    vms: { 'fleet/web-7': vmRow('web-7') },
    ruleSets: { [noRulesDigest]: noRules },
    ...more,
  });
  await under.daemon.settle();
}

test('a bare GET is answered byte for byte as VMware’s own client expects', async () => {
  await using under = await startDaemon({ now: () => Date.UTC(2026, 10, 23, 7, 6, 52) });
  await publish(under, { '/config/motd.txt': await under.store.put('hello') });

  for (const time of ['first, from disk', 'then, from memory']) {
    const { bytes, error } = await ask(under.socket('web-7'), bare('/config/motd.txt'));
    expect(bytes.toString('latin1'), time).toBe(
      [
        'HTTP/1.1 200 OK',
        'Date: Mon, 23 Nov 2026 07:06:52 GMT',
        'Server: VMGuestStore',
        'Accept-Ranges: bytes',
        'Content-Length: 5',
        'Content-Type: application/octet-stream',
        'Connection: close',
        '',
        'hello',
      ].join('\r\n'),
    );
    expect(error, time).toBeUndefined();
  }
});

test('contents of all sizes arrive whole', async () => {
  await using under = await startDaemon();
  const sizes = [0, 1, 65_536, 262_143, 262_144, 262_145, 1_500_000, 5_000_003];
  const contents = new Map(sizes.map((size) => [`/size/${size}`, Buffer.alloc(size, `${size}-`)]));
  const entries: Record<string, Entry> = {};
  for (const [path, bytes] of contents) entries[path] = await under.store.put(bytes);
  await publish(under, entries);

  for (const [path, bytes] of contents) {
    for (const time of ['first', 'again']) {
      const answer = await ask(under.socket('web-7'), bare(path));
      expect(answer.status, path).toBe(200);
      expect(answer.head).toContain(`Content-Length: ${bytes.length}\r\n`);
      expect(answer.body.equals(bytes), `${path} ${time}`).toBe(true);
    }
  }
});

test('rules and catalog decide, trouble is neither', async () => {
  await using under = await startDaemon();
  const file = await under.store.put('{}');
  const rules = rulesOf(['.*/vmtools-11/.*'], ['.*/secret/.*', '.*/vmtools-1[01]/.*']);
  await publish(
    under,
    {
      '/apps/vmtools-11/setup.bin': file,
      '/apps/vmtools-10/setup.bin': file,
      '/apps/metadata.json': file,
      '/apps/later.bin': { state: 'pending', claim: 'fleet/later' },
    },
    {
      vms: {
        'fleet/web-7': vmRow('web-7', { ruleSet: digestOf('rules') }),
        'fleet/off': vmRow('off', { enabled: false }),
        'fleet/nowhere': vmRow('nowhere', { repository: null }),
        'fleet/lawless': vmRow('lawless', { ruleSet: digestOf('no such rules') }),
        'fleet/twice': vmRow('twice', { refused: 'ChannelConflict: two VMs' }),
      },
      ruleSets: { [digestOf('rules')]: rules },
    },
  );
  const status = async (path: string, vm = 'web-7') => (await ask(under.socket(vm), bare(path))).status;

  expect(await status('/apps/vmtools-11/setup.bin')).toBe(200);
  expect(await status('/apps/vmtools-10/setup.bin')).toBe(403);
  expect(await status('/apps/secret/')).toBe(403);
  expect(await status('/apps/')).toBe(200);
  expect(await status('/apps/nothing')).toBe(404);
  expect(await status('/apps/later.bin')).toBe(503);
  expect(await status('/apps/%2e%2e/secret/x')).toBe(400);
  expect(await status('/apps//vmtools-11/setup.bin')).toBe(400);
  for (const vm of ['off', 'nowhere', 'lawless', 'twice']) {
    for (const path of ['/apps/vmtools-11/setup.bin', '/apps/secret/x', '/nothing']) {
      expect(await status(path, vm), `${vm} ${path}`).toBe(503);
    }
  }
});

test('what is refused is told so, with a length and an end', async () => {
  await using under = await startDaemon();
  await publish(under, {});
  const cases: [number, string][] = [
    [400, 'GET /a%00 HTTP/1.1\r\n\r\n'],
    [400, 'GET /a%ff HTTP/1.1\r\n\r\n'],
    [400, 'GET http://h/a HTTP/1.1\r\n\r\n'],
    [400, 'GET /a HTTP/1.1\r\nX: a\r\n b\r\n\r\n'],
    [405, 'DELETE /a HTTP/1.1\r\n\r\n'],
    [413, 'GET /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc'],
    [414, bare(`/${'a'.repeat(1024)}`)],
    [431, `GET /a HTTP/1.1\r\n${'X: y\r\n'.repeat(3000)}\r\n`],
    [501, 'BREW /a HTTP/1.1\r\n\r\n'],
    [505, 'GET /a HTTP/3.0\r\n\r\n'],
  ];
  for (const [status, request] of cases) {
    const answer = await ask(under.socket('web-7'), request);
    expect(answer.status, request.slice(0, 60)).toBe(status);
    expect(answer.head).toMatch(/\r\nContent-Length: 0\r\n(.*\r\n)*Connection: close\r\n\r\n$/);
    expect(answer.body).toHaveLength(0);
  }
});

test('fields and a query change nothing, and the connection is closed', async () => {
  await using under = await startDaemon();
  await publish(under, { '/a b': await under.store.put('with a blank') });
  const request = 'GET /a%20b?x=1 HTTP/1.1\r\nHost: h\r\nRange: bytes=0-0\r\nConnection: keep-alive\r\n\r\n';
  const answer = await ask(under.socket('web-7'), request);
  expect([answer.status, answer.body.toString()]).toEqual([200, 'with a blank']);
  expect(answer.head).toContain('Connection: close');
});

test('a client that has shut its sending side is served', async () => {
  await using under = await startDaemon();
  await publish(under, { '/large': await under.store.put(large) });
  const guest = await openGuest(under.socket('web-7'));
  guest.socket.end(bare('/large'));
  expect((await guest.finished).bytes.length).toBeGreaterThan(large.length);
});

test('a publish during a download changes nothing for it', async () => {
  await using under = await startDaemon();
  const before = Buffer.alloc(8 * 1024 * 1024, 'before ');
  const after = Buffer.alloc(8 * 1024 * 1024, 'after ');
  await publish(under, { '/agent': await under.store.put(before) });
  const guest = await openGuest(under.socket('web-7'));
  guest.socket.write(bare('/agent'));
  await guest.received(1024 * 1024);
  guest.socket.pause();

  await publish(under, { '/agent': await under.store.put(after) });
  guest.socket.resume();

  const { bytes } = await guest.finished;
  expect(bytes.subarray(bytes.indexOf('\r\n\r\n') + 4).equals(before)).toBe(true);
  expect((await ask(under.socket('web-7'), bare('/agent'))).body.equals(after)).toBe(true);
});

test('a removed item is served until its grace ends', async () => {
  let now = Date.UTC(2026, 10, 23, 12);
  await using under = await startDaemon({ now: () => now });
  const entry = await under.store.put('last words');
  await publish(under, { '/gone': { ...entry, state: 'retired', until: '2026-11-23T12:00:10Z' } });
  expect((await ask(under.socket('web-7'), bare('/gone'))).status).toBe(200);
  now += 10_000;
  expect((await ask(under.socket('web-7'), bare('/gone'))).status).toBe(404);
});

test.each([
  ['small', Buffer.from('good content')],
  ['large', large],
])(
  '%s content that is not of its digest is never sent, said so, and served again once it is well',
  async (_, bytes) => {
    await using under = await startDaemon({ limits: { heartbeat: 50 } });
    const entry = await under.store.put(bytes);
    const blob = under.store.blobPath(entry.digest);
    const wrong = Buffer.from(bytes);
    wrong[wrong.length - 1] = 0;
    await writeFile(blob, wrong);
    await publish(under, { '/a': entry });

    const answer = await ask(under.socket('web-7'), bare('/a'));

    expect([answer.status, answer.body.length]).toEqual([503, 0]);
    expect(answer.head).toContain('Retry-After: ');
    const { errors } = await eventually(() => under.store.acknowledged.findLast(({ errors }) => errors.length > 0));
    expect(errors).toMatchObject([{ code: 'DigestMismatch' }]);
    expect(errors[0]?.message).toContain(entry.digest);

    await under.store.put(bytes);
    await eventually(() => (under.store.acknowledged.at(-1)?.errors.length === 0 ? true : undefined));
    expect((await ask(under.socket('web-7'), bare('/a'))).body.equals(bytes)).toBe(true);
  },
);

test('content that is missing, or no file, is trouble', async () => {
  await using under = await startDaemon();
  const missing: Entry = { ...(await under.store.put('x')), digest: digestOf('never written') };
  await publish(under, { '/missing': missing });
  expect((await ask(under.socket('web-7'), bare('/missing'))).status).toBe(503);
  await under.daemon.settle();
  expect(under.store.acknowledged.at(-1)?.errors).toMatchObject([{ code: 'StoreCorrupt' }]);
});

test('content that changes after it was verified is looked at again', async () => {
  await using under = await startDaemon();
  const entry = await under.store.put(large);
  const blob = under.store.blobPath(entry.digest);
  await publish(under, { '/a': entry });
  expect((await ask(under.socket('web-7'), bare('/a'))).status).toBe(200);

  const wrong = Buffer.from(large);
  wrong[0] = 0;
  await writeFile(blob, wrong);
  // Even if its times are put back: ctime cannot be.
  await utimes(blob, 0, 0);
  expect((await ask(under.socket('web-7'), bare('/a'))).status).toBe(503);
});

test('a file that shrinks during a download ends it short, never padded', async () => {
  await using under = await startDaemon();
  const bytes = Buffer.alloc(8 * 1024 * 1024, 'shrinks ');
  const entry = await under.store.put(bytes);
  await publish(under, { '/a': entry });
  const guest = await openGuest(under.socket('web-7'));
  guest.socket.write(bare('/a'));
  await guest.received(100_000);
  guest.socket.pause();
  await truncate(under.store.blobPath(entry.digest), 4 * 1024 * 1024);
  guest.socket.resume();
  const received = await guest.finished;
  const body = received.bytes.subarray(received.bytes.indexOf('\r\n\r\n') + 4);
  expect(body.length).toBeLessThan(bytes.length);
  expect(body.equals(bytes.subarray(0, body.length))).toBe(true);
});

test('a file that is written to during a download is never sent whole; one that is removed is', async () => {
  await using under = await startDaemon();
  const bytes = Buffer.alloc(8 * 1024 * 1024, 'old ');
  const entry = await under.store.put(bytes);
  const blob = under.store.blobPath(entry.digest);
  await publish(under, { '/a': entry });
  const download = async (meanwhile: () => Promise<unknown>) => {
    const guest = await openGuest(under.socket('web-7'));
    guest.socket.write(bare('/a'));
    await guest.received(100_000);
    guest.socket.pause();
    await meanwhile();
    guest.socket.resume();
    const received = (await guest.finished).bytes;
    return received.subarray(received.indexOf('\r\n\r\n') + 4);
  };

  expect((await download(() => rm(blob))).equals(bytes)).toBe(true);
  await under.store.put(bytes);
  const mixed = await download(() => writeFile(blob, Buffer.alloc(bytes.length, 'new '), { flag: 'r+' }));
  expect(mixed.length).toBeLessThan(bytes.length);
});

test('a daemon that was there before its datastore waits, and opens no socket', async () => {
  await using under = await startDaemon();
  expect([under.daemon.sockets, unready(under)]).toEqual([0, ['datastore/default']]);
  expect(under.store.acknowledged.at(-1)).toMatchObject({ host: 'host-a', seq: 0, errors: [] });
  await publish(under, {});
  expect([under.daemon.sockets, unready(under)]).toEqual([1, []]);
  expect(under.store.acknowledged.at(-1)?.seq).toBe(1);
});

/** Names of what keeps the daemon from being ready. */
function unready({ daemon }: DaemonUnderTest): readonly string[] {
  return daemon.ready.filter(({ trouble }) => trouble() !== undefined).map(({ name }) => name);
}
