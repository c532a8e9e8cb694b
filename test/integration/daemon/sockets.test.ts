import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { VmRow } from '../../../src/core/settings.ts';
import { ask, bare, type DaemonUnderTest, noRules, noRulesDigest, startDaemon, vmRow } from '../../support/daemon.ts';
import { eventually } from '../../support/eventually.ts';
import { createMemoryStore } from '../../support/memory-store.ts';
import { openGuest } from '../../support/slow-guest.ts';

const root = process.geteuid?.() === 0;

async function publish(under: DaemonUnderTest, vms: Record<string, VmRow>): Promise<void> {
  under.store.publish({
    repositories: { 'fleet/main': { entries: { '/small': await under.store.put('small') } } },
    vms,
    ruleSets: { [noRulesDigest]: noRules },
  });
  await under.daemon.settle();
}

function refusal(under: DaemonUnderTest, vm: string) {
  return under.store.acknowledged.at(-1)?.refused[vm];
}

function at(path: string, more: { uid?: number; gid?: number } = {}): Partial<VmRow> {
  return { channel: { kind: 'hybridUDS', path, port: 1024, ...more } };
}

test('a socket has mode 0660 and stands in folders through which others may only pass', async () => {
  await using under = await startDaemon();
  await publish(under, { 'fleet/web-7': vmRow('web-7', at('rack/web-7.vsock')) });
  const mode = async (path: string) => ((await stat(path)).mode & 0o7777).toString(8);
  expect(await mode(under.runDir)).toBe('755');
  expect(await mode(join(under.runDir, 'fleet'))).toBe('711');
  expect(await mode(join(under.runDir, 'fleet/rack'))).toBe('711');
  expect(await mode(join(under.runDir, 'fleet/rack/web-7.vsock_1024'))).toBe('660');
  expect(await readdir(join(under.runDir, 'fleet/rack'))).toEqual(['web-7.vsock_1024']);
});

test.runIf(root)('a socket belongs to whom the channel says, also when that changes', async () => {
  await using under = await startDaemon();
  const owner = async () => {
    const { uid, gid } = await stat(under.socket('web-7'));
    return [uid, gid];
  };
  await publish(under, { 'fleet/web-7': vmRow('web-7', at('web-7.vsock', { uid: 1234, gid: 5678 })) });
  expect(await owner()).toEqual([1234, 5678]);
  await publish(under, { 'fleet/web-7': vmRow('web-7', at('web-7.vsock', { uid: 4321, gid: 5678 })) });
  expect(await owner()).toEqual([4321, 5678]);
});

test('sockets come and go with their VMs, and leave others alone', async () => {
  await using under = await startDaemon();
  await publish(under, {
    'fleet/a': vmRow('a'),
    'fleet/b': vmRow('b'),
    'fleet/elsewhere': vmRow('c', { host: 'host-b' }),
  });
  const { ino } = await stat(under.socket('a'));
  const open = await openGuest(under.socket('a'));

  await publish(under, { 'fleet/a': vmRow('a'), 'fleet/d': vmRow('d') });

  expect((await readdir(join(under.runDir, 'fleet'))).sort()).toEqual(['a.vsock_1024', 'd.vsock_1024']);
  expect((await stat(under.socket('a'))).ino).toBe(ino);
  open.socket.write(bare('/small'));
  expect((await open.finished).bytes.toString()).toMatch(/small$/);
  expect((await ask(under.socket('d'), bare('/small'))).status).toBe(200);
  expect((await ask(under.socket('b'), bare('/small'))).error).toBe('ENOENT');
});

test('a stop removes its sockets and its acknowledgement', async () => {
  await using under = await startDaemon();
  await publish(under, { 'fleet/a': vmRow('a') });
  await under.daemon.stop();
  expect(await readdir(join(under.runDir, 'fleet'))).toEqual([]);
  expect(under.store.withdrawn).toEqual([`host-a/${under.daemon.instance}`]);
});

