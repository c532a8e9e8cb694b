import { readdir, readFile, readlink } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { DaemonLimits } from '../../../src/daemon/daemon.ts';
import {
  ask,
  bare,
  type DaemonUnderTest,
  noRules,
  noRulesDigest,
  type Received,
  startDaemon,
  vmRow,
} from '../../support/daemon.ts';
import { eventually } from '../../support/eventually.ts';
import { openGuest } from '../../support/slow-guest.ts';

const large = Buffer.alloc(16 * 1024 * 1024, 'large ');

/** Two VMs, one small and one large content. */
async function startFleet(limits: Partial<DaemonLimits> = {}): Promise<DaemonUnderTest> {
  const under = await startDaemon({ limits });
  under.store.publish({
    repositories: {
      'fleet/main': {
        entries: { '/small': await under.store.put('small'), '/large': await under.store.put(large) },
      },
    },
    vms: { 'fleet/web-7': vmRow('web-7'), 'fleet/web-8': vmRow('web-8') },
    ruleSets: { [noRulesDigest]: noRules },
  });
  await under.daemon.settle();
  return under;
}

/** One sample of a metric, e.g. `gstored_connections`. */
function sample(under: DaemonUnderTest, series: string): number {
  const line = under.daemon.metrics
    .render()
    .split('\n')
    .find((text) => text.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1) ?? 0);
}

/** Content files that this process holds open. */
async function openBlobs(under: DaemonUnderTest): Promise<number> {
  const links = await Promise.all(
    (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
  );
  return links.filter((target) => target.startsWith(`${under.folder}/blobs/`)).length;
}

/** Paths that a VM asked for, in the order in which they were served. */
async function loggedPaths(under: DaemonUnderTest, vm: string): Promise<string[]> {
  await under.daemon.flushLogs();
  const lines = await readFile(`${under.logDir}/vms/fleet/${vm}/vmware.log`, 'utf8');
  return lines
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).path);
}

async function allFree(under: DaemonUnderTest): Promise<true | undefined> {
  return sample(under, 'gstored_connections') === 0 && (await openBlobs(under)) === 0 ? true : undefined;
}

test('a guest that sends a byte at a time is cut in time, whatever it drips', async () => {
  await using under = await startFleet({ headTimeout: 400 });
  const guest = await openGuest(under.socket('web-7'));
  const begun = performance.now();
  const drip = setInterval(() => guest.socket.write('G'), 20);
  const { bytes } = await guest.finished;
  clearInterval(drip);
  expect(bytes).toHaveLength(0);
  expect(performance.now() - begun).toBeGreaterThan(390);
  expect(performance.now() - begun).toBeLessThan(2000);
  expect(sample(under, 'gstored_lost_total{why="late"}')).toBe(1);
});

test('a head that drips in within its time is answered', async () => {
  await using under = await startFleet();
  const guest = await openGuest(under.socket('web-7'));
  for (const byte of bare('/small')) {
    guest.socket.write(byte);
    await delay(1);
  }
  expect((await guest.finished).bytes.toString()).toMatch(/^HTTP\/1\.1 200 OK\r\n.*small$/s);
});

test('half a request and an end gets no answer', async () => {
  await using under = await startFleet();
  const guest = await openGuest(under.socket('web-7'));
  guest.socket.end('GET /small HTT');
  expect((await guest.finished).bytes).toHaveLength(0);
  await eventually(() => allFree(under));
});

test('100 kB of head are refused, and others served on', async () => {
  await using under = await startFleet();
  const guest = await openGuest(under.socket('web-7'));
  guest.socket.write(`GET /small HTTP/1.1\r\n${`X-Filler: ${'y'.repeat(80)}\r\n`.repeat(1100)}`);
  expect((await guest.finished).bytes.toString()).toMatch(/^HTTP\/1\.1 431 /);
  expect((await ask(under.socket('web-7'), bare('/small'))).status).toBe(200);
});

test('silent connections of a VM are in nobody’s way, up to their bound', async () => {
  await using under = await startFleet({ waiting: 4 });
  const silent = await Promise.all([1, 2, 3, 4].map(() => openGuest(under.socket('web-7'))));
  expect((await ask(under.socket('web-7'), bare('/small'))).status).toBe(200);
  for (const { socket } of silent) socket.destroy();
});

test('a guest that vanishes during a download frees all it held, at once', async () => {
  await using under = await startFleet();
  const guest = await openGuest(under.socket('web-7'));
  guest.socket.write(bare('/large'));
  await guest.received(500_000);
  guest.socket.destroy();
  await eventually(() => allFree(under), 2000);
  expect(sample(under, 'gstored_requests_total{status="200",result="gone"}')).toBe(1);
  expect((await ask(under.socket('web-7'), bare('/large'))).body.equals(large)).toBe(true);
});

test('a reader that takes nothing is ended, and only then', async () => {
  await using under = await startFleet({ stallTimeout: 300 });
  const guest = await openGuest(under.socket('web-7'));
  guest.socket.pause();
  guest.socket.write(bare('/large'));
  const begun = performance.now();
  await eventually(() => allFree(under), 5000);
  expect(performance.now() - begun).toBeGreaterThan(290);
  expect(sample(under, 'gstored_requests_total{status="200",result="stalled"}')).toBe(1);
  guest.socket.destroy();
});

