import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Entry, RepositoryRow } from '../../src/core/catalog.ts';
import { type ContentPath, parseContentPath } from '../../src/core/content-path.ts';
import { type Digest, hexOf } from '../../src/core/digest.ts';
import type { ObjectKey } from '../../src/core/names.ts';
import type { RuleRecord, RuleSet, VmRow } from '../../src/core/settings.ts';
import type { Acknowledgement, Snapshot, StoreReader } from '../../src/store/types.ts';

/** A revision as a test writes it down. */
export interface RevisionDraft {
  readonly seq?: number;
  readonly repositories?: Record<ObjectKey, Partial<RepositoryRow> & { entries: Record<string, Entry> }>;
  readonly vms?: Record<ObjectKey, VmRow>;
  readonly ruleSets?: Record<Digest, RuleSet>;
  readonly critical?: readonly string[];
}

/** A revision in memory, with the same promises as one that was read from a datastore. */
export function snapshotOf(draft: RevisionDraft): Snapshot {
  const { seq = 1, repositories = {}, vms = {}, ruleSets = {}, critical = [] } = draft;
  const rows = new Map<ObjectKey, RepositoryRow>();
  const catalogs = new Map<ObjectKey, Map<ContentPath, Entry>>();
  for (const [key, { entries, ...row }] of Object.entries(repositories)) {
    rows.set(key, { root: key, plainTree: 'None', authoritative: true, ...row });
    catalogs.set(key, new Map(Object.entries(entries).map(([path, entry]) => [parseContentPath(path), entry])));
  }
  const index = digestOf(JSON.stringify(draft));
  return {
    seq,
    commit: {
      format: 1,
      seq,
      parent: null,
      epoch: 1,
      by: 'test',
      index,
      cause: { kind: 'observed', summary: 'a test' },
      at: '2026-11-23T07:06:52Z',
      critical,
      signature: null,
    },
    repositories: rows,
    find: (repository, path) => catalogs.get(repository)?.get(path),
    entries: (repository) => catalogs.get(repository) ?? [],
    catalogDigest: (repository) => (rows.has(repository) ? index : undefined),
    vm: (key) => vms[key],
    vms: () => Object.entries(vms),
    vmGroups: () => [new Map(Object.entries(vms))],
    ruleSet: (digest) => ruleSets[digest],
  };
}

export function digestOf(bytes: string | Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Rules by their patterns, all of one policy. */
export function rulesOf(grant: readonly string[], deny: readonly string[]): RuleSet {
  const policy = { kind: 'VMAccessPolicy', namespace: 'fleet', name: 'policy' };
  const records = (patterns: readonly string[]): RuleRecord[] =>
    patterns.map((pattern, index) => ({ pattern, match: 'Whole', policy, index }));
  return { grant: records(grant), deny: records(deny), ceiling: null };
}

/** A datastore whose revisions a test sets; its blobs are real files below `folder`. */
export interface MemoryStore extends StoreReader {
  current: Snapshot | undefined;
  trouble: Error | undefined;
  readonly acknowledged: Acknowledgement[];
  readonly withdrawn: string[];
  publish(draft: RevisionDraft): void;
  /** Writes a blob and gives its entry. */
  put(bytes: string | Uint8Array): Promise<Entry & { state: 'stored' }>;
}

export function createMemoryStore(folder: string): MemoryStore {
  const listeners: ((snapshot: Snapshot) => void)[] = [];
  let seq = 0;
  const blobPath = (digest: Digest) => join(folder, hexOf(digest));
  return {
    current: undefined,
    trouble: undefined,
    acknowledged: [],
    withdrawn: [],
    publish(draft) {
      seq += 1;
      const snapshot = snapshotOf({ seq, ...draft });
      this.current = snapshot;
      for (const listener of listeners) listener(snapshot);
    },
    async put(bytes) {
      const digest = digestOf(bytes);
      await mkdir(dirname(blobPath(digest)), { recursive: true });
      await writeFile(blobPath(digest), bytes);
      return {
        state: 'stored',
        claim: 'fleet/item',
        digest,
        size: Buffer.byteLength(bytes),
        since: '2026-11-23T07:06:52Z',
      };
    },
    refresh: () => Promise.resolve(),
    onChange: (listener) => void listeners.push(listener),
    blobPath,
    acknowledge(acknowledgement) {
      this.acknowledged.push(acknowledgement);
      return Promise.resolve();
    },
    withdraw(host, instance) {
      this.withdrawn.push(`${host}/${instance}`);
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}
