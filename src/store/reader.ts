import { type FSWatcher, watch } from 'node:fs';
import { GuestStoreError, messageOf } from '../lib/errors.ts';
import { findHighest, type NamedCommit, readCommit } from './commits.ts';
import { corrupt } from './fields.ts';
import { removeAcknowledgement, writeAcknowledgement } from './hosts.ts';
import { readIdentity } from './identity.ts';
import { layoutOf } from './layout.ts';
import { createLoader } from './load.ts';
import { snapshotOf } from './snapshot.ts';
import type { Snapshot, StoreReader } from './types.ts';

export interface StoreReaderOptions {
  /** The datastore. */
  readonly folder: string;
  /** Between two looks where nobody tells of changes; 1,000 by default. */
  readonly pollMilliseconds?: number;
  /** False: only poll, as on file systems that tell nobody of changes. */
  readonly watch?: boolean;
  readonly watcher?: LookWatcher;
}

/** Told of each look at the store: one that hangs begins and does not end. */
export interface LookWatcher {
  began(): void;
  ended(trouble: Error | undefined): void;
}

interface Revision {
  readonly store: string;
  readonly named: NamedCommit;
  readonly snapshot: Snapshot;
}

/**
 * Follows a datastore. The first look is done when it resolves, whatever it finds: a store that is missing or unreadable
 * is `trouble`, and looked for again. What was good stays `current` until something newer is whole.
 */
export async function createStoreReader(options: StoreReaderOptions): Promise<StoreReader> {
  const layout = layoutOf(options.folder);
  const loader = createLoader(layout);
  const listeners: ((snapshot: Snapshot) => void)[] = [];
  let revision: Revision | undefined;
  let trouble: Error | undefined;
  let looking: Promise<void> | undefined;
  let again: Promise<void> | undefined;

  async function look(): Promise<void> {
    options.watcher?.began();
    try {
      const next = await findNewer();
      trouble = undefined;
      if (next === undefined) return;
      revision = next;
    } catch (thrown) {
      trouble = thrown instanceof Error ? thrown : new GuestStoreError('Internal', messageOf(thrown));
      return;
    } finally {
      options.watcher?.ended(trouble);
    }
    for (const listener of listeners) listener(revision.snapshot);
  }

  async function findNewer(): Promise<Revision | undefined> {
    const identity = await readIdentity(layout);
    if (identity === undefined) throw missing(options.folder, revision !== undefined);
    if (revision !== undefined && revision.store !== identity.id)
      throw replaced(options.folder, revision.store, identity.id);
    const current = revision?.named;
    const seq = await findHighest(layout, current?.commit.seq ?? 0);
    if (seq === 0 && current === undefined) return undefined;
    const named = await readCommit(layout, seq);
    if (named === undefined || named === 'partial')
      throw corrupt(`datastore: ${layout.commit(seq)} is not whole; the operator mends this when it starts`);
    if (current !== undefined && !follows(current, named)) throw wentBack(options.folder, current, named);
    if (current?.digest === named.digest) return undefined;
    const parts = await loader.load(named.commit);
    return { store: identity.id, named, snapshot: snapshotOf(named.commit, parts) };
  }

  /** One look at a time. Who asks while one is under way gets the next: the present one may have passed what he means. */
  function refresh(): Promise<void> {
    if (looking === undefined) {
      looking = look().finally(() => {
        looking = undefined;
      });
      return looking;
    }
    again ??= looking.then(() => {
      again = undefined;
      return refresh();
    });
    return again;
  }

  let watching: FSWatcher | undefined;

  /** Tells of changes where the system can; polling finds them everywhere else, and the folder once it is made. */
  function watchCommits(): void {
    if (watching !== undefined || options.watch === false) return;
    try {
      const watcher = watch(layout.commits, { persistent: false }, () => void refresh());
      watcher.on('error', () => {
        watcher.close();
        watching = undefined;
      });
      watching = watcher;
    } catch {
      // Not there yet, or no more watches to be had.
    }
  }

  await refresh();
  watchCommits();
  const poll = setInterval(() => {
    watchCommits();
    void refresh();
  }, options.pollMilliseconds ?? 1_000);

  return {
    get current() {
      return revision?.snapshot;
    },
    get trouble() {
      return trouble;
    },
    refresh,
    onChange: (listener) => void listeners.push(listener),
    blobPath: layout.blob,
    acknowledge: (acknowledgement) => writeAcknowledgement(layout, acknowledgement),
    withdraw: (host, instance) => removeAcknowledgement(layout, host, instance),
    async close() {
      clearInterval(poll);
      watching?.close();
      listeners.length = 0;
      await (again ?? looking);
    },
  };
}

function follows(current: NamedCommit, next: NamedCommit): boolean {
  if (next.commit.seq === current.commit.seq) return next.digest === current.digest;
  if (next.commit.seq < current.commit.seq || next.commit.epoch < current.commit.epoch) return false;
  return next.commit.seq > current.commit.seq + 1 || next.commit.parent === current.digest;
}

function missing(folder: string, before: boolean): GuestStoreError {
  const way = before ? 'see that its file system is mounted' : 'start the operator on it, or see that it is mounted';
  return new GuestStoreError('StoreUnavailable', `datastore: ${folder} holds no store; ${way}`);
}

function replaced(folder: string, expected: string, found: string): GuestStoreError {
  const message =
    `datastore: ${folder} holds store ${found} in place of ${expected}, whose last revision stays in force; ` +
    'mount the right file system, or restart the daemon if this is meant';
  return new GuestStoreError('ForeignStore', message);
}

function wentBack(folder: string, current: NamedCommit, found: NamedCommit): GuestStoreError {
  const message =
    `datastore: ${folder} offers commit ${found.commit.seq}, which does not follow ${current.commit.seq}; ` +
    'the store was restored from a backup or written by two hands; restart the daemon if this is meant';
  return new GuestStoreError('StoreCorrupt', message);
}