test('a slow reader that makes progress is served to the end', async () => {
  await using under = await startFleet({ stallTimeout: 500 });
  const guest = await openGuest(under.socket('web-7'));
  guest.socket.write(bare('/large'));
  // Takes as long as several stall timeouts, with pauses shorter than one.
  for (let bytes = 0; bytes < large.length; bytes += 1024 * 1024) {
    await guest.received(bytes);
    guest.socket.pause();
    await delay(100);
    guest.socket.resume();
  }
  expect((await guest.finished).bytes.subarray(-large.length).equals(large)).toBe(true);
});

test('a VM’s requests are served one at a time, in order; another VM’s meanwhile', async () => {
  await using under = await startFleet();
  const connections = (count: number) =>
    eventually(() => (sample(under, 'gstored_connections') === count ? true : undefined));
  const first = await openGuest(under.socket('web-7'));
  first.socket.pause();
  first.socket.write(bare('/large'));
  await eventually(async () => ((await openBlobs(under)) === 1 ? true : undefined));
  const second = ask(under.socket('web-7'), bare('/second'));
  await connections(2);
  const third = ask(under.socket('web-7'), bare('/third'));
  await connections(3);

  expect((await ask(under.socket('web-8'), bare('/small'))).status).toBe(200);
  expect(sample(under, 'gstored_requests_total{status="404",result="sent"}')).toBe(0);

  first.socket.resume();
  await Promise.all([first.finished, second, third]);
  expect(await loggedPaths(under, 'web-7')).toEqual(['/large', '/second', '/third']);
});

test('what is more than may wait is refused at once, and the rest served', async () => {
  await using under = await startFleet({ waiting: 2 });
  const first = await openGuest(under.socket('web-7'));
  first.socket.pause();
  first.socket.write(bare('/large'));
  await eventually(async () => ((await openBlobs(under)) === 1 ? true : undefined));
  const waiting = [ask(under.socket('web-7'), bare('/small')), ask(under.socket('web-7'), bare('/small'))];
  await eventually(() => (sample(under, 'gstored_connections') === 3 ? true : undefined));

  const refused = await ask(under.socket('web-7'), bare('/small'));

  expect(refused.status).toBe(503);
  expect(refused.head).toContain('Retry-After: ');
  expect((await ask(under.socket('web-8'), bare('/small'))).status).toBe(200);
  first.socket.resume();
  expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 200]);
});

test('waiting clients that left give way to new ones', async () => {
  await using under = await startFleet({ waiting: 1 });
  const first = await openGuest(under.socket('web-7'));
  first.socket.pause();
  first.socket.write(bare('/large'));
  await eventually(async () => ((await openBlobs(under)) === 1 ? true : undefined));
  const left = await openGuest(under.socket('web-7'));
  left.socket.end(bare('/small'));
  left.socket.destroy();
  const gone = () => sample(under, 'gstored_lost_total{why="gone"}');
  // The one that is let in for it waits for the first, which takes nothing yet.
  const answers: Promise<Received>[] = [];
  await eventually(() => {
    answers.push(ask(under.socket('web-7'), bare('/small')));
    return gone() === 1 ? true : undefined;
  });
  first.socket.resume();
  expect((await Promise.all(answers)).map(({ status }) => status)).toContain(200);
});

test('who talks on after the request is not read', async () => {
  await using under = await startFleet();
  const first = await openGuest(under.socket('web-7'));
  first.socket.pause();
  first.socket.write(bare('/large'));
  await eventually(async () => ((await openBlobs(under)) === 1 ? true : undefined));
  const talker = await openGuest(under.socket('web-7'));
  talker.socket.write(bare('/small'));
  talker.socket.write(Buffer.alloc(4 * 1024 * 1024));
  // It cannot get rid of what nobody reads.
  await eventually(() => (talker.socket.writableLength > 0 ? true : undefined));
  for (let turn = 0; turn < 50; turn += 1) await ask(under.socket('web-8'), bare('/small'));
  expect(talker.socket.writableLength).toBeGreaterThan(0);
  first.socket.resume();
  expect((await talker.finished).bytes.toString()).toMatch(/^HTTP\/1\.1 200 /);
});

test('a hundred guests that vanish at any moment leave nothing behind', async () => {
  await using under = await startFleet({ waiting: 200 });
  for (let round = 0; round < 100; round += 1) {
    const guest = await openGuest(under.socket(round % 2 === 0 ? 'web-7' : 'web-8'));
    guest.socket.write(bare(round % 3 === 0 ? '/small' : '/large').slice(0, round % 7 === 0 ? 9 : undefined));
    setTimeout(() => guest.socket.destroy(), round % 5);
  }
  await eventually(() => allFree(under), 5000);
  expect((await ask(under.socket('web-7'), bare('/large'))).body.equals(large)).toBe(true);
});

test('a stop lets a download end, and cuts one that does not', async () => {
  const under = await startFleet({ drainTimeout: 2_000 });
  const slow = await openGuest(under.socket('web-7'));
  slow.socket.write(bare('/large'));
  await slow.received(1000);
  slow.socket.pause();
  const stuck = await openGuest(under.socket('web-8'));
  stuck.socket.pause();
  stuck.socket.write(bare('/large'));
  await eventually(async () => ((await openBlobs(under)) === 2 ? true : undefined));
  const stopped = under[Symbol.asyncDispose]();
  slow.socket.resume();
  await stopped;
  expect(sample(under, 'gstored_connections')).toBe(0);
  expect((await slow.finished).bytes.subarray(-large.length).equals(large)).toBe(true);
  stuck.socket.resume();
  expect((await stuck.finished).bytes.length).toBeLessThan(large.length);
});
