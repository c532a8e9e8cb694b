import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceDurable } from './durable.ts';
import { attempt, unlessMissing } from './failure.ts';
import { type Layout, safeName } from './layout.ts';

export async function readDocument(layout: Layout, name: string): Promise<Uint8Array | undefined> {
  const path = pathOf(layout, name);
  return await attempt('read', path, () => unlessMissing(() => readFile(path)));
}

export async function writeDocument(layout: Layout, name: string, bytes: Uint8Array): Promise<void> {
  await replaceDurable(layout, pathOf(layout, name), bytes);
}

export async function removeDocument(layout: Layout, name: string): Promise<void> {
  const path = pathOf(layout, name);
  await attempt('remove', path, () => rm(path, { force: true }));
}

/** Names in order. */
export async function listDocuments(layout: Layout): Promise<readonly string[]> {
  const names = await attempt('read', layout.documents, () => unlessMissing(() => readdir(layout.documents)));
  return (names ?? []).filter((name) => !name.startsWith('.')).sort();
}

function pathOf(layout: Layout, name: string): string {
  return join(layout.documents, safeName(name, 'document'));
}
