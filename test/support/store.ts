import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Entry, RepositoryRow, StoredEntry } from '../../src/core/catalog.ts';
import { type ContentPath, parseContentPath } from '../../src/core/content-path.ts';
import type { RuleSet, VmRow } from '../../src/core/settings.ts';
import { ruleSetDigest } from '../../src/store/canonical.ts';
import { createStoreReader, type StoreReaderOptions } from '../../src/store/reader.ts';
import type { Commit, Snapshot, StoreChange, StoreReader, StoreWriter } from '../../src/store/types.ts';
import { createStoreWriter, type StoreWriterOptions } from '../../src/store/writer.ts';

export const main = 'fleet/main';
export const observed = { kind: 'observed', summary: 'a test' } as const;
export const never = new AbortController().signal;
export const since = '2026-11-23T07:06:52.000Z';

export const publishedRow: RepositoryRow = { root: 'GuestStore', plainTree: 'Publish', authoritative: true };
export const plainlessRow: RepositoryRow = { ...publishedRow, plainTree: 'None' };

export async function openWriter(folder: string, options: Partial<StoreWriterOptions> = {}): Promise<StoreWriter> {
  const writer = await createStoreWriter({
    folder,
    installation: 'test',
    claim: 'lazy',
    now: () => new Date(),
    ...options,
  });
  onTestFinished(() => writer.close());
  return writer;
}

/** Looks only when told to, unless the options say otherwise. */
export async function openReader(folder: string, options: Partial<StoreReaderOptions> = {}): Promise<StoreReader> {
  const reader = await createStoreReader({ folder, pollMilliseconds: 3_600_000, watch: false, ...options });
  onTestFinished(() => reader.close());
  return reader;
}

/** What a process that starts now would read. */
export async function readSnapshot(folder: string): Promise<Snapshot | undefined> {
  const reader = await createStoreReader({ folder });
  await reader.close();
  if (reader.trouble !== undefined) throw reader.trouble;
  return reader.current;
}

export function pathOf(path: string): ContentPath {
  return parseContentPath(path);
}

/** Puts text and gives the entry that serves it. */
export async function stored(writer: StoreWriter, text: string, more: Partial<StoredEntry> = {}): Promise<StoredEntry> {
  const limits = { maxSize: 64 * 1024 * 1024, sensitive: more.sensitive };
  const blob = await writer.putBlob([Buffer.from(text)], limits, never);
  return { state: 'stored', claim: 'fleet/item', ...blob, since, ...more };
}

export function changeOf(
  entries: Readonly<Record<string, Entry | undefined>>,
  row: RepositoryRow | undefined = undefined,
  repository = main,
): StoreChange {
  const paths = Object.entries(entries).map(([path, entry]) => [pathOf(path), entry] as const);
  return {
    repositories: new Map(row === undefined ? [] : [[repository, row]]),
    entries: new Map(paths.length === 0 ? [] : [[repository, new Map(paths)]]),
    vms: new Map(),
    ruleSets: new Map(),
  };
}

export const emptyChange: StoreChange = changeOf({});

export function rulesOf(...deny: readonly string[]): RuleSet {
  const policy = { kind: 'VMAccessPolicy', namespace: 'fleet', name: 'policy' };
  const records = deny.map((pattern, index) => ({ pattern, match: 'Whole' as const, policy, index }));
  return { grant: [], deny: records, ceiling: null };
}

export function vmRow(rules: RuleSet | null, more: Partial<VmRow> = {}): VmRow {
  return {
    host: 'host-a',
    channel: { kind: 'hybridUDS', path: 'web.vsock', port: 1024 },
    repository: main,
    ruleSet: rules === null ? null : ruleSetDigest(rules),
    enabled: true,
    refused: null,
    ...more,
  };
}

export function vmChange(vms: Readonly<Record<string, VmRow | undefined>>, ...rules: readonly RuleSet[]): StoreChange {
  return {
    repositories: new Map(),
    entries: new Map(),
    vms: new Map(Object.entries(vms)),
    ruleSets: new Map(rules.map((ruleSet) => [ruleSetDigest(ruleSet), ruleSet])),
  };
}

/** Publishes, and insists that it made a revision. */
export async function publish(writer: StoreWriter, change: StoreChange): Promise<Commit> {
  const commit = await writer.publish(change, observed, never);
  if (commit === undefined) throw new Error('the change changed nothing');
  return commit;
}

/** Everything a snapshot says, as plain data that compares. */
export function contentOf(snapshot: Snapshot): unknown {
  return {
    repositories: Object.fromEntries(
      Array.from(snapshot.repositories, ([key, row]) => [
        key,
        { row, entries: Object.fromEntries(snapshot.entries(key)) },
      ]),
    ),
    vms: Object.fromEntries(
      Array.from(snapshot.vms(), ([key, row]) => [key, { row, rules: row.ruleSet && snapshot.ruleSet(row.ruleSet) }]),
    ),
  };
}

/** Every file below a folder with its size, times, inode and mode: equal listings, nothing was written. */
export function listing(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const { size, mtimeMs, ctimeMs, ino, mode } = statSync(path);
      return `${path} ${size} ${mtimeMs} ${ctimeMs} ${ino} ${mode.toString(8)}`;
    })
    .sort();
}

/** A small file system of the test's own at `folder`; needs the right to mount. */
export function mountSmall(folder: string, size: string): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder]);
  onTestFinished(() => {
    execFileSync('umount', ['-l', folder]);
  });
}

export { plainFiles } from './plain-files.ts';
