import { link, readdir, readFile } from 'node:fs/promises';
import type { Digest } from '../core/digest.ts';
import { GuestStoreError } from '../lib/errors.ts';
import { canonicalJson, digestOf } from './canonical.ts';
import { createDurable, replaceQuickly } from './durable.ts';
import { attempt, unlessMissing } from './failure.ts';
import { corrupt } from './fields.ts';
import type { Layout } from './layout.ts';
import { parseCommit } from './records.ts';
import type { Commit } from './types.ts';

/** Bytes. */
const maxCommit = 1024 * 1024;

/** A commit with the digest that its child names as parent. */
export interface NamedCommit {
  readonly commit: Commit;
  readonly digest: Digest;
}

/**
 * The record in one line, its digest in the next: where link(2) is missing a reader must be able to tell that the file is
 * whole, and a commit is the one record that no other record's digest leads to.
 */
export function encodeCommit(commit: Commit): { readonly text: string; readonly digest: Digest } {
  const line = canonicalJson(commit);
  const digest = digestOf(line);
  return { text: `${line}\n${digest}\n`, digest };
}

/**
 * Undefined when there is none; `partial` for the beginning of one, left by a writer that died where link(2) is missing: it
 * was never committed. Throws `StoreCorrupt` for one that is whole and wrong.
 */
export async function readCommit(layout: Layout, seq: number): Promise<NamedCommit | 'partial' | undefined> {
  const path = layout.commit(seq);
  const text = await attempt('read', path, () => unlessMissing(() => readFile(path, 'utf8')));
  if (text === undefined) return undefined;
  const [line, digest, end, ...more] = text.length > maxCommit ? ['', '', '-'] : text.split('\n');
  if (line === undefined || digest === undefined || end === undefined || text.includes('\0')) return 'partial';
  if (end !== '' || more.length > 0 || digestOf(line) !== digest)
    throw corrupt(`datastore: ${path} does not hold what its digest says; restore it from a backup`);
  const commit = parseCommit(line, `datastore: ${path}`);
  if (commit.seq !== seq) throw corrupt(`datastore: ${path} holds commit ${commit.seq}; restore it from a backup`);
  return { commit, digest: digestOf(line) };
}

/** The highest seq that lies there, whole or not; 0 when none does. `from`: a seq that is known to exist. */
export async function findHighest(layout: Layout, from: number): Promise<number> {
  const hint = Math.max(from, await readHead(layout));
  let highest = hint > 0 && (await exists(layout, hint)) ? hint : await listHighest(layout);
  while (await exists(layout, highest + 1)) highest += 1;
  return highest;
}

/** Every seq that lies there, in order. */
async function listCommits(layout: Layout): Promise<readonly number[]> {
  const names = await attempt('read', layout.commits, () => readdir(layout.commits));
  return names
    .filter((name) => /^[1-9][0-9]{0,14}$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

async function listHighest(layout: Layout): Promise<number> {
  return (await listCommits(layout)).at(-1) ?? 0;
}

async function exists(layout: Layout, seq: number): Promise<boolean> {
  const path = layout.commit(seq);
  // Opened rather than asked for its attributes: network file systems check with the server when a file is opened.
  return (await attempt('read', path, () => unlessMissing(() => readFile(path)))) !== undefined;
}

/** What HEAD says; 0 when it says nothing that can be a seq. It is a hint, so nothing in it is an error. */
async function readHead(layout: Layout): Promise<number> {
  try {
    const text = await readFile(layout.head, 'utf8');
    return /^[1-9][0-9]{0,14}\n?$/.test(text) ? Number.parseInt(text, 10) : 0;
  } catch {
    return 0;
  }
}

/**
 * Takes the commit's seq (on disk once the folder is synced). Throws `Superseded` when somebody has it already, or has gone on beyond it: history may have
 * been shortened, so that a long-frozen writer would find its name free again.
 */
export async function appendCommit(layout: Layout, commit: Commit, linkFile: typeof link = link): Promise<Digest> {
  const { text, digest } = encodeCommit(commit);
  const path = layout.commit(commit.seq);
  await refuseSuperseded(layout, commit.seq - 1);
  if (await createDurable(layout, path, text, linkFile)) return digest;
  throw new GuestStoreError('Superseded', `datastore: ${path} belongs to another writer; this one stops`);
}

/** Throws `Superseded` when commits beyond `seq` lie there. */
export async function refuseSuperseded(layout: Layout, seq: number): Promise<void> {
  const head = await readHead(layout);
  if (head <= seq || !(await exists(layout, head))) return;
  throw new GuestStoreError(
    'Superseded',
    `datastore: another writer has gone on to commit ${head}; this one stops at ${seq}`,
  );
}

/** Not forced onto disk: who finds an old hint, or none, looks for himself. */
export function writeHead(layout: Layout, seq: number): void {
  replaceQuickly(layout, layout.head, `${seq}\n`);
}