test('the socket of a daemon that was killed is replaced', async () => {
  await using under = await startDaemon();
  await mkdir(join(under.runDir, 'fleet'), { mode: 0o711 });
  const dead = createServer().listen(join(under.folder, 'dead'));
  await eventually(() => (dead.listening ? true : undefined));
  await rename(join(under.folder, 'dead'), under.socket('a'));
  dead.close();
  await publish(under, { 'fleet/a': vmRow('a') });
  expect((await ask(under.socket('a'), bare('/small'))).status).toBe(200);
});

test('a daemon that stops leaves the socket of the one that took its place', async () => {
  await using before = await startDaemon();
  await publish(before, { 'fleet/a': vmRow('a') });
  await using after = await startDaemon({ runDir: before.runDir });
  await publish(after, { 'fleet/a': vmRow('a') });
  await before.daemon.stop();
  expect((await ask(before.socket('a'), bare('/small'))).status).toBe(200);
});

test.each([
  ['a plain file', (path: string) => writeFile(path, 'somebody’s')],
  ['a symbolic link', (path: string) => symlink('/tmp/elsewhere', path)],
  ['a folder', (path: string) => mkdir(path)],
])('%s in the way is left alone, said so, and passed once it is gone', async (_, put) => {
  await using under = await startDaemon({ limits: { heartbeat: 50 } });
  await mkdir(join(under.runDir, 'fleet'), { mode: 0o711 });
  await put(under.socket('a'));
  await publish(under, { 'fleet/a': vmRow('a'), 'fleet/b': vmRow('b') });
  expect(refusal(under, 'fleet/a')).toMatchObject({ reason: 'ChannelRefused' });
  expect(refusal(under, 'fleet/a')?.message).toContain(`${under.socket('a')} is in the way`);
  expect((await ask(under.socket('b'), bare('/small'))).status).toBe(200);

  await rm(under.socket('a'), { recursive: true });
  await eventually(() => (refusal(under, 'fleet/a') === undefined ? true : undefined));
  expect((await ask(under.socket('a'), bare('/small'))).status).toBe(200);
});

test('a folder that is a symbolic link is not followed', async () => {
  await using under = await startDaemon();
  await mkdir(join(under.folder, 'elsewhere'));
  await symlink(join(under.folder, 'elsewhere'), join(under.runDir, 'fleet'));
  await publish(under, { 'fleet/a': vmRow('a') });
  expect(refusal(under, 'fleet/a')).toMatchObject({ reason: 'ChannelRefused' });
  expect(refusal(under, 'fleet/a')?.message).toContain('symbolic link');
  expect(await readdir(join(under.folder, 'elsewhere'))).toEqual([]);
});

test('a folder that others can write is refused with the way out', async () => {
  await using under = await startDaemon();
  await mkdir(join(under.runDir, 'fleet'));
  await chmod(join(under.runDir, 'fleet'), 0o777);
  await publish(under, { 'fleet/a': vmRow('a') });
  expect(refusal(under, 'fleet/a')?.message).toContain(`chmod go-w ${join(under.runDir, 'fleet')}`);
  expect(under.daemon.sockets).toBe(0);
});

test('a run folder that others can write is refused for all', async () => {
  await using under = await startDaemon();
  await chmod(under.runDir, 0o1777);
  await publish(under, { 'fleet/a': vmRow('a') });
  expect(refusal(under, 'fleet/a')).toMatchObject({ reason: 'ChannelRefused' });
});

test('a path of 107 bytes is listened at, of 108 refused', async () => {
  await using under = await startDaemon();
  const room = 107 - Buffer.byteLength(join(under.runDir, 'fleet/')) - '_1024'.length;
  await publish(under, {
    'fleet/fits': vmRow('fits', at('x'.repeat(room))),
    'fleet/long': vmRow('long', at('y'.repeat(room + 1))),
  });
  expect(refusal(under, 'fleet/long')).toMatchObject({ reason: 'ChannelRefused' });
  expect(refusal(under, 'fleet/long')?.message).toContain('108 bytes');
  expect((await ask(join(under.runDir, 'fleet', `${'x'.repeat(room)}_1024`), bare('/small'))).status).toBe(200);
});

