import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { canonicalJson, digestOf } from '../../../src/store/canonical.ts';
import { encodeCommit } from '../../../src/store/commits.ts';
import { fanOut, hashOf, slotOf } from '../../../src/store/trie.ts';
import type { Commit, Snapshot } from '../../../src/store/types.ts';
import { eventually } from '../../support/eventually.ts';
import { testFolder } from '../../support/folder.ts';
import {
  changeOf,
  main,
  openReader,
  openWriter,
  pathOf,
  plainlessRow,
  publish,
  rulesOf,
  stored,
  vmChange,
  vmRow,
} from '../../support/store.ts';

test('a reader that starts before the store waits for it', async () => {
  const folder = join(await testFolder(), 'later');
  const reader = await openReader(folder, { pollMilliseconds: 20 });
  expect(reader.current).toBeUndefined();
  expect(reader.trouble).toMatchObject({ code: 'StoreUnavailable' });
  const writer = await openWriter(folder, { create: true });
  await eventually(() => (reader.trouble === undefined ? true : undefined));
  expect(reader.current).toBeUndefined();
  await publish(writer, changeOf({ '/a': await stored(writer, 'one') }, plainlessRow));
  expect(await eventually(() => reader.current?.seq)).toBe(1);
});

test('a reader tells of each revision that it takes up, by watching alone', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const reader = await openReader(folder, { watch: true });
  const seen: number[] = [];
  reader.onChange((snapshot) => seen.push(snapshot.seq));
  for (const text of ['one', 'two']) {
    const { seq } = await publish(writer, changeOf({ '/a': await stored(writer, text) }, plainlessRow));
    await eventually(() => (seen.includes(seq) ? true : undefined));
  }
  expect(seen).toEqual([1, 2]);
});

test('who holds a revision sees nothing of later ones', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const entry = await stored(writer, 'one');
  await publish(writer, { ...changeOf({ '/a': entry }, plainlessRow), ...vms('one') });
  const reader = await openReader(folder);
  const held = reader.current;
  await publish(writer, { ...changeOf({ '/a': await stored(writer, 'two') }), ...vms('two') });
  await reader.refresh();
  expect(reader.current?.seq).toBe(2);
  expect(held?.find(main, pathOf('/a'))).toEqual(entry);
  expect(held?.vm('fleet/web')).toEqual(vmRow(rulesOf('one')));
  expect(held?.ruleSet(held.vm('fleet/web')?.ruleSet ?? digestOf(''))).toEqual(rulesOf('one'));
});

test.each(['missing', '0\n', '99\n', 'garbage', '../../etc/passwd', '1\n2\n', ''])(
  'HEAD is a hint: with %j the reader finds the last commit all the same',
  async (text) => {
    const folder = await testFolder();
    const writer = await openWriter(folder);
    for (const content of ['one', 'two', 'three'])
      await publish(writer, changeOf({ '/a': await stored(writer, content) }, plainlessRow));
    const head = join(folder, '.gueststore/HEAD');
    rmSync(head);
    if (text !== 'missing') writeFileSync(head, text);
    expect((await openReader(folder)).current?.seq).toBe(3);
    const again = await openWriter(folder);
    expect((await publish(again, changeOf({ '/a': await stored(again, 'four') }))).seq).toBe(4);
  },
);

test('HEAD may be a folder', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  await publish(writer, changeOf({}, plainlessRow));
  rmSync(join(folder, '.gueststore/HEAD'));
  mkdirSync(join(folder, '.gueststore/HEAD'));
  expect((await openReader(folder)).current?.seq).toBe(1);
});

/** A store with one good revision that a reader has taken up, and a second one that somebody damaged. */
async function damaged(damage: (store: string, before: readonly string[]) => void) {
  const folder = await testFolder();
  const store = join(folder, '.gueststore');
  const writer = await openWriter(folder);
  const good = await stored(writer, 'one');
  await publish(writer, { ...changeOf({ '/a': good }, plainlessRow), ...vms('one') });
  const reader = await openReader(folder);
  const before = objects(store);
  await publish(writer, { ...changeOf({ '/a': await stored(writer, 'two') }), ...vms('two') });
  damage(store, before);
  await reader.refresh();
  return { folder, store, writer, reader, good };
}

