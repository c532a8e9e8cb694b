import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Entry } from '../../../src/core/catalog.ts';
import type { StoreChange, StoreWriter } from '../../../src/store/types.ts';
import { testFolder } from '../../support/folder.ts';
import {
  changeOf,
  main,
  never,
  observed,
  openWriter,
  plainlessRow,
  publish,
  readSnapshot,
  stored,
} from '../../support/store.ts';

/** Puts programs of the test's own, or none, in the place of all that the machine has. */
async function onlyProgram(script: string | undefined): Promise<string> {
  const folder = await testFolder();
  const before = process.env.PATH;
  onTestFinished(() => {
    process.env.PATH = before;
  });
  process.env.PATH = folder;
  if (script !== undefined) writeFileSync(join(folder, 'sync'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return folder;
}

async function many(writer: StoreWriter): Promise<StoreChange> {
  const entries: Record<string, Entry> = {};
  for (let i = 0; i < 100; i++) entries[`/${i}`] = await stored(writer, `content ${i}`);
  return changeOf(entries, plainlessRow);
}

test('many files are brought onto disk by one sync of their file system, before the commit', async () => {
  const folder = await testFolder();
  const late = `[ -e ${folder}/.gueststore/commits/1 ] && echo late >> "$0.log"`;
  const programs = await onlyProgram(`${late}; echo "$@" >> "$0.log"`);
  const writer = await openWriter(folder);
  await publish(writer, await many(writer));
  expect(readFileSync(join(programs, 'sync.log'), 'utf8')).toBe(`-f ${folder}/.gueststore\n`);
});

test.each([
  { what: 'no sync(1)', script: undefined },
  { what: 'one that does not know -f', script: 'echo "sync: unrecognized option: f" >&2; exit 1' },
])('with $what each file is synced by itself', async ({ script }) => {
  const folder = await testFolder();
  await onlyProgram(script);
  const writer = await openWriter(folder);
  await publish(writer, await many(writer));
  expect([...((await readSnapshot(folder))?.entries(main) ?? [])].length).toBe(100);
});

test('after a failed sync nothing is committed, and what may be lost has to come again', async () => {
  const folder = await testFolder();
  const programs = await onlyProgram('echo "sync: error syncing: Input/output error" >&2; exit 1');
  const writer = await openWriter(folder);
  const change = await many(writer);
  await expect(writer.publish(change, observed, never)).rejects.toMatchObject({
    code: 'StoreUnavailable',
    message: expect.stringContaining('Input/output error'),
  });
  expect(existsSync(join(folder, '.gueststore/commits/1'))).toBe(false);
  const entries = [...(change.entries.get(main)?.values() ?? [])];
  for (const entry of entries) expect(entry?.state === 'stored' && (await writer.hasBlob(entry.digest))).toBe(false);

  writeFileSync(join(programs, 'sync'), '#!/bin/sh\n', { mode: 0o755 });
  await expect(writer.publish(change, observed, never)).rejects.toMatchObject({ code: 'StoreCorrupt' });
  expect(await publish(writer, await many(writer))).toMatchObject({ seq: 1 });
});
