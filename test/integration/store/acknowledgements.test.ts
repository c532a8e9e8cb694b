import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sweepInstances } from '../../../src/store/hosts.ts';
import { processMark } from '../../../src/store/process-mark.ts';
import type { Acknowledgement } from '../../../src/store/types.ts';
import { testFolder } from '../../support/folder.ts';
import { openReader, openWriter } from '../../support/store.ts';

const now = new Date('2026-11-23T08:00:00Z');

function acknowledgementOf(more: Partial<Acknowledgement> = {}): Acknowledgement {
  return {
    host: 'host-a',
    instance: 'one',
    seq: 7,
    heartbeat: now.toISOString(),
    startedAt: now.toISOString(),
    ...processMark(),
    formats: [1],
    version: '0.1.0',
    space: null,
    refused: { 'fleet/web': { reason: 'ChannelRefused', message: 'no' } },
    errors: [{ code: 'StoreCorrupt', message: 'commit 8' }],
    ...more,
  };
}

test('what daemons say is what the operator hears, until they withdraw', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const reader = await openReader(folder);
  expect(await writer.acknowledgements()).toEqual([]);
  const all = [
    acknowledgementOf(),
    acknowledgementOf({ instance: 'two', seq: 8 }),
    acknowledgementOf({ host: 'host-b' }),
  ];
  for (const one of all) await reader.acknowledge(one);
  const later = acknowledgementOf({ seq: 9, space: { free: 5, total: 10 } });
  await reader.acknowledge(later);
  expect(sorted(await writer.acknowledgements())).toEqual(sorted([later, ...all.slice(1)]));
  await reader.withdraw('host-b', 'one');
  await reader.withdraw('host-b', 'one');
  expect(sorted(await writer.acknowledgements())).toEqual(sorted([later, ...all.slice(1, 2)]));
  expect(readdirSync(join(folder, '.gueststore/hosts'))).toEqual(['host-a']);
});

test.each(['../evil', 'a/b', '', '.hidden', 'x'.repeat(300), 'nul\0'])(
  'a host or instance named %j is refused',
  async (name) => {
    const reader = await openReader(await testFolder());
    const refused = { code: 'InvalidArgument' };
    await expect(reader.acknowledge(acknowledgementOf({ host: name }))).rejects.toMatchObject(refused);
    await expect(reader.acknowledge(acknowledgementOf({ instance: name }))).rejects.toMatchObject(refused);
    await expect(reader.withdraw(name, 'one')).rejects.toMatchObject(refused);
  },
);

test('nonsense in hosts/ is passed over, and hides nobody else', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const reader = await openReader(folder);
  await reader.acknowledge(acknowledgementOf());
  const host = join(folder, '.gueststore/hosts/host-a');
  const put = (name: string, text: string) => writeFileSync(join(host, `${name}.json`), text);
  put('empty', '');
  put('list', '[]');
  put('null', 'null');
  put('cut', '{"host":"host-a"');
  put('liar', JSON.stringify(acknowledgementOf({ host: 'host-b', instance: 'liar' })));
  put('other', JSON.stringify(acknowledgementOf({ instance: 'another' })));
  put('typed', JSON.stringify({ ...acknowledgementOf({ instance: 'typed' }), seq: 'seven' }));
  put('late', JSON.stringify(acknowledgementOf({ instance: 'late', heartbeat: 'yesterday' })));
  put('huge', JSON.stringify(acknowledgementOf({ instance: 'huge', version: 'x'.repeat(2_000_000) })));
  mkdirSync(join(host, 'folder.json'));
  symlinkSync(join(host, 'one.json'), join(host, 'link.json'));
  execFileSync('mkfifo', [join(host, 'fifo.json')]);
  writeFileSync(join(folder, '.gueststore/hosts/file'), 'no folder');
  expect(await writer.acknowledgements()).toEqual([acknowledgementOf()]);
});

test('what a daemon says is bounded', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const reader = await openReader(folder);
  const refusal = { reason: 'r'.repeat(3_000), message: 'm' };
  const refused = Object.fromEntries(
    Array.from({ length: 5_000 }, (_, i) => [`fleet/${i}`, { reason: 'r', message: 'm' }]),
  );
  const errors = Array.from({ length: 200 }, () => ({ code: 'c', message: 'm' }));
  await reader.acknowledge(acknowledgementOf({ refused: { 'fleet/web': refusal, ...refused }, errors }));
  const [heard] = await writer.acknowledgements();
  expect(Object.keys(heard?.refused ?? {}).length).toBe(4_096);
  expect(heard?.refused['fleet/web']?.reason.length ?? 0).toBeLessThanOrEqual(1_024);
  expect(heard?.errors.length).toBe(64);
});

test('who starts removes the instances of its host whose process is gone, and only those', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const reader = await openReader(folder);
  const child = spawn('true');
  await once(child, 'exit');
  const [boot, namespace, start] = processMark().process.split('/');
  const stale = new Date(now.getTime() - 60_000).toISOString();
  const gone = { pid: child.pid ?? 0 };
  const cases: readonly Acknowledgement[] = [
    acknowledgementOf({ instance: 'alive' }),
    acknowledgementOf({ instance: 'alive-but-stale', heartbeat: stale }),
    acknowledgementOf({ instance: 'gone', ...gone }),
    acknowledgementOf({ instance: 'number-taken-by-another', process: `${boot}/${namespace}/${Number(start) + 1}` }),
    acknowledgementOf({ instance: 'container', ...gone, process: `${boot}/4026531836000/${start}`, heartbeat: stale }),
    acknowledgementOf({ instance: 'rebooted', process: `other/${namespace}/${start}`, heartbeat: stale }),
    acknowledgementOf({ instance: 'namesake', process: `other/${namespace}/${start}` }),
    acknowledgementOf({ instance: 'elsewhere', host: 'host-b', ...gone }),
  ];
  for (const one of cases) await reader.acknowledge(one);
  const removed = await sweepInstances(folder, 'host-a', now);
  expect([...removed].sort()).toEqual(['gone', 'number-taken-by-another', 'rebooted']);
  expect((await writer.acknowledgements()).map(({ instance }) => instance).sort()).toEqual(
    ['alive', 'alive-but-stale', 'container', 'elsewhere', 'namesake'].sort(),
  );
});

function sorted(all: readonly Acknowledgement[]): readonly Acknowledgement[] {
  return [...all].sort((a, b) => (a.host + a.instance < b.host + b.instance ? -1 : 1));
}
