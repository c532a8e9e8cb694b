import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { link, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Commit, StoreWriter } from '../../../src/store/types.ts';
import { testFolder } from '../../support/folder.ts';
import {
  changeOf,
  listing,
  main,
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
  stored,
} from '../../support/store.ts';

/** As file systems without hard links answer. */
const noLink: typeof link = () =>
  Promise.reject(Object.assign(new Error('EPERM: no links here'), { code: 'EPERM', errno: -1 }));

test.each([
  { on: 'link(2)', how: link },
  { on: 'a file system without link(2)', how: noLink },
])('of writers that want one seq exactly one gets it, by $on', async ({ how }) => {
  for (let round = 0; round < 10; round++) {
    const folder = await testFolder();
    const writers = await Promise.all(Array.from({ length: 5 }, () => openWriter(folder, { link: how })));
    const attempts = await Promise.allSettled(writers.map((writer, i) => publishText(writer, `writer ${i}`)));
    const winners = attempts.flatMap((attempt, i) => (attempt.status === 'fulfilled' ? [i] : []));
    expect(winners.length).toBe(1);
    for (const attempt of attempts)
      if (attempt.status === 'rejected') expect(attempt.reason).toMatchObject({ code: 'Superseded' });
    const snapshot = await readSnapshot(folder);
    expect(snapshot?.seq).toBe(1);
    expect(snapshot?.find(main, pathOf('/a'))).toEqual(writers[winners[0] ?? -1]?.snapshot.find(main, pathOf('/a')));
  }
});

test('a leader that was frozen finds its seq taken, and stops for good', async () => {
  const folder = await testFolder();
  const frozen = await openWriter(folder, { claim: 'empty' });
  await publishText(frozen, 'before');
  const next = await openWriter(folder, { claim: 'empty' });
  const before = listing(folder);
  for (const text of ['one', 'two'])
    await expect(publishText(frozen, text)).rejects.toMatchObject({ code: 'Superseded' });
  await expect(frozen.publish(changeOf({ '/a': undefined }), observed, never)).rejects.toMatchObject({
    code: 'Superseded',
  });
  expect(next.snapshot.seq).toBe(2);
  // Its blobs are harmless: no revision names them.
  expect(withoutBlobs(listing(folder))).toEqual(withoutBlobs(before));
});

test('a leader whose time is over changes nothing that others see, from that very moment on', async () => {
  const folder = await testFolder();
  let asked = 0;
  let last = Number.POSITIVE_INFINITY;
  const writer = await openWriter(folder, { holds: () => asked++ < last });
  await publish(writer, changeOf({}, publishedRow));
  const entries = { '/a': await stored(writer, 'a'), '/b': await stored(writer, 'b'), '/c': await stored(writer, 'c') };
  const before = asked;
  await publish(writer, changeOf(entries));
  const steps = asked - before;
  // At each step of a publication in turn: what was visible before is, and the next step is not.
  const seen: string[] = [];
  for (let step = 0; step < steps; step += 1) {
    const copy = await testFolder();
    asked = 0;
    last = Number.POSITIVE_INFINITY;
    const one = await openWriter(copy, { holds: () => asked++ < last });
    await publish(one, changeOf({}, publishedRow));
    const stale = { '/a': await stored(one, 'a'), '/b': await stored(one, 'b'), '/c': await stored(one, 'c') };
    last = asked + step;
    await expect(one.publish(changeOf(stale), observed, never), `step ${step}`).rejects.toMatchObject({
      code: 'Superseded',
    });
    seen.push(
      `${Math.max(...readdirSync(join(copy, '.gueststore/commits')).map(Number))} ${Object.keys(plainFiles(copy)).length}`,
    );
    const after = withoutBlobs(listing(copy));
    await expect(one.publish(changeOf({ '/a': undefined }), observed, never)).rejects.toMatchObject({
      code: 'Superseded',
    });
    expect(withoutBlobs(listing(copy))).toEqual(after);
  }
  expect(seen.at(0)).toBe('1 0');
  expect(new Set(seen)).toContain('2 0');
  expect(seen.at(-1)).toBe('2 3');
});

test('a leader that was frozen until its seq was collected still stops', async () => {
  const folder = await testFolder();
  const frozen = await openWriter(folder);
  await publishText(frozen, 'before');
  const next = await openWriter(folder, { claim: 'empty' });
  await publishText(next, 'after');
  await rm(join(folder, '.gueststore/commits/2'));
  await expect(publishText(frozen, 'late')).rejects.toMatchObject({ code: 'Superseded' });
});

test('a leader that was frozen just before it takes its seq stops, though history was shortened meanwhile', async () => {
  const folder = await testFolder();
  const commits = join(folder, '.gueststore/commits');
  let frozen = false;
  const writer = await openWriter(folder, {
    // Asked for the time of the commit, when all else is done.
    now: () => {
      if (frozen) {
        renameSync(join(commits, '1'), join(commits, '9'));
        writeFileSync(join(folder, '.gueststore/HEAD'), '9\n');
      }
      return new Date();
    },
  });
  await publishText(writer, 'before');
  frozen = true;
  await expect(publishText(writer, 'late')).rejects.toMatchObject({ code: 'Superseded' });
  expect(readdirSync(commits)).toEqual(['9']);
});

test('without link(2) a reader tells a part of a commit from the whole, and the next writer goes past it', async () => {
  const folder = await testFolder();
  const first = await openWriter(folder, { link: noLink });
  await publishText(first, 'one');
  await publishText(first, 'two');
  const reader = await openReader(folder);
  const whole = readFileSync(join(folder, '.gueststore/commits/2'), 'utf8');
  for (let length = 0; length < whole.length; length += 37) {
    writeFileSync(join(folder, '.gueststore/commits/3'), whole.slice(0, length));
    await reader.refresh();
    expect(reader.current?.seq).toBe(2);
    expect(reader.trouble).toMatchObject({ code: 'StoreCorrupt' });
  }
  const second = await openWriter(folder, { link: noLink });
  expect(second.snapshot.commit).toMatchObject({ seq: 4, epoch: 2, cause: { kind: 'epoch' } });
  await reader.refresh();
  expect(reader.current?.seq).toBe(4);
  expect(reader.trouble).toBeUndefined();
  expect(reader.current?.find(main, pathOf('/a'))).toEqual(first.snapshot.find(main, pathOf('/a')));
});

test('publications that are asked for at once follow each other', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  const commits = await Promise.all(Array.from({ length: 20 }, (_, i) => publishText(writer, 'text', `/${i}`)));
  expect(commits.map(({ seq }) => seq).sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  expect([...((await readSnapshot(folder))?.entries(main) ?? [])].length).toBe(20);
});

async function publishText(writer: StoreWriter, text: string, path = '/a'): Promise<Commit> {
  return await publish(writer, changeOf({ [path]: await stored(writer, text) }, plainlessRow));
}

function withoutBlobs(files: readonly string[]): readonly string[] {
  return files.filter((line) => !/\.gueststore\/(blobs|tmp)/.test(line)).map((line) => line.replace(/ .*/, ''));
}
