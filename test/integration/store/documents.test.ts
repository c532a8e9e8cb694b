import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { processMark } from '../../../src/store/process-mark.ts';
import { testFolder } from '../../support/folder.ts';
import { openWriter } from '../../support/store.ts';

test('documents are kept, listed, replaced and removed', async () => {
  const folder = await testFolder();
  const writer = await openWriter(folder);
  expect(await writer.documents()).toEqual([]);
  expect(await writer.readDocument('fleet.json')).toBeUndefined();
  for (const text of ['one', 'two']) await writer.writeDocument('fleet.json', Buffer.from(text));
  await writer.writeDocument('another', Buffer.from('x'));
  expect(await writer.documents()).toEqual(['another', 'fleet.json']);
  const again = await openWriter(folder);
  expect(Buffer.from((await again.readDocument('fleet.json')) ?? []).toString()).toBe('two');
  await writer.removeDocument('fleet.json');
  await writer.removeDocument('fleet.json');
  expect(await writer.documents()).toEqual(['another']);
});

test.each(['../store.json', 'a/b', '', '.', 'x'.repeat(300)])('a document named %j is refused', async (name) => {
  const writer = await openWriter(await testFolder());
  const refused = { code: 'InvalidArgument' };
  await expect(writer.writeDocument(name, new Uint8Array())).rejects.toMatchObject(refused);
  await expect(writer.readDocument(name)).rejects.toMatchObject(refused);
  await expect(writer.removeDocument(name)).rejects.toMatchObject(refused);
});

test('at the start tmp/ is swept of what nobody is writing any more', async () => {
  const folder = await testFolder();
  await openWriter(folder);
  const child = spawn('true');
  await once(child, 'exit');
  const [boot, namespace, start] = processMark().process.split('/');
  const nameOf = (pid: number | undefined, of = namespace) => `${pid}@${boot}@${of}@${start}.abc-1`;
  const names = {
    alive: nameOf(process.pid),
    gone: nameOf(child.pid),
    elsewhere: nameOf(child.pid, '99'),
    elsewhereOld: `${nameOf(child.pid, '99')}-old`,
    unknown: 'some-file',
    unknownOld: 'some-old-file',
  };
  const tmp = join(folder, '.gueststore/tmp');
  for (const name of Object.values(names)) writeFileSync(join(tmp, name), '');
  for (const name of [names.elsewhereOld, names.unknownOld]) utimesSync(join(tmp, name), 1, 1);
  await openWriter(folder);
  expect(readdirSync(tmp).sort()).toEqual([names.alive, names.elsewhere, names.unknown].sort());
});
