import { execFileSync } from 'node:child_process';
import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { testFolder } from '../../support/folder.ts';
import {
  changeOf,
  emptyChange,
  main,
  never,
  observed,
  openWriter,
  pathOf,
  plainFiles,
  plainlessRow,
  publish,
  publishedRow,
  stored,
} from '../../support/store.ts';

test('files lie under their content paths, and go with their items, folders and all', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const [one, two] = [await stored(writer, 'one'), await stored(writer, 'two')];
  await publish(writer, changeOf({ '/config/a': one, '/config/deep/er/b': two, '/größe mit leer': one }, publishedRow));
  expect(plainFiles(folder)).toEqual({
    'GuestStore/config/a': 'one',
    'GuestStore/config/deep/er/b': 'two',
    'GuestStore/größe mit leer': 'one',
  });
  await publish(writer, changeOf({ '/config/a': two, '/config/deep/er/b': undefined, '/größe mit leer': undefined }));
  expect(plainFiles(folder)).toEqual({ 'GuestStore/config/a': 'two' });
  expect(() => statSync(join(folder, 'GuestStore/config/deep'))).toThrow('ENOENT');
  expect(writer.treeTrouble).toBeUndefined();
});

test('files are for everybody to read', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const secret = await stored(writer, 'once a secret', { sensitive: true });
  const { sensitive, ...open } = secret;
  await publish(writer, changeOf({ '/open': open }, publishedRow));
  expect(statSync(join(folder, 'GuestStore/open')).mode & 0o777).toBe(0o644);
  expect(statSync(join(folder, 'GuestStore')).mode & 0o777).toBe(0o755);
});

test('an editor in the plain tree changes nothing that is served', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const entry = await stored(writer, 'served');
  await publish(writer, changeOf({ '/a': entry }, publishedRow));
  const blob = join(folder, '.gueststore/blobs/sha256', entry.digest.slice(7, 9), entry.digest.slice(9));
  expect(statSync(blob).ino).not.toBe(statSync(join(folder, 'GuestStore/a')).ino);
  writeFileSync(join(folder, 'GuestStore/a'), 'edited');
  expect(readFileSync(blob, 'utf8')).toBe('served');
});

test('secrets and what has not come yet are never there, and go when they become secret', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const secret = await stored(writer, 'secret', { sensitive: true });
  const entry = await stored(writer, 'open');
  await publish(
    writer,
    changeOf({ '/s': secret, '/p': { state: 'pending', claim: 'fleet/p' }, '/o': entry }, publishedRow),
  );
  expect(plainFiles(folder)).toEqual({ 'GuestStore/o': 'open' });
  await publish(writer, changeOf({ '/o': { ...entry, sensitive: true } }));
  expect(plainFiles(folder)).toEqual({});
});

test('a retired item keeps its file until the entry is gone', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const entry = await stored(writer, 'old');
  await publish(writer, changeOf({ '/a': entry }, publishedRow));
  await publish(writer, changeOf({ '/a': { ...entry, state: 'retired', until: '2027-01-01T00:00:00Z' } }));
  expect(plainFiles(folder)).toEqual({ 'GuestStore/a': 'old' });
  await publish(writer, changeOf({ '/a': undefined }));
  expect(plainFiles(folder)).toEqual({});
});

test('the tree moves with its root, and goes with plainTree None or its repository', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  await publish(writer, changeOf({ '/a/b': await stored(writer, 'one') }, publishedRow));
  await publish(writer, changeOf({}, { ...publishedRow, root: 'else/where' }));
  expect(plainFiles(folder)).toEqual({ 'else/where/a/b': 'one' });
  expect(() => statSync(join(folder, 'GuestStore'))).toThrow('ENOENT');
  await publish(writer, changeOf({}, plainlessRow));
  expect(plainFiles(folder)).toEqual({});
  await publish(writer, changeOf({}, publishedRow));
  expect(plainFiles(folder)).toEqual({ 'GuestStore/a/b': 'one' });
  await publish(writer, { ...emptyChange, repositories: new Map([[main, undefined]]) });
  expect(plainFiles(folder)).toEqual({});
});

test('a file of somebody else is reported, served around, and never touched', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  mkdirSync(join(folder, 'GuestStore'));
  writeFileSync(join(folder, 'GuestStore/a'), 'theirs');
  const change = changeOf({ '/a': await stored(writer, 'ours'), '/b': await stored(writer, 'fine') }, publishedRow);
  const foreign = await writer.findForeign(change);
  expect([...(foreign.get(main)?.keys() ?? [])]).toEqual(['/a']);
  expect(foreign.get(main)?.get(pathOf('/a'))).toMatch(/GuestStore\/a .*move it away/);

  await publish(writer, change);
  expect(plainFiles(folder)).toEqual({ 'GuestStore/a': 'theirs', 'GuestStore/b': 'fine' });
  expect([...(writer.blocked.get(main)?.keys() ?? [])]).toEqual(['/a']);
  await publish(writer, changeOf({ '/a': undefined }));
  expect(plainFiles(folder)).toEqual({ 'GuestStore/a': 'theirs', 'GuestStore/b': 'fine' });
  expect(writer.blocked.size).toBe(0);
});