function objects(store: string): readonly string[] {
  return readdirSync(join(store, 'objects'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

const damages: readonly { what: string; damage: (store: string, before: readonly string[]) => void }[] = [
  { what: 'cut commit', damage: (store) => writeFileSync(join(store, 'commits/2'), '{"seq":2') },
  { what: 'empty commit', damage: (store) => writeFileSync(join(store, 'commits/2'), '') },
  {
    what: 'commit of another seq',
    damage: (store) => copyFileSync(join(store, 'commits/1'), join(store, 'commits/2')),
  },
  { what: 'commit with a flipped bit', damage: (store) => flip(join(store, 'commits/2')) },
  { what: 'commit that follows another', damage: (store) => rewrite(store, { parent: digestOf('other') }) },
  { what: 'commit of an older epoch', damage: (store) => rewrite(store, { epoch: 0 }) },
  { what: 'commit in a newer format', damage: (store) => rewrite(store, { format: 2 }) },
  { what: 'commit with an unknown critical name', damage: (store) => rewrite(store, { critical: ['chunks'] }) },
  { what: 'commit whose index is missing', damage: (store) => rewrite(store, { index: digestOf('missing') }) },
];

test.each(damages)('after a $what the last good revision stays, with the reason', async ({ damage }) => {
  const { reader, good, store } = await damaged(damage);
  expect(reader.current?.seq).toBe(1);
  expect(reader.current?.find(main, pathOf('/a'))).toEqual(good);
  expect(reader.trouble?.message).toContain('datastore: ');
  writeFileSync(join(store, 'HEAD'), '2\n');
  await reader.refresh();
  expect(reader.trouble).toBeDefined();
});

test.each(damages.slice(0, 4))(
  'after a $what who starts anew serves nothing rather than something older',
  async ({ damage }) => {
    const { folder } = await damaged(damage);
    const fresh = await openReader(folder);
    expect(fresh.current).toBeUndefined();
    expect(fresh.trouble).toMatchObject({ code: 'StoreCorrupt' });
  },
);

test('whichever object of a revision is damaged or missing, the last good one stays until it is mended', async () => {
  const { reader, store } = await damaged(() => {});
  expect(reader.current?.seq).toBe(2);
  const folder = await testFolder();
  for (const change of [flip, (path: string) => rmSync(path), (path: string) => writeFileSync(path, '')]) {
    const { reader: other, store: otherStore, writer } = await damaged(() => {});
    const known = objects(otherStore);
    await publish(writer, {
      ...changeOf({ '/a': await stored(writer, change.name + store + folder) }),
      ...vms('three'),
    });
    const fresh = objects(otherStore).filter((path) => !known.includes(path));
    expect(fresh.length).toBeGreaterThanOrEqual(4);
    for (const path of fresh) {
      renameSync(path, `${path}.kept`);
      copyFileSync(`${path}.kept`, path);
      change(path);
      await other.refresh();
      expect(other.current?.seq).toBe(2);
      expect(other.trouble?.message).toContain(path);
      renameSync(`${path}.kept`, path);
    }
    await other.refresh();
    expect(other.current?.seq).toBe(3);
    expect(other.trouble).toBeUndefined();
  }
});

test('a catalog that lies about where its records belong is refused', async () => {
  const { reader, store } = await damaged(() => {});
  const snapshot = reader.current;
  if (snapshot === undefined) throw new Error('no revision');
  const leafEntry = { '/b': snapshot.find(main, pathOf('/a')) };
  const elsewhere = ((slotOf(hashOf('/b'), 0) + 1) % fanOut).toString(16);
  const cases = [
    { kind: 'branch', children: { [elsewhere]: leaf(store, leafEntry) } },
    { kind: 'leaf', entries: { '/../b': leafEntry['/b'] } },
    { kind: 'leaf', entries: { '/b': { ...leafEntry['/b'], size: -1 } } },
    { kind: 'leaf', entries: { '/b': { ...leafEntry['/b'], digest: 'sha256:short' } } },
    { kind: 'leaf', entries: { '/b': { ...leafEntry['/b'], state: 'borrowed' } } },
    { kind: 'twig' },
  ];
  let seq = snapshot.seq;
  for (const root of cases) {
    seq += 1;
    offerCatalog(store, snapshot, seq, write(store, root));
    await reader.refresh();
    expect(reader.current?.seq).toBe(2);
    expect(reader.trouble).toMatchObject({ code: expect.stringMatching(/StoreCorrupt|InvalidPath/) });
  }
});

test('a critical name on a record is carried to who serves it, the rest of the revision stays', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const entry = await stored(writer, 'one', { critical: ['chunks'] });
  await publish(writer, changeOf({ '/a': entry, '/b': await stored(writer, 'two') }, plainlessRow));
  const reader = await openReader(folder);
  expect(reader.current?.find(main, pathOf('/a'))?.critical).toEqual(['chunks']);
  expect(reader.trouble).toBeUndefined();
});

test('a store that goes back, or becomes another one, is refused', async () => {
  const folder = await testFolder();
  const store = join(folder, '.gueststore');
  const writer = await openWriter(folder);
  for (const text of ['one', 'two'])
    await publish(writer, changeOf({ '/a': await stored(writer, text) }, plainlessRow));
  const reader = await openReader(folder);
  rmSync(join(store, 'commits/2'));
  writeFileSync(join(store, 'HEAD'), '1\n');
  await reader.refresh();
  expect(reader.current?.seq).toBe(2);
  expect(reader.trouble).toMatchObject({ code: 'StoreCorrupt' });

  renameSync(store, `${store}-away`);
  await reader.refresh();
  expect(reader.trouble).toMatchObject({ code: 'StoreUnavailable' });
  const other = await openWriter(folder);
  for (const text of ['x', 'y', 'z']) await publish(other, changeOf({ '/a': await stored(other, text) }, plainlessRow));
  await reader.refresh();
  expect(reader.current?.seq).toBe(2);
  expect(reader.trouble).toMatchObject({ code: 'ForeignStore' });
});

test('a reader that missed many revisions takes up the last', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  await publish(writer, changeOf({}, plainlessRow));
  const reader = await openReader(folder);
  const seen: number[] = [];
  reader.onChange((snapshot) => seen.push(snapshot.seq));
  const changes = Array.from({ length: 30 }, async (_, i) =>
    writer.publish(changeOf({ [`/${i}`]: await stored(writer, String(i)) }), { kind: 'observed', summary: '' }, signal),
  );
  await Promise.all(changes);
  await reader.refresh();
  expect(reader.current?.seq).toBe(31);
  expect([...(reader.current?.entries(main) ?? [])].length).toBe(30);
});

const { signal } = new AbortController();

function vms(rules: string) {
  const { vms: rows, ruleSets } = vmChange({ 'fleet/web': vmRow(rulesOf(rules)) }, rulesOf(rules));
  return { vms: rows, ruleSets };
}

function flip(path: string): void {
  const bytes = readFileSync(path);
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

/** The second commit with some fields changed, and honest about its own digest. */
function rewrite(store: string, change: Partial<Commit>): void {
  const path = join(store, 'commits/2');
  const [line = ''] = readFileSync(path, 'utf8').split('\n');
  writeFileSync(path, encodeCommit({ ...JSON.parse(line), ...change }).text);
}

function write(store: string, value: unknown): string {
  const text = canonicalJson(value);
  const digest = digestOf(text);
  const hex = digest.slice('sha256:'.length);
  mkdirSync(join(store, 'objects', hex.slice(0, 2)), { recursive: true });
  writeFileSync(join(store, 'objects', hex.slice(0, 2), hex), text);
  return digest;
}

function leaf(store: string, entries: unknown): string {
  return write(store, { kind: 'leaf', entries });
}

function offerCatalog(store: string, snapshot: Snapshot, seq: number, catalog: string): void {
  const hex = snapshot.commit.index.slice('sha256:'.length);
  const index = JSON.parse(readFileSync(join(store, 'objects', hex.slice(0, 2), hex), 'utf8'));
  index.repositories[main] = { ...index.repositories[main], catalog, items: 1 };
  const commit = { ...snapshot.commit, seq, index: write(store, index) as Commit['index'], parent: digestOf('x') };
  const [line = ''] = readFileSync(join(store, `commits/${snapshot.seq}`), 'utf8').split('\n');
  const parent = seq === snapshot.seq + 1 ? digestOf(line) : commit.parent;
  writeFileSync(join(store, `commits/${seq}`), encodeCommit({ ...commit, parent }).text);
}
