import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { testFolder } from '../../support/folder.ts';
import {
  changeOf,
  emptyChange,
  never,
  observed,
  openWriter,
  plainFiles,
  publish,
  publishedRow,
  stored,
} from '../../support/store.ts';

test('a store is made in an empty folder, or beside what lies there', async () => {
  const folder = await testFolder();
  writeFileSync(join(folder, 'theirs'), 'text');
  const writer = await openWriter(folder);
  expect(JSON.parse(readFileSync(join(folder, '.gueststore/store.json'), 'utf8'))).toEqual(writer.identity);
  expect(writer.identity).toMatchObject({ format: 1, installation: 'test' });
  expect(plainFiles(folder)).toEqual({ theirs: 'text' });
  expect((await openWriter(folder)).identity).toEqual(writer.identity);
});

test('writers that start at once agree on one identity', async () => {
  const folder = await testFolder();
  const writers = await Promise.all(Array.from({ length: 6 }, () => openWriter(folder)));
  expect(new Set(writers.map(({ identity }) => identity.id)).size).toBe(1);
});

test('a folder that is missing is an error, and nothing is made in its place', async () => {
  const folder = join(await testFolder(), 'not', 'mounted');
  await expect(openWriter(folder)).rejects.toMatchObject({
    code: 'StoreUnavailable',
    message: expect.stringMatching(/not\/mounted: ENOENT.*see that the datastore is mounted/s),
  });
  expect(existsSync(folder)).toBe(false);
  expect((await openWriter(folder, { create: true })).snapshot.seq).toBe(0);
});

test('a file in place of the folder is an error', async () => {
  const folder = join(await testFolder(), 'file');
  writeFileSync(folder, '');
  for (const create of [false, true])
    await expect(openWriter(folder, { create })).rejects.toMatchObject({ code: 'StoreUnavailable' });
});

test('the store of another installation is refused and named', async () => {
  const folder = await testFolder();
  await openWriter(folder, { installation: 'cluster-a' });
  await expect(openWriter(folder, { installation: 'cluster-b' })).rejects.toMatchObject({
    code: 'ForeignStore',
    message: expect.stringContaining('cluster-a'),
  });
});

test('the store of a newer version is refused and named', async () => {
  const folder = await testFolder();
  await openWriter(folder);
  const path = join(folder, '.gueststore/store.json');
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), format: 2 }));
  await expect(openWriter(folder)).rejects.toMatchObject({
    code: 'FormatNotSupported',
    message: expect.stringContaining('format 2'),
  });
});

test('a store that lost its identity is not made anew over its revisions', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  await publish(writer, changeOf({ '/a': await stored(writer, 'one') }, publishedRow));
  rmSync(join(folder, '.gueststore/store.json'));
  await expect(openWriter(folder)).rejects.toMatchObject({ code: 'StoreCorrupt' });
});

test.each([
  { what: 'an empty folder (its file system went away)', code: 'StoreUnavailable', becomes: 'empty' },
  { what: 'no folder at all', code: 'StoreUnavailable', becomes: 'gone' },
  { what: 'another store', code: 'StoreUnavailable', becomes: 'other' },
])('where the store becomes $what, nothing is written, and all is well when it is back', async ({ code, becomes }) => {
  const base = await testFolder();
  const folder = join(base, 'store');
  mkdirSync(folder);
  const writer = await openWriter(folder);
  await publish(writer, changeOf({ '/a': await stored(writer, 'one') }, publishedRow));
  const change = changeOf({ '/a': await stored(writer, 'two') });

  renameSync(folder, join(base, 'away'));
  if (becomes !== 'gone') mkdirSync(folder);
  if (becomes === 'other') await openWriter(folder);
  const before = becomes === 'gone' ? [] : readdirSync(folder, { recursive: true });
  await expect(writer.publish(change, observed, never)).rejects.toMatchObject({ code });
  await expect(writer.publish(emptyChange, observed, never)).rejects.toMatchObject({ code });
  if (becomes !== 'other') {
    await expect(stored(writer, 'three')).rejects.toMatchObject({ code });
    await expect(writer.writeDocument('status', new Uint8Array())).rejects.toMatchObject({ code });
  }
  expect(becomes === 'gone' ? existsSync(folder) : readdirSync(folder, { recursive: true })).toEqual(
    becomes === 'gone' ? false : before,
  );

  rmSync(folder, { recursive: true, force: true });
  renameSync(join(base, 'away'), folder);
  await publish(writer, change);
  expect(plainFiles(folder)).toEqual({ 'GuestStore/a': 'two' });
});
