import { assert, dictionary, integer, option, property, record, string, uniqueArray } from 'fast-check';
import { expect, test } from 'vitest';
import type { StoredObject } from '../../src/store/canonical.ts';
import { changed, differences, emptyTrie, entriesOf, find, hashOf, leafSize, type Trie } from '../../src/store/trie.ts';

interface Row {
  readonly n: number;
}

/** Without a pause. */
function changedAtOnce(...[trie, changes, emit]: Parameters<typeof changed<Row>>): Trie<Row> {
  const work = changed(trie, changes, emit);
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
}

function trieOf(entries: Iterable<readonly [string, Row]>): Trie<Row> {
  return changedAtOnce(emptyTrie<Row>(), new Map(entries), () => {});
}

function rows(count: number): Map<string, Row> {
  return new Map(Array.from({ length: count }, (_, n) => [`/files/${n}.bin`, { n }]));
}

const keys = string({ unit: 'binary', minLength: 1, maxLength: 12 }).filter((key) => key.isWellFormed());
const changes = uniqueArray(record({ key: keys, value: option(record({ n: integer() }), { nil: undefined }) }), {
  selector: ({ key }) => key,
  maxLength: 400,
  size: 'max',
});

test('a trie holds what a map would hold, and has the shape that its content alone decides', () => {
  assert(
    property(changes, changes, changes, (...rounds) => {
      const model = new Map<string, Row>();
      let trie = emptyTrie<Row>();
      for (const round of rounds) {
        const change = new Map(round.map(({ key, value }) => [key, value]));
        for (const [key, value] of change) value === undefined ? model.delete(key) : model.set(key, value);
        trie = changedAtOnce(trie, change, () => {});
      }
      expect(new Map(entriesOf(trie))).toEqual(model);
      expect(trie.size).toBe(model.size);
      for (const [key, value] of model) expect(find(trie, key)).toEqual(value);
      expect(trie.digest).toBe(trieOf([...model].reverse()).digest);
    }),
    { numRuns: 60 },
  );
});

test('differences are exactly the keys whose records differ', () => {
  const contents = dictionary(keys, record({ n: integer({ min: 0, max: 2 }) }), { maxKeys: 300, size: 'max' });
  assert(
    property(contents, contents, (before, after) => {
      const [old, now] = [new Map(Object.entries(before)), new Map(Object.entries(after))];
      const expected = new Set([...old.keys(), ...now.keys()].filter((key) => old.get(key)?.n !== now.get(key)?.n));
      const found = [...differences(trieOf(old), trieOf(now))];
      expect(new Set(found.map(({ key }) => key))).toEqual(expected);
      expect(found.length).toBe(expected.size);
      for (const { key, before: was, after: is } of found) expect([was, is]).toEqual([old.get(key), now.get(key)]);
    }),
    { numRuns: 60 },
  );
});

test.each([100, 1_000, 10_000])('a change to one of %i records writes little, and all that it needs', (count) => {
  const trie = trieOf(rows(count));
  const written: StoredObject[] = [];
  const next = changedAtOnce(trie, new Map([['/files/7.bin', { n: -1 }]]), (object) => written.push(object));
  expect(written.length).toBeLessThanOrEqual(3);
  expect(written.map(({ digest }) => digest)).toContain(next.digest);
  expect(written.reduce((sum, { text }) => sum + text.length, 0)).toBeLessThan(10_000);
});

test('10,000 records lie in a few hundred objects', () => {
  const written = new Set<string>();
  changedAtOnce(emptyTrie<Row>(), rows(10_000), ({ digest }) => written.add(digest));
  expect(written.size).toBeLessThan(400);
});

test('a change that changes nothing gives the same trie and writes nothing', () => {
  const trie = trieOf(rows(1_000));
  const written: StoredObject[] = [];
  const same = changedAtOnce(
    trie,
    new Map([
      ['/files/7.bin', { n: 7 }],
      ['/absent', undefined],
    ]),
    (object) => written.push(object),
  );
  expect(same).toBe(trie);
  expect(written).toEqual([]);
});

test('a branch that shrinks becomes the leaf that it would have been', () => {
  const full = trieOf(rows(leafSize + 1));
  expect(full.kind).toBe('branch');
  const written: StoredObject[] = [];
  const shrunk = changedAtOnce(full, new Map([['/files/0.bin', undefined]]), (object) => written.push(object));
  expect(shrunk.kind).toBe('leaf');
  expect(written.map(({ digest }) => digest)).toEqual([shrunk.digest]);
  expect(changedAtOnce(shrunk, new Map([['/files/0.bin', { n: 0 }]]), () => {}).digest).toBe(full.digest);
});

test('keys whose hashes are equal share a leaf, however many they are', () => {
  const alike = new Map(alikeKeys(leafSize + 10).map((key, n) => [key, { n }]));
  expect(new Set([...alike.keys()].map(hashOf)).size).toBe(1);
  const trie = trieOf(alike);
  expect(new Map(entriesOf(trie))).toEqual(alike);
  for (const [key, value] of alike) expect(find(trie, key)).toEqual(value);
});

/** Keys of one hash: FNV-1a takes a byte at a time, so blocks that lead from one state to the same other state may be mixed. */
function alikeKeys(count: number): readonly string[] {
  let state = '';
  const pairs: (readonly [string, string])[] = [];
  while (2 ** pairs.length < count) {
    const pair = collision(state);
    pairs.push(pair);
    state += pair[0];
  }
  const choose = (n: number) => pairs.map((pair, bit) => ((n >> bit) & 1 ? pair[1] : pair[0])).join('');
  return Array.from({ length: count }, (_, n) => choose(n));
}

/** Two blocks that lead to one hash after `prefix`; by the birthday paradox some 100,000 tries find them. */
function collision(prefix: string): readonly [string, string] {
  const seen = new Map<number, string>();
  for (let n = 0; ; n++) {
    const block = n.toString(36).padStart(6, '0');
    const hash = hashOf(prefix + block);
    const other = seen.get(hash);
    if (other !== undefined) return [other, block];
    seen.set(hash, block);
  }
}

test('the hash is the documented one', () => {
  // Computed by a program in another language from docs/datastore.md.
  expect(['', 'a', '/config/motd.txt', '/größe'].map((key) => hashOf(key))).toMatchInlineSnapshot(`
    [
      2872998923,
      444641715,
      2151918708,
      1297982246,
    ]
  `);
});
