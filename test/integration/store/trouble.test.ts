import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { StoreWriter } from '../../../src/store/types.ts';
import { testFolder } from '../../support/folder.ts';
import {
  changeOf,
  emptyChange,
  main,
  mountSmall,
  never,
  observed,
  openReader,
  openWriter,
  pathOf,
  plainFiles,
  plainlessRow,
  publish,
  publishedRow,
  readSnapshot,
  rulesOf,
  stored,
  vmChange,
  vmRow,
} from '../../support/store.ts';

const mebibyte = 1024 * 1024;

/** A store on a file system of 8 MiB. */
async function smallStore(): Promise<{ readonly folder: string; readonly writer: StoreWriter }> {
  const folder = await testFolder();
  mountSmall(folder, '8m');
  const writer = await openWriter(folder);
  await publish(writer, changeOf({ '/first': await stored(writer, 'first') }, plainlessRow));
  return { folder, writer };
}

/** Takes all the space that is left, down to the last page. */
function fill(folder: string): void {
  const { bavail, bsize } = statfsSync(folder);
  try {
    writeFileSync(join(folder, 'filler'), Buffer.alloc(bavail * bsize, 1));
  } catch {
    // The last page may be gone already.
  }
}

test('content that does not fit leaves nothing behind, and says why', async () => {
  const { folder, writer } = await smallStore();
  const before = statfsSync(folder).bfree;
  for (const size of [7 * mebibyte, 900_000]) {
    if (size < mebibyte) fill(folder);
    const free = statfsSync(folder).bfree;
    await expect(stored(writer, 'x'.repeat(size))).rejects.toMatchObject({
      code: 'StoreUnavailable',
      message: expect.stringMatching(/ENOSPC.*free space/),
    });
    expect(statfsSync(folder).bfree).toBe(free);
  }
  rmSync(join(folder, 'filler'));
  expect(statfsSync(folder).bfree).toBe(before);
  expect((await readSnapshot(folder))?.seq).toBe(1);
  await publish(writer, changeOf({ '/second': await stored(writer, 'x'.repeat(900_000)) }));
});

test('a revocation and its status pass on a full disk, time and again', async () => {
  const { folder, writer } = await smallStore();
  await publish(writer, vmChange({ 'fleet/web': vmRow(rulesOf('one')) }, rulesOf('one')));
  expect(statSync(join(folder, '.gueststore/reserve')).size).toBeGreaterThan(mebibyte);
  fill(folder);
  expect(statfsSync(folder).bavail).toBe(0);
  await expect(stored(writer, 'more content')).rejects.toMatchObject({ code: 'StoreUnavailable' });
  for (let n = 0; n < 10; n++) {
    const rules = rulesOf(`revoked ${n}`);
    const { seq } = await publish(writer, vmChange({ 'fleet/web': vmRow(rules) }, rules));
    await writer.writeDocument('up.json', Buffer.from(`no space since ${n}`));
    const snapshot = await readSnapshot(folder);
    expect(snapshot?.seq).toBe(seq);
    expect(snapshot?.vm('fleet/web')).toEqual(vmRow(rules));
  }
  rmSync(join(folder, 'filler'));
  await publish(writer, vmChange({ 'fleet/web': undefined }));
  expect(statSync(join(folder, '.gueststore/reserve')).size).toBeGreaterThan(mebibyte);
});

test('a plain tree that does not fit stops no publication, and fills up once there is room', async () => {
  const { folder, writer } = await smallStore();
  const entry = await stored(writer, 'x'.repeat(3 * mebibyte));
  fill(folder);
  await publish(writer, changeOf({ '/first': undefined, '/big': entry }, publishedRow));
  expect((await readSnapshot(folder))?.find(main, pathOf('/big'))).toEqual(entry);
  expect(writer.blocked.get(main)?.get(pathOf('/big'))).toMatch(/ENOSPC.*free space/);
  expect(plainFiles(folder)).not.toHaveProperty('GuestStore/big');
  rmSync(join(folder, 'filler'));
  expect(await writer.publish(emptyChange, observed, never)).toBeUndefined();
  expect(writer.blocked.size).toBe(0);
  expect(statSync(join(folder, 'GuestStore/big')).size).toBe(3 * mebibyte);
  expect(readdirSync(join(folder, '.gueststore/tmp'))).toEqual([]);
});