test('a foreign file of equal bytes is foreign all the same', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  await publish(writer, changeOf({}, publishedRow));
  mkdirSync(join(folder, 'GuestStore'));
  writeFileSync(join(folder, 'GuestStore/a'), 'same');
  const foreign = await writer.findForeign(changeOf({ '/a': await stored(writer, 'same') }));
  expect(foreign.get(main)?.has(pathOf('/a'))).toBe(true);
});

test('once the foreign file is gone the path is written, without a restart and with one', async () => {
  for (const restart of [false, true]) {
    const folder = await testFolder();
    let writer = await openWriter(folder);
    mkdirSync(join(folder, 'GuestStore'));
    writeFileSync(join(folder, 'GuestStore/a'), 'theirs');
    await publish(writer, changeOf({ '/a': await stored(writer, 'ours') }, publishedRow));
    rmSync(join(folder, 'GuestStore/a'));
    if (restart) writer = await openWriter(folder);
    else expect(await writer.publish(emptyChange, observed, never)).toBeUndefined();
    expect(plainFiles(folder)).toEqual({ 'GuestStore/a': 'ours' });
    expect(writer.blocked.size).toBe(0);
  }
});

test('a file that somebody edited is neither overwritten nor removed', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  await publish(
    writer,
    changeOf({ '/a': await stored(writer, 'one'), '/b': await stored(writer, 'one') }, publishedRow),
  );
  writeFileSync(join(folder, 'GuestStore/a'), 'edited');
  writeFileSync(join(folder, 'GuestStore/b'), 'edited');
  const change = changeOf({ '/a': await stored(writer, 'two'), '/b': undefined });
  expect((await writer.findForeign(change)).get(main)?.has(pathOf('/a'))).toBe(true);
  await publish(writer, change);
  expect(plainFiles(folder)).toEqual({ 'GuestStore/a': 'edited', 'GuestStore/b': 'edited' });
});

test('copied or restored with all times changed, the files are still ours', async () => {
  const folder = await testFolder();
  const original = join(folder, 'original');
  mkdirSync(original);
  const first = await openWriter(original);
  await publish(first, changeOf({ '/a': await stored(first, 'one'), '/b': await stored(first, 'b') }, publishedRow));
  await first.close();
  execFileSync('cp', ['-r', original, join(folder, 'copy')]);
  const writer = await openWriter(join(folder, 'copy'));
  const change = changeOf({ '/a': await stored(writer, 'two'), '/b': undefined });
  expect((await writer.findForeign(change)).size).toBe(0);
  await publish(writer, change);
  expect(plainFiles(join(folder, 'copy'))).toEqual({ 'GuestStore/a': 'two' });
});

test.each(['folder', 'target'])('a symbolic link in place of the %s is not followed', async (where) => {
  const folder = await testFolder();
  const outside = await testFolder();
  const writer = await openWriter(folder);
  writeFileSync(join(outside, 'a'), 'outside');
  if (where === 'folder') symlinkSync(outside, join(folder, 'GuestStore'));
  else {
    mkdirSync(join(folder, 'GuestStore'));
    symlinkSync(join(outside, 'a'), join(folder, 'GuestStore/a'));
  }
  const change = changeOf({ '/a': await stored(writer, 'ours'), '/new': await stored(writer, 'new') }, publishedRow);
  expect((await writer.findForeign(change)).get(main)?.get(pathOf('/a'))).toContain('a symbolic link');
  await publish(writer, change);
  await publish(writer, changeOf({ '/a': undefined }));
  expect(readFileSync(join(outside, 'a'), 'utf8')).toBe('outside');
  expect(readdirSync(outside)).toEqual(['a']);
});

test('a link that replaces a folder of ours leads no removal astray', async () => {
  const folder = await testFolder();
  const outside = await testFolder();
  const writer = await openWriter(folder);
  await publish(writer, changeOf({ '/d/a': await stored(writer, 'one') }, publishedRow));
  writeFileSync(join(outside, 'a'), 'one');
  renameSync(join(folder, 'GuestStore/d'), join(folder, 'GuestStore/e'));
  symlinkSync(outside, join(folder, 'GuestStore/d'));
  await publish(writer, changeOf({ '/d/a': undefined }));
  expect(readFileSync(join(outside, 'a'), 'utf8')).toBe('one');
});

test.each([
  { what: 'a folder', make: (path: string) => mkdirSync(path) },
  { what: 'a FIFO', make: (path: string) => execFileSync('mkfifo', [path]) },
  { what: 'a device', make: (path: string) => execFileSync('mknod', [path, 'c', '1', '3']) },
])('$what at the path is in the way', async ({ what, make }) => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  mkdirSync(join(folder, 'GuestStore'));
  make(join(folder, 'GuestStore/a'));
  const change = changeOf({ '/a': await stored(writer, 'ours') }, publishedRow);
  expect((await writer.findForeign(change)).get(main)?.get(pathOf('/a'))).toContain(what);
  await publish(writer, change);
  expect(writer.blocked.get(main)?.get(pathOf('/a'))).toContain(what);
});

