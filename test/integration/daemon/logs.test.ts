import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createLogFiles, logFileLimits } from '../../../src/daemon/log-files.ts';
import { ask, bare, type DaemonUnderTest, noRules, noRulesDigest, startDaemon, vmRow } from '../../support/daemon.ts';
import { eventually } from '../../support/eventually.ts';
import { testFolder } from '../../support/folder.ts';
import { digestOf, rulesOf } from '../../support/memory-store.ts';

async function startFleet(): Promise<DaemonUnderTest> {
  const under = await startDaemon();
  under.store.publish({
    repositories: { 'fleet/main': { entries: { '/small': await under.store.put('small') } } },
    vms: {
      'fleet/web-7': vmRow('web-7', { ruleSet: digestOf('rules') }),
      'fleet/web-8': vmRow('web-8'),
    },
    ruleSets: { [noRulesDigest]: noRules, [digestOf('rules')]: rulesOf(['/small'], ['/a"b', '/secret/.*']) },
  });
  await under.daemon.settle();
  return under;
}

async function linesOf(file: string): Promise<Record<string, unknown>[]> {
  return (await readFile(file, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

test('each request has a line in gstored.log and in its VM’s vmware.log', async () => {
  await using under = await startFleet();
  await ask(under.socket('web-7'), bare('/small'));
  await ask(under.socket('web-7'), bare('/secret/plan'));
  await ask(under.socket('web-8'), bare('/nothing'));
  await ask(under.socket('web-7'), 'BREW /small HTTP/1.1\r\n\r\n');
  await under.daemon.flushLogs();

  const all = await linesOf(join(under.logDir, 'gstored.log'));
  expect(all.map(({ vm, status }) => [vm, status])).toEqual([
    ['fleet/web-7', 200],
    ['fleet/web-7', 403],
    ['fleet/web-8', 404],
    ['fleet/web-7', 501],
  ]);
  expect(all[0]).toEqual({
    level: 'info',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    vm: 'fleet/web-7',
    path: '/small',
    decision: 'grant',
    rule: '/small',
    policy: 'VMAccessPolicy/fleet/policy#0',
    datastore: 'default',
    revision: 1,
    digest: digestOf('small'),
    status: 200,
    reason: null,
    result: 'sent',
    bytes: 5,
    duration: expect.any(Number),
    msg: 'request',
  });
  expect(all[1]).toMatchObject({ path: '/secret/plan', decision: 'deny', rule: '/secret/.*', bytes: 0 });
  expect(all[2]).toMatchObject({ decision: 'grant', rule: null, policy: null, digest: null });
  expect(all[3]).toMatchObject({ path: 'BREW /small HTTP/1.1', decision: null, reason: 'method not known' });

  const own = await linesOf(join(under.logDir, 'vms/fleet/web-7/vmware.log'));
  expect(own).toEqual(all.filter(({ vm }) => vm === 'fleet/web-7'));
});

test('what a guest chooses can neither break a line nor speak to a terminal', async () => {
  await using under = await startFleet();
  const hostile = [
    '/a"b',
    '/esc\x1b[2J',
    '/tab\there',
    '/\u202eevil',
    '/\u009b31m',
    '/%0d%0aGET',
    '/back\\slash',
    '/%7f',
  ];
  for (const path of hostile) await ask(under.socket('web-7'), bare(path));
  await ask(under.socket('web-7'), Buffer.from('GET /\x1b[31m\xff HTTP/1.1\r\n\r\n', 'latin1'));
  await under.daemon.flushLogs();
  const text = await readFile(join(under.logDir, 'gstored.log'), 'utf8');
  expect(text).toMatch(/^[\n -~]*$/);
  const lines = await linesOf(join(under.logDir, 'gstored.log'));
  expect(lines.map(({ path }) => path)).toEqual([
    '/a"b',
    '/esc\\u{1b}[2J',
    '/tab\\u{9}here',
    '/\\u{202e}evil',
    '/\\u{9b}31m',
    '/\\u{d}\\u{a}GET',
    '/back\\slash',
    '/\\u{7f}',
    'GET /\\x1b[31m\\xff HTTP/1.1',
  ]);
});

test('a stop leaves no line in memory', async () => {
  await using under = await startFleet();
  await ask(under.socket('web-7'), bare('/small'));
  await under.daemon.stop();
  expect(await linesOf(join(under.logDir, 'gstored.log'))).toHaveLength(1);
});

test('lines reach their file without a flush', async () => {
  await using under = await startFleet();
  await ask(under.socket('web-7'), bare('/small'));
  await eventually(async () => (await linesOf(join(under.logDir, 'gstored.log'))).length === 1 || undefined);
});

test('files are rotated by size, and the oldest go', async () => {
  const folder = await testFolder();
  const file = join(folder, 'deep/a.log');
  const files = createLogFiles({ ...logFileLimits, maxSize: 100, kept: 2 }, () => undefined);
  for (let number = 0; number < 10; number += 1) {
    files.append(`${`line ${number}`.padEnd(39, '.')}\n`, file);
    await files.flush();
  }
  await files.close();
  const content = async (name: string) => (await readFile(join(folder, 'deep', name), 'latin1')).match(/line \d/g);
  expect(await readdir(join(folder, 'deep'))).toEqual(['a.log', 'a.log.1', 'a.log.2']);
  expect(await content('a.log')).toEqual(['line 8', 'line 9']);
  expect(await content('a.log.1')).toEqual(['line 6', 'line 7']);
  expect(await content('a.log.2')).toEqual(['line 4', 'line 5']);
});

test('a thousand files need few descriptors, and lose nothing', async () => {
  const folder = await testFolder();
  const files = createLogFiles({ ...logFileLimits, maxOpen: 16, flushInterval: 20 }, () => undefined);
  let most = 0;
  const descriptors = async () => (await readdir('/proc/self/fd')).length;
  const before = await descriptors();
  for (let round = 0; round < 3; round += 1) {
    for (let file = 0; file < 1000; file += 1) files.append(`round ${round} é\n`, join(folder, `${file}.log`));
    await files.flush();
    most = Math.max(most, (await descriptors()) - before);
  }
  await files.close();
  expect(most).toBeLessThan(30);
  for (let file = 0; file < 1000; file += 1) {
    expect(await readFile(join(folder, `${file}.log`), 'utf8')).toBe('round 0 é\nround 1 é\nround 2 é\n');
  }
});

test('a log that cannot be written is told once, and again when it can; others go on', async () => {
  const folder = await testFolder();
  const told: unknown[] = [];
  const files = createLogFiles(logFileLimits, (error) => told.push(error));
  await writeFile(join(folder, 'blocked'), '');
  for (let round = 0; round < 3; round += 1) {
    files.append('lost\n', join(folder, 'blocked/a.log'));
    await files.flush();
  }
  expect(told).toMatchObject([{ code: 'ENOTDIR' }]);
  expect(files.dropped).toBe(3);
  files.append('kept\n', join(folder, 'b.log'));
  await files.close();
  expect(told).toHaveLength(2);
  expect(told[1]).toBeUndefined();
  expect(await readFile(join(folder, 'b.log'), 'utf8')).toBe('kept\n');
});
