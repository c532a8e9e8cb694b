import { chmod, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { assert, asyncProperty, constantFrom, option, record, uniqueArray } from 'fast-check';
import { expect, test } from 'vitest';
import type { Entry, RepositoryRow } from '../../../src/core/catalog.ts';
import type { RuleSet, VmRow } from '../../../src/core/settings.ts';
import { digestOf, ruleSetDigest } from '../../../src/store/canonical.ts';
import type { Snapshot, StoreChange } from '../../../src/store/types.ts';
import { testFolder } from '../../support/folder.ts';
import {
  changeOf,
  contentOf,
  emptyChange,
  listing,
  main,
  never,
  observed,
  openWriter,
  pathOf,
  plainlessRow,
  publish,
  publishedRow,
  readSnapshot,
  rulesOf,
  since,
  stored,
  vmChange,
  vmRow,
} from '../../support/store.ts';

test('what is published is what a reader finds, bytes included', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const entry = await stored(writer, 'hello\n');
  const rules = rulesOf('.*');
  const change = changeOf({ '/config/motd.txt': entry }, publishedRow);
  const commit = await publish(writer, { ...change, ...vms({ 'fleet/web': vmRow(rules) }, rules) });

  const snapshot = await readSnapshot(folder);
  expect(commit).toMatchObject({ format: 1, seq: 1, epoch: 1, parent: null, critical: [], signature: null });
  expect(snapshot?.commit).toEqual(commit);
  expect(snapshot?.find(main, pathOf('/config/motd.txt'))).toEqual(entry);
  expect(snapshot?.find(main, pathOf('/config/other.txt'))).toBeUndefined();
  expect(snapshot?.find('fleet/other', pathOf('/config/motd.txt'))).toBeUndefined();
  expect(snapshot?.vm('fleet/web')).toEqual(vmRow(rules));
  expect(snapshot?.ruleSet(ruleSetDigest(rules))).toEqual(rules);
  expect(contentOf(writer.snapshot)).toEqual(snapshot && contentOf(snapshot));
  expect(await readFile(blobPath(folder, entry.digest), 'utf8')).toBe('hello\n');
});

test('commits form a chain, and HEAD names the last', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  await publish(writer, changeOf({ '/a': await stored(writer, 'one') }, plainlessRow));
  const second = await publish(writer, changeOf({ '/a': await stored(writer, 'two') }));

  const [line, digest] = (await readFile(join(folder, '.gueststore/commits/1'), 'utf8')).split('\n');
  expect(digest).toBe(digestOf(line ?? ''));
  expect(second).toMatchObject({ seq: 2, epoch: 1, parent: digest });
  expect(await readFile(join(folder, '.gueststore/HEAD'), 'utf8')).toBe('2\n');
});

test('nothing is written when nothing changes, nor when the store is opened again', async () => {
  const folder = await testFolder();
  const rules = rulesOf('.*');
  const writer = await openWriter(folder);
  const entry = await stored(writer, 'hello');
  const change = { ...changeOf({ '/a': entry }, publishedRow), ...vms({ 'fleet/web': vmRow(rules) }, rules) };
  await publish(writer, change);
  await writer.close();
  const before = listing(folder);

  const again = await openWriter(folder);
  expect(await again.publish(change, observed, never)).toBeUndefined();
  expect(await again.publish(emptyChange, observed, never)).toBeUndefined();
  expect(listing(folder)).toEqual(before);
});

test('an unclean take-over claims an epoch at once, an orderly one with its first change', async () => {
  const folder = await testFolder();
  // Who made the store is the first who could write to it; whoever finds one made already may not be.
  const maker = await openWriter(folder, { claim: 'empty' });
  expect(maker.snapshot.seq).toBe(0);
  const first = await openWriter(folder, { claim: 'empty', by: 'first' });
  expect(first.snapshot.commit).toMatchObject({ seq: 1, epoch: 1, by: 'first', cause: { kind: 'epoch' } });
  const lazy = await openWriter(folder);
  expect(lazy.snapshot.seq).toBe(1);
  const commit = await publish(lazy, changeOf({ '/a': await stored(lazy, 'one') }, plainlessRow));
  expect(commit).toMatchObject({ seq: 2, epoch: 2 });
  const third = await openWriter(folder, { claim: 'empty' });
  expect(third.snapshot.commit).toMatchObject({ seq: 3, epoch: 3, index: commit.index });
});

test('a change that names bytes which are not here is refused', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const absent: Entry = { state: 'stored', claim: 'fleet/a', digest: digestOf('absent'), size: 6, since };
  const attempt = writer.publish(changeOf({ '/a': absent }, publishedRow), observed, never);
  await expect(attempt).rejects.toMatchObject({ code: 'StoreCorrupt' });
  expect(await readSnapshot(folder)).toBeUndefined();
  await publish(writer, changeOf({ '/a': { state: 'pending', claim: 'fleet/a' } }, publishedRow));
});

test('a change that contradicts itself is refused', async () => {
  const writer = await openWriter(await testFolder());
  const unknownRepository = changeOf({ '/a': { state: 'pending', claim: 'fleet/a' } });
  const unknownRules = vmChange({ 'fleet/web': vmRow(rulesOf('x')) });
  const wrongRules = { ...unknownRules, ruleSets: new Map([[ruleSetDigest(rulesOf('x')), rulesOf('y')]]) };
  const leadsAway = changeOf({}, { ...publishedRow, root: '../elsewhere' });
  const intoTheStore = changeOf({}, { ...publishedRow, root: '.gueststore/objects' });
  for (const change of [unknownRepository, unknownRules, wrongRules, leadsAway, intoTheStore])
    await expect(writer.publish(change, observed, never)).rejects.toMatchObject({ code: 'Internal' });
});

