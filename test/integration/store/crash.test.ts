import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { digestOf } from '../../../src/store/canonical.ts';
import type { Snapshot, StoreReader } from '../../../src/store/types.ts';
import { eventually } from '../../support/eventually.ts';
import { testFolder } from '../../support/folder.ts';
import { main, openReader, openWriter, plainFiles, readSnapshot } from '../../support/store.ts';

const program = fileURLToPath(new URL('../../support/store-programs/publish-forever.ts', import.meta.url));
const kills = 30;

test('a writer that is killed at any moment leaves the old revision or the new one, whole', {
  timeout: 180_000,
}, async () => {
  const folder = await testFolder();
  await (await openWriter(folder)).close();
  const reader = await openReader(folder, { pollMilliseconds: 5, watch: true });
  let looked = 0;
  reader.onChange((snapshot) => {
    expectOneNumber(snapshot, reader);
    looked += 1;
  });

  let promised = 0;
  for (let round = 0; round < kills; round++) {
    const publisher = startPublisher(folder);
    const from = promised;
    await eventually(() => (publisher.promised() > from ? true : undefined), 20_000);
    // Not a wait for something: the moment of the kill is to be any.
    await delay(Math.random() * 30);
    publisher.child.kill('SIGKILL');
    await once(publisher.child, 'exit');
    promised = publisher.promised();

    const snapshot = await readSnapshot(folder);
    expect(snapshot?.seq).toBeGreaterThanOrEqual(promised);
    if (snapshot !== undefined) expectOneNumber(snapshot, reader);
  }

  await reader.refresh();
  expect(reader.trouble).toBeUndefined();
  expect(looked).toBeGreaterThan(kills);
  const writer = await openWriter(folder);
  expect(plainFiles(folder)).toEqual(shownBy(writer.snapshot, reader));
  expect(writer.blocked.size).toBe(0);
  expect(readdirSync(join(folder, '.gueststore/tmp'))).toEqual([]);
});

test('of processes that all publish one goes on, the others stop, and no two promised one revision', {
  timeout: 60_000,
}, async () => {
  const folder = await testFolder();
  await (await openWriter(folder)).close();
  const publishers = Array.from({ length: 3 }, () => startPublisher(folder));
  const ended = () => publishers.filter(({ child }) => child.exitCode !== null);
  await eventually(() => (ended().length === 2 ? true : undefined), 30_000);
  const [winner] = publishers.filter(({ child }) => child.exitCode === null);
  const then = winner?.promised() ?? 0;
  await eventually(() => ((winner?.promised() ?? 0) > then + 3 ? true : undefined));
  winner?.child.kill('SIGKILL');
  for (const { complaint } of ended()) expect(complaint()).toMatch(/code: 'Superseded'/);
  const promises = publishers.flatMap(({ promises: all }) => all());
  expect(new Set(promises).size).toBe(promises.length);
  expect((await readSnapshot(folder))?.seq).toBeGreaterThanOrEqual(Math.max(...promises));
});

interface Publisher {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  /** Each seq that it has promised. */
  promises(): readonly number[];
  /** The highest seq that it has promised. */
  promised(): number;
  complaint(): string;
}

function startPublisher(folder: string): Publisher {
  const child = spawn(process.execPath, [program, folder], { stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const printed = { out: '', err: '' };
  child.stdout.on('data', (chunk) => {
    printed.out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    printed.err += chunk;
  });
  const promises = () => printed.out.split('\n').slice(0, -1).map(Number);
  return { child, promises, promised: () => promises().at(-1) ?? 0, complaint: () => printed.err };
}

/** All that a revision says is of one number, and every byte that it promises is there. */
function expectOneNumber(snapshot: Snapshot, reader: StoreReader): void {
  const numbers = new Set<string>();
  for (const [, entry] of snapshot.entries(main)) {
    if (entry.state !== 'stored') throw new Error(`unexpected entry ${JSON.stringify(entry)}`);
    const bytes = readFileSync(reader.blobPath(entry.digest));
    if (digestOf(bytes) !== entry.digest || bytes.length !== entry.size)
      throw new Error(`wrong bytes of ${entry.digest}`);
    numbers.add(bytes.toString('latin1', 0, bytes.indexOf(10)));
  }
  const ruleSet = snapshot.vm('fleet/web')?.ruleSet;
  if (ruleSet) numbers.add(snapshot.ruleSet(ruleSet)?.deny[0]?.pattern.slice(1) ?? 'no rules');
  if (numbers.size > 1) throw new Error(`revision ${snapshot.seq} mixes ${[...numbers].join(' and ')}`);
}

function shownBy(snapshot: Snapshot, reader: StoreReader): Readonly<Record<string, string>> {
  const files = Array.from(snapshot.entries(main), ([path, entry]) => {
    const text = entry.state === 'stored' ? readFileSync(reader.blobPath(entry.digest), 'utf8') : '';
    return [`GuestStore${path}`, text] as const;
  });
  return Object.fromEntries(files);
}
