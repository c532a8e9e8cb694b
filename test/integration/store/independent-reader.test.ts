import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { testFolder } from '../../support/folder.ts';
import {
  changeOf,
  contentOf,
  openWriter,
  plainlessRow,
  publish,
  publishedRow,
  rulesOf,
  stored,
  vmChange,
  vmRow,
} from '../../support/store.ts';

const program = fileURLToPath(new URL('../../support/store-programs/read_store.py', import.meta.url));

test('a program that knows only docs/datastore.md reads every revision as we do', async () => {
  const folder = await testFolder();
  // Made by another: then even the first revision may be an empty claim.
  await openWriter(folder);
  const writer = await openWriter(folder, { claim: 'empty' });
  const expectAlike = () => {
    const read = execFileSync('python3', [program, folder], { maxBuffer: 64 * 1024 * 1024 });
    expect(JSON.parse(read.toString())).toEqual(JSON.parse(JSON.stringify(contentOf(writer.snapshot))));
  };
  expectAlike();
  const one = await stored(writer, 'one');
  await publish(
    writer,
    changeOf({ '/größe': one, '/secret': await stored(writer, 's', { sensitive: true }) }, publishedRow),
  );
  expectAlike();
  const many = Object.fromEntries(Array.from({ length: 3_000 }, (_, i) => [`/files/${i}`, one]));
  await publish(
    writer,
    changeOf({ ...many, '/later': { state: 'pending', claim: 'fleet/later' } }, plainlessRow, 'fleet/other'),
  );
  const rules = [rulesOf(), rulesOf('.*'), rulesOf('/größe', '/b')];
  const vms = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`fleet/vm-${i}`, vmRow(rules[i % 3] ?? null)]));
  await publish(writer, vmChange({ ...vms, 'fleet/none': vmRow(null, { refused: 'two on one channel' }) }, ...rules));
  expectAlike();
  await publish(
    writer,
    changeOf(
      Object.fromEntries(
        Object.keys(many)
          .slice(100)
          .map((path) => [path, undefined]),
      ),
      undefined,
      'fleet/other',
    ),
  );
  expectAlike();
});