test('an aborted publication changes nothing', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const change = changeOf({ '/a': await stored(writer, 'one') }, publishedRow);
  await expect(writer.publish(change, observed, AbortSignal.abort())).rejects.toMatchObject({ code: 'Aborted' });
  expect(await readSnapshot(folder)).toBeUndefined();
});

test('equal catalogs have equal digests, whatever their history', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const entry = await stored(writer, 'one');
  await publish(writer, changeOf({ '/a': entry }, plainlessRow));
  const digest = writer.snapshot.catalogDigest(main);
  await publish(writer, changeOf({ '/b': entry }));
  expect(writer.snapshot.catalogDigest(main)).not.toBe(digest);
  await publish(writer, changeOf({ '/b': undefined }));
  expect(writer.snapshot.catalogDigest(main)).toBe(digest);
});

test('the store is nobody else’s to read, and secrets are the owner’s alone', async () => {
  const folder = await testFolder();
  await chmod(folder, 0o755);
  const writer = await openWriter(folder);
  const secret = await stored(writer, 'secret', { sensitive: true });
  const open = await stored(writer, 'open');
  expect(mode(await stat(join(folder, '.gueststore')))).toBe('700');
  expect(mode(await stat(blobPath(folder, secret.digest)))).toBe('600');
  expect(mode(await stat(blobPath(folder, open.digest)))).toBe('644');
  await stored(writer, 'open', { sensitive: true });
  expect(mode(await stat(blobPath(folder, open.digest)))).toBe('600');
});

test('random changes leave what a plain map would hold, also for who opens the store afterwards', async () => {
  const folder = await testFolder();
  let run = 0;
  const contents = ['', 'a', 'bb', 'x'.repeat(2_000_000)];
  const path = constantFrom('/a', '/b', '/a/b', '/dir/c', '/dir/sub/d', '/größe');
  const vm = constantFrom('fleet/v1', 'fleet/v2', 'other/v1');
  const round = record({
    entries: uniqueArray(
      record({
        path,
        content: option(constantFrom(...contents), { nil: undefined }),
        sensitive: constantFrom(true, false),
      }),
      { selector: (entry) => entry.path },
    ),
    row: constantFrom(publishedRow, plainlessRow, { ...publishedRow, root: 'moved/here' }),
    vms: uniqueArray(record({ vm, rules: option(constantFrom('a', 'b'), { nil: undefined }) }), {
      selector: (one) => one.vm,
    }),
  });
  const rounds = asyncProperty(uniqueArray(round, { minLength: 1, maxLength: 6 }), async (changes) => {
    run += 1;
    const store = join(folder, String(run));
    await mkdir(store);
    const model = { entries: new Map<string, Entry>(), vms: new Map<string, VmRow>(), row: plainlessRow };
    let writer = await openWriter(store);
    for (const { entries, row, vms: changedVms } of changes) {
      const named: Record<string, Entry | undefined> = {};
      for (const { path: at, content, sensitive } of entries) {
        const more = sensitive ? { sensitive: true as const } : {};
        named[at] = content === undefined ? undefined : await stored(writer, content, more);
      }
      const rows = changedVms.map(({ vm: key, rules }) => [
        key,
        rules === undefined ? undefined : vmRow(rulesOf(rules)),
      ]);
      const vmRows: Record<string, VmRow | undefined> = Object.fromEntries(rows);
      await writer.publish({ ...changeOf(named, row), ...vms(vmRows, rulesOf('a'), rulesOf('b')) }, observed, never);
      apply(model, named, vmRows, row);
      expectModel(writer.snapshot, model);
      writer = await openWriter(store);
      expectModel(writer.snapshot, model);
    }
    const snapshot = await readSnapshot(store);
    if (snapshot === undefined) throw new Error('nothing was committed');
    expectModel(snapshot, model);
    expect(await readdir(join(store, '.gueststore/tmp'))).toEqual([]);
  });
  await assert(rounds, { numRuns: 25 });
});

interface Model {
  readonly entries: Map<string, Entry>;
  readonly vms: Map<string, VmRow>;
  row: RepositoryRow;
}

function apply(
  model: Model,
  entries: Readonly<Record<string, Entry | undefined>>,
  vmRows: Readonly<Record<string, VmRow | undefined>>,
  row: RepositoryRow,
): void {
  model.row = row;
  for (const [path, entry] of Object.entries(entries))
    entry === undefined ? model.entries.delete(path) : model.entries.set(path, entry);
  for (const [key, vm] of Object.entries(vmRows)) vm === undefined ? model.vms.delete(key) : model.vms.set(key, vm);
}

function expectModel(snapshot: Snapshot, model: Model): void {
  expect(new Map(snapshot.entries(main))).toEqual(model.entries);
  for (const [path, entry] of model.entries) expect(snapshot.find(main, pathOf(path))).toEqual(entry);
  expect(new Map(snapshot.vms())).toEqual(model.vms);
  for (const { ruleSet } of model.vms.values()) expect(ruleSet && snapshot.ruleSet(ruleSet)).toBeDefined();
  expect(snapshot.repositories.get(main)).toEqual(model.row);
}

/** Of a change, the half about VMs. */
function vms(
  rows: Readonly<Record<string, VmRow | undefined>>,
  ...rules: readonly RuleSet[]
): Pick<StoreChange, 'vms' | 'ruleSets'> {
  const { vms: named, ruleSets } = vmChange(rows, ...rules);
  return { vms: named, ruleSets };
}

function blobPath(folder: string, digest: string): string {
  const hex = digest.slice('sha256:'.length);
  return join(folder, '.gueststore/blobs/sha256', hex.slice(0, 2), hex.slice(2));
}

function mode(stats: { readonly mode: number }): string {
  return (stats.mode & 0o777).toString(8);
}
