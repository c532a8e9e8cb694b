import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type DaemonOptions, runDaemon } from '../../../src/cli/daemon.ts';
import { createLog } from '../../../src/lib/log.ts';
import type { Acknowledgement } from '../../../src/store/types.ts';
import { ask, bare } from '../../support/daemon.ts';
import { eventually } from '../../support/eventually.ts';
import { testFolder } from '../../support/folder.ts';
import { changeOf, openWriter, plainlessRow, publish, rulesOf, stored, vmChange, vmRow } from '../../support/store.ts';

interface Running {
  readonly folder: string;
  readonly datastore: string;
  readonly log: Record<string, unknown>[];
  readonly socket: string;
  stop(): Promise<void>;
}

/** `gueststore daemon` on a datastore of its own, as the command line would run it. */
async function run(options: Partial<DaemonOptions> = {}, datastore?: string): Promise<Running> {
  const folder = await testFolder();
  const log: Record<string, unknown>[] = [];
  const stop = new AbortController();
  const where = datastore ?? join(folder, 'datastore');
  const ended = runDaemon(
    {
      datastores: new Map([['default', where]]),
      host: 'host-a',
      runDir: join(folder, 'run'),
      socketRoots: new Map(),
      ...options,
    },
    createLog('debug', { write: (line) => void log.push(JSON.parse(line)) }),
    stop.signal,
  );
  onTestFinished(async () => {
    stop.abort();
    await ended;
  });
  await eventually(() => (log.some(({ msg }) => msg === 'daemon ready') ? true : undefined));
  return {
    folder,
    datastore: where,
    log,
    socket: join(folder, 'run/fleet/web.vsock_1024'),
    async stop() {
      stop.abort();
      await ended;
    },
  };
}

async function acknowledgements(datastore: string): Promise<Acknowledgement[]> {
  const folder = join(datastore, '.gueststore/hosts/host-a');
  const names = await readdir(folder).catch(() => []);
  const files = names.filter((name) => /^[^.].*\.json$/.test(name));
  return await Promise.all(files.map(async (name) => JSON.parse(await readFile(join(folder, name), 'utf8'))));
}

async function acknowledged(datastore: string, seq: number): Promise<Acknowledgement> {
  return await eventually(async () => (await acknowledgements(datastore)).find((one) => one.seq >= seq));
}

const openRules = rulesOf();
const closedRules = rulesOf('.*');

test('a daemon that is started first serves what is published later, and acknowledges each revision', async () => {
  const daemon = await run({ limits: { heartbeat: 600_000 } });
  expect(await readdir(join(daemon.folder, 'run'))).toEqual([]);
  const writer = await openWriter(daemon.datastore, { create: true });
  await publish(writer, changeOf({ '/motd': await stored(writer, 'hello') }, plainlessRow));
  const { seq } = await publish(writer, vmChange({ 'fleet/web': vmRow(openRules) }, openRules));

  const first = await acknowledged(daemon.datastore, seq);
  expect(first).toMatchObject({ host: 'host-a', seq, pid: process.pid, refused: {}, errors: [] });
  expect(first.space?.free).toBeGreaterThan(0);
  expect((await ask(daemon.socket, bare('/motd'))).body.toString()).toBe('hello');

  // Who fetches right after the acknowledgement gets the new rules.
  const next = await publish(writer, vmChange({ 'fleet/web': vmRow(closedRules) }, closedRules));
  await acknowledged(daemon.datastore, next.seq);
  expect((await ask(daemon.socket, bare('/motd'))).status).toBe(403);

  await daemon.stop();
  expect(await acknowledgements(daemon.datastore)).toEqual([]);
  expect((await ask(daemon.socket, bare('/motd'))).error).toBe('ENOENT');
});

test('a large content comes out of a real store with its digest', async () => {
  const daemon = await run();
  const writer = await openWriter(daemon.datastore, { create: true });
  const bytes = randomBytes(20 * 1024 * 1024);
  const blob = await writer.putBlob([bytes], { maxSize: 1e9 }, new AbortController().signal);
  await publish(writer, changeOf({ '/agent': { ...(await stored(writer, '')), ...blob } }, plainlessRow));
  const { seq } = await publish(writer, vmChange({ 'fleet/web': vmRow(openRules) }, openRules));
  await acknowledged(daemon.datastore, seq);
  const { body } = await ask(daemon.socket, bare('/agent'));
  expect(`sha256:${createHash('sha256').update(body).digest('hex')}`).toBe(blob.digest);
});

test('a newest revision that cannot be read leaves the last good one in force, and is said', async () => {
  const daemon = await run({ limits: { heartbeat: 100 } });
  const writer = await openWriter(daemon.datastore, { create: true });
  await publish(writer, changeOf({ '/motd': await stored(writer, 'good') }, plainlessRow));
  const { seq } = await publish(writer, vmChange({ 'fleet/web': vmRow(openRules) }, openRules));
  await acknowledged(daemon.datastore, seq);

  await writeFile(join(daemon.datastore, '.gueststore/commits', `${seq + 1}`), '{"format":1,"seq":');

  const trouble = await eventually(async () =>
    (await acknowledgements(daemon.datastore)).find(({ errors }) => errors.length > 0),
  );
  expect(trouble.seq).toBe(seq);
  expect(trouble.errors[0]?.message).toContain(`${seq + 1}`);
  expect((await ask(daemon.socket, bare('/motd'))).body.toString()).toBe('good');
  expect((await ask(daemon.socket, bare('/nothing'))).status).toBe(404);
});

test('metrics, health and readiness are served where asked for', async () => {
  const daemon = await run({ metrics: '127.0.0.1:0' });
  const address = daemon.log.find(({ msg }) => msg === 'daemon ready')?.metrics;
  const get = async (path: string) => await fetch(`http://${address}${path}`);
  expect((await get('/healthz')).status).toBe(200);
  expect((await get('/readyz')).status).toBe(503);
  const writer = await openWriter(daemon.datastore, { create: true });
  await publish(writer, changeOf({ '/motd': await stored(writer, 'hello') }, plainlessRow));
  const { seq } = await publish(writer, vmChange({ 'fleet/web': vmRow(openRules) }, openRules));
  await acknowledged(daemon.datastore, seq);
  await ask(daemon.socket, bare('/motd'));

  expect((await get('/readyz')).status).toBe(200);
  const metrics = await get('/metrics');
  expect(metrics.headers.get('content-type')).toContain('version=0.0.4');
  const text = await metrics.text();
  expect(text).toContain('gstored_requests_total{status="200",result="sent"} 1');
  expect(text).toContain(`gstored_revision{datastore="default"} ${seq}`);
  expect(text).toContain('gstored_sockets 1');
  expect(text).toContain('gstored_request_duration_seconds_count 1');
  expect((await get('/else')).status).toBe(404);
});

test('an address for metrics that cannot be had is an error that says so', async () => {
  const options: DaemonOptions = {
    datastores: new Map(),
    host: 'host-a',
    runDir: join(await testFolder(), 'run'),
    socketRoots: new Map(),
    metrics: 'nonsense',
  };
  const failed = runDaemon(options, createLog('silent'), new AbortController().signal);
  await expect(failed).rejects.toMatchObject({ code: 'InvalidArgument' });
});
