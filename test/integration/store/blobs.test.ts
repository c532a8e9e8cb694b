import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { digestOf } from '../../../src/store/canonical.ts';
import { testFolder } from '../../support/folder.ts';
import { changeOf, never, openWriter, plainlessRow, publish, stored } from '../../support/store.ts';

const mebibyte = 1024 * 1024;

async function* chunks(count: number, size: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < count; i++) yield Buffer.alloc(size, i);
}

async function filesBelow(folder: string): Promise<readonly string[]> {
  const entries = await readdir(join(folder, '.gueststore'), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

test.each([
  { what: 'nothing at all', count: 0, size: 1 },
  { what: 'one byte', count: 1, size: 1 },
  { what: 'one piece exactly', count: 1, size: mebibyte },
  { what: 'many small chunks', count: 3_000, size: 1_000 },
  { what: 'chunks larger than a piece', count: 3, size: 3 * mebibyte + 7 },
])('$what comes out as it went in', async ({ count, size }) => {
  const writer = await openWriter(await testFolder());
  const whole = Buffer.concat(await Array.fromAsync(chunks(count, size)));
  const blob = await writer.putBlob(chunks(count, size), { maxSize: whole.length }, never);
  expect(blob).toEqual({ digest: digestOf(whole), size: whole.length });
  expect(await writer.hasBlob(blob.digest)).toBe(true);
});

test.each([
  { what: 'small', count: 1, size: 100 },
  { what: 'large', count: 5, size: mebibyte },
])('of $what content that crosses a bound or has another digest nothing is kept', async ({ count, size }) => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const before = await filesBelow(folder);
  const tooLarge = writer.putBlob(chunks(count, size), { maxSize: count * size - 1 }, never);
  await expect(tooLarge).rejects.toMatchObject({ code: 'TooLarge' });
  const expected = digestOf('something else');
  const mismatch = writer.putBlob(chunks(count, size), { maxSize: count * size, expected }, never);
  await expect(mismatch).rejects.toMatchObject({ code: 'DigestMismatch' });
  expect(await filesBelow(folder)).toEqual(before);
});

test('a source that gives too much is stopped at once, not read to its end', async () => {
  const writer = await openWriter(await testFolder());
  let given = 0;
  let stopped = false;
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        given += 1;
        yield Buffer.alloc(mebibyte);
      }
    } finally {
      stopped = true;
    }
  }
  const put = writer.putBlob(endless(), { maxSize: 4 * mebibyte }, never);
  await expect(put).rejects.toMatchObject({ code: 'TooLarge' });
  expect(given).toBe(5);
  expect(stopped).toBe(true);
});

test('a source that stalls is left behind when the work is aborted', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const before = await filesBelow(folder);
  const abort = new AbortController();
  async function* stalling(): AsyncGenerator<Uint8Array> {
    yield Buffer.alloc(2 * mebibyte);
    abort.abort();
    await new Promise(() => {});
  }
  const put = writer.putBlob(stalling(), { maxSize: 10 * mebibyte }, abort.signal);
  await expect(put).rejects.toMatchObject({ code: 'Aborted' });
  expect(await filesBelow(folder)).toEqual(before);
});

test('what a source throws comes through, and nothing is kept', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const before = await filesBelow(folder);
  const failure = new Error('the line went dead');
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield Buffer.alloc(2 * mebibyte);
    throw failure;
  }
  await expect(writer.putBlob(failing(), { maxSize: 10 * mebibyte }, never)).rejects.toBe(failure);
  expect(await filesBelow(folder)).toEqual(before);
});

test('bytes that a power cut left torn are not taken for whole', async () => {
  const folder = await testFolder();
  const first = await openWriter(folder);
  const { digest } = await stored(first, 'whole content');
  await writeFile(blobPath(folder, digest), 'whole');
  const second = await openWriter(folder);
  expect(await second.hasBlob(digest)).toBe(false);
  await stored(second, 'whole content');
  expect(await second.hasBlob(digest)).toBe(true);
});

test('bytes that somebody removed are missing, also when a revision names them', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const entry = await stored(writer, 'content');
  await publish(writer, changeOf({ '/a': entry }, plainlessRow));
  await rm(blobPath(folder, entry.digest));
  expect(await writer.hasBlob(entry.digest)).toBe(false);
  await stored(writer, 'content');
  expect(await writer.hasBlob(entry.digest)).toBe(true);
});

test('equal bytes are kept once, and many puts at once do not meet', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const before = (await filesBelow(folder)).length;
  const puts = Array.from({ length: 40 }, (_, i) =>
    writer.putBlob(chunks(2, i % 2 === 0 ? 10 : mebibyte), { maxSize: 2 * mebibyte }, never),
  );
  expect(new Set((await Promise.all(puts)).map(({ digest }) => digest)).size).toBe(2);
  expect((await filesBelow(folder)).length).toBe(before + 2);
});

function blobPath(folder: string, digest: string): string {
  const hex = digest.slice('sha256:'.length);
  return join(folder, '.gueststore/blobs/sha256', hex.slice(0, 2), hex.slice(2));
}