test('a path outside the run folder, and a channel of another kind, are refused', async () => {
  await using under = await startDaemon();
  await publish(under, {
    'fleet/outside': vmRow('outside', at(join(under.folder, 'outside'))),
    'fleet/serial': vmRow('serial', { channel: { kind: 'serial' } }),
  });
  expect(refusal(under, 'fleet/outside')).toMatchObject({ reason: 'ChannelRefused' });
  expect(refusal(under, 'fleet/serial')).toMatchObject({ reason: 'NotSupportedYet' });
});

test('an absolute path below the namespace’s socket root is listened at', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gstored-root-'));
  try {
    await using under = await startDaemon({ socketRoots: new Map([['fleet', [folder]]]) });
    await publish(under, { 'fleet/a': vmRow('a', at(join(folder, 'jail/a'))) });
    expect((await ask(join(folder, 'jail/a_1024'), bare('/small'))).status).toBe(200);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('an address that two VMs claim serves neither, until one gives way', async () => {
  await using under = await startDaemon();
  const shared = at('shared.vsock');
  await publish(under, { 'fleet/a': vmRow('a', shared), 'fleet/b': vmRow('b', shared), 'fleet/c': vmRow('c') });
  expect((await ask(under.socket('shared'), bare('/small'))).status).toBe(503);
  expect((await ask(under.socket('shared'), bare('/nothing'))).status).toBe(503);
  for (const vm of ['fleet/a', 'fleet/b']) {
    expect(refusal(under, vm)).toMatchObject({ reason: 'ChannelConflict' });
    expect(refusal(under, vm)?.message).toMatch(/fleet\/a .*fleet\/b /);
  }
  expect((await ask(under.socket('c'), bare('/small'))).status).toBe(200);

  await publish(under, { 'fleet/b': vmRow('b', shared) });
  expect(refusal(under, 'fleet/b')).toBeUndefined();
  expect((await ask(under.socket('shared'), bare('/small'))).status).toBe(200);
});

test('a VM in two datastores at once is in neither for certain', async () => {
  await using under = await startDaemon();
  const other = createMemoryStore(join(under.folder, 'other'));
  await using second = await startDaemon({
    stores: new Map([
      ['default', under.store],
      ['other', other],
    ]),
  });
  const draft = { repositories: { 'fleet/main': { entries: {} } }, ruleSets: { [noRulesDigest]: noRules } };
  under.store.publish({ ...draft, vms: { 'fleet/a': vmRow('a'), 'fleet/b': vmRow('b') } });
  other.publish({ ...draft, vms: { 'fleet/a': vmRow('a'), 'fleet/c': vmRow('c') } });
  await second.daemon.settle();
  expect((await ask(second.socket('a'), bare('/x'))).status).toBe(503);
  expect((await ask(second.socket('b'), bare('/x'))).status).toBe(404);
  expect((await ask(second.socket('c'), bare('/x'))).status).toBe(404);
  expect(other.acknowledged.at(-1)?.refused['fleet/a']).toMatchObject({ reason: 'ChannelConflict' });
});

test('who asks at an address that its VM has left is not served', async () => {
  await using under = await startDaemon();
  await publish(under, { 'fleet/a': vmRow('a') });
  const early = await openGuest(under.socket('a'));
  await publish(under, { 'fleet/a': vmRow('moved') });
  early.socket.write(bare('/small'));
  expect((await early.finished).bytes.toString()).toMatch(/^HTTP\/1\.1 503 /);
  expect((await ask(under.socket('moved'), bare('/small'))).status).toBe(200);
});

test('3,000 sockets are opened in seconds', async () => {
  await using under = await startDaemon();
  const vms: Record<string, VmRow> = {};
  for (let index = 0; index < 3000; index += 1) vms[`fleet/vm-${index}`] = vmRow(`vm-${index}`);
  const begun = performance.now();
  await publish(under, vms);
  expect(under.daemon.sockets).toBe(3000);
  expect((await ask(under.socket('vm-2999'), bare('/small'))).status).toBe(200);
  // No benchmark: a bound that only a wait in each of them would break.
  expect(performance.now() - begun).toBeLessThan(20_000);
});