test('a file that could not be replaced for want of space is replaced later, and still ours', async () => {
  const { folder, writer } = await smallStore();
  await publish(writer, changeOf({ '/big': await stored(writer, 'old') }, publishedRow));
  const [two, three] = [await stored(writer, '2'.repeat(1_200_000)), await stored(writer, '3'.repeat(1_100_000))];
  fill(folder);
  await publish(writer, changeOf({ '/big': two }));
  expect(plainFiles(folder)['GuestStore/big']).toBe('old');
  rmSync(join(folder, 'filler'));
  const change = changeOf({ '/big': three });
  expect((await writer.findForeign(change)).size).toBe(0);
  await publish(writer, change);
  expect(writer.blocked.size).toBe(0);
  expect(statSync(join(folder, 'GuestStore/big')).size).toBe(1_100_000);
});

test('on a read-only file system nothing is half done, and all is well once it is writable', async () => {
  const { folder, writer } = await smallStore();
  const change = changeOf({ '/second': await stored(writer, 'second') }, publishedRow);
  const reader = await openReader(folder);
  execFileSync('mount', ['-o', 'remount,ro', folder]);
  onTestFinished(() => void execFileSync('mount', ['-o', 'remount,rw', folder]));
  const readOnly = { code: 'StoreUnavailable', message: expect.stringMatching(/EROFS.*writable/) };
  await expect(writer.publish(change, observed, never)).rejects.toMatchObject(readOnly);
  await expect(stored(writer, 'third')).rejects.toMatchObject(readOnly);
  await expect(openWriter(folder, { claim: 'empty' })).rejects.toMatchObject(readOnly);
  await reader.refresh();
  expect(reader.current?.seq).toBe(1);
  expect(reader.trouble).toBeUndefined();

  execFileSync('mount', ['-o', 'remount,rw', folder]);
  await publish(writer, change);
  expect(plainFiles(folder)).toMatchObject({ 'GuestStore/second': 'second' });
});

test('a reader needs no right to write but in hosts/', async () => {
  const { folder } = await smallStore();
  const view = await testFolder();
  mkdirSync(join(view, 'store'));
  execFileSync('mount', ['--bind', folder, join(view, 'store')]);
  onTestFinished(() => void execFileSync('umount', ['-l', join(view, 'store')]));
  execFileSync('mount', ['-o', 'remount,bind,ro', join(view, 'store')]);
  execFileSync('mount', ['--bind', join(folder, '.gueststore/hosts'), join(view, 'store/.gueststore/hosts')]);
  onTestFinished(() => void execFileSync('umount', ['-l', join(view, 'store/.gueststore/hosts')]));
  const reader = await openReader(join(view, 'store'));
  expect(reader.current?.seq).toBe(1);
  await reader.acknowledge(acknowledgement());
  const writer = await openWriter(folder);
  expect(await writer.acknowledgements()).toEqual([acknowledgement()]);
  await reader.withdraw('host-a', 'one');
  expect(await writer.acknowledgements()).toEqual([]);
});

function acknowledgement() {
  return {
    host: 'host-a',
    instance: 'one',
    seq: 1,
    heartbeat: '2026-11-23T07:06:52Z',
    startedAt: '2026-11-23T07:06:52Z',
    pid: 1,
    process: 'boot/1/2',
    formats: [1],
    version: '0.1.0',
    space: { free: 1, total: 2 },
    refused: {},
    errors: [],
  };
}