test('a path below the file of another item is a conflict, in one change or two', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const entry = await stored(writer, 'one');
  const both = changeOf({ '/a': entry, '/a/b': entry }, publishedRow);
  expect([...((await writer.findForeign(both)).get(main)?.keys() ?? [])]).toEqual(['/a/b']);
  await publish(writer, both);
  expect(writer.snapshot.find(main, pathOf('/a/b'))).toEqual(entry);
  expect(plainFiles(folder)).toEqual({ 'GuestStore/a': 'one' });
  expect([...(writer.blocked.get(main)?.keys() ?? [])]).toEqual(['/a/b']);

  await publish(writer, changeOf({ '/a': undefined }));
  expect(plainFiles(folder)).toEqual({ 'GuestStore/a/b': 'one' });
  expect([...((await writer.findForeign(changeOf({ '/a': entry }))).get(main)?.keys() ?? [])]).toEqual(['/a']);
});

test('a file makes room for a folder, and a folder for a file, in one revision', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const entry = await stored(writer, 'one');
  await publish(writer, changeOf({ '/a': entry }, publishedRow));
  const deeper = changeOf({ '/a': undefined, '/a/b': entry });
  expect((await writer.findForeign(deeper)).size).toBe(0);
  await publish(writer, deeper);
  expect(plainFiles(folder)).toEqual({ 'GuestStore/a/b': 'one' });
  await publish(writer, changeOf({ '/a/b': undefined, '/a': entry }));
  expect(plainFiles(folder)).toEqual({ 'GuestStore/a': 'one' });
});

test('two repositories whose roots nest do not touch each other’s files', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const [one, two] = [await stored(writer, 'one'), await stored(writer, 'two')];
  await publish(writer, changeOf({ '/sub/a': one }, { ...publishedRow, root: 'x' }));
  const nested = changeOf({ '/a': two, '/b': two }, { ...publishedRow, root: 'x/sub' }, 'fleet/nested');
  expect([...((await writer.findForeign(nested)).get('fleet/nested')?.keys() ?? [])]).toEqual(['/a']);
  await publish(writer, nested);
  expect(plainFiles(folder)).toEqual({ 'x/sub/a': 'one', 'x/sub/b': 'two' });
});

test('a hard link to a file of ours keeps the bytes that it had', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  await publish(writer, changeOf({ '/a': await stored(writer, 'one') }, publishedRow));
  linkSync(join(folder, 'GuestStore/a'), join(folder, 'kept'));
  await publish(writer, changeOf({ '/a': await stored(writer, 'two') }));
  expect(plainFiles(folder)).toEqual({ 'GuestStore/a': 'two', kept: 'one' });
});

test('a tree that fell behind catches up from whatever it shows', async () => {
  const folder = await testFolder();
  let writer = await openWriter(folder);
  const texts = ['zero', 'one', 'two', 'three'];
  const trees: string[] = [];
  for (const text of texts) {
    await publish(
      writer,
      changeOf({ '/a': await stored(writer, text), [`/${text}`]: await stored(writer, text) }, publishedRow),
    );
    trees.push(readFileSync(join(folder, '.gueststore/tree.json'), 'utf8'));
  }
  // As if killed between a commit and its tree: the record is of the first revision, the file of any later one.
  for (const lying of texts) {
    writeFileSync(join(folder, '.gueststore/tree.json'), trees[0] ?? '');
    writeFileSync(join(folder, 'GuestStore/a'), lying);
    rmSync(join(folder, 'GuestStore/two'), { force: true });
    writer = await openWriter(folder);
    expect(plainFiles(folder)).toMatchObject({ 'GuestStore/a': 'three', 'GuestStore/two': 'two' });
    expect(writer.blocked.size).toBe(0);
  }
});

test.each(['', '{', '{"seq":-1}', '[]'])(
  'a record of the tree that reads %j costs nothing but a look at the history',
  async (text) => {
    const folder = await testFolder();
    const first = await openWriter(folder);
    await publish(first, changeOf({ '/a': await stored(first, 'one'), '/b': await stored(first, 'b') }, publishedRow));
    await publish(first, changeOf({ '/a': await stored(first, 'two') }));
    writeFileSync(join(folder, 'GuestStore/a'), 'one');
    writeFileSync(join(folder, 'GuestStore/b'), 'edited');
    writeFileSync(join(folder, '.gueststore/tree.json'), text);
    const writer = await openWriter(folder);
    expect(plainFiles(folder)).toEqual({ 'GuestStore/a': 'two', 'GuestStore/b': 'edited' });
    expect([...(writer.blocked.get(main)?.keys() ?? [])]).toEqual(['/b']);
  },
);
