import { mkdirSync } from 'node:fs';
import { link } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Entry } from '../core/catalog.ts';
import type { ContentPath } from '../core/content-path.ts';
import type { Digest } from '../core/digest.ts';
import { errnoOf, GuestStoreError } from '../lib/errors.ts';
import { createBreath, unhurried } from '../lib/lifecycle.ts';
import { createBlobs, throwIfAborted } from './blobs.ts';
import { applyChange, emptyRevision, type Next, withoutUnused } from './change.ts';
import { appendCommit, findHighest, type NamedCommit, readCommit, refuseSuperseded, writeHead } from './commits.ts';
import { listDocuments, readDocument, removeDocument, writeDocument } from './documents.ts';
import { replaceQuickly, syncFolder } from './durable.ts';
import { attempt, attemptNow, storeFailure } from './failure.ts';
import { corrupt } from './fields.ts';
import { findForeign } from './find-foreign.ts';
import { storeFormat } from './format.ts';
import { forgetSilent, readAcknowledgements } from './hosts.ts';
import { claimIdentity, confirmIdentity } from './identity.ts';
import { type Layout, layoutOf } from './layout.ts';
import { createLoader, type Loader } from './load.ts';
import { applyTree, type MayBeOurs, readTreeState, sameTreeState, writeTreeState } from './plain-tree.ts';
import { createReserve } from './reserve.ts';
import { type Parts, snapshotOf } from './snapshot.ts';
import { sweepTemporary } from './sweep-tmp.ts';
import { plainRoot, visibleDigest } from './tree-plan.ts';
import { entriesOf, find } from './trie.ts';
import type { Cause, Commit, StoreChange, StoreWriter } from './types.ts';

export interface StoreWriterOptions {
  /** The datastore. */
  readonly folder: string;
  /** Who owns it; the store of another installation is refused. */
  readonly installation: string;
  /**
   * `empty`: the epoch is claimed at once by a commit without a change, because the last leader may still be running (not
   * in a store that is made by this very call, which no other leader can have opened). `lazy`: it released its lead in
   * order, so the first change claims.
   */
  readonly claim: 'empty' | 'lazy';
  /**
   * Whether this process may still write, asked before each step that others see; once false the writer throws
   * `Superseded`. A commit needs no clock to be refused, but the plain trees and HEAD have no name that can be taken once.
   */
  readonly holds?: () => boolean;
  /** Who writes, for people. */
  readonly by?: string;
  readonly now: () => Date;
  /** Make the folder if it is missing. Otherwise a missing folder is an error: its file system may not be mounted. */
  readonly create?: boolean;
  /** link(2), by which a commit takes its name. */
  readonly link?: typeof link;
}

/** Where a writer stands. Replaced as a whole, so that whoever looks sees one revision. */
interface Standing {
  readonly commit: Commit;
  /** Null before the first commit. */
  readonly digest: Digest | null;
  readonly parts: Parts;
  /** Highest seq on disk; higher than the commit's where a writer died in the middle of one. */
  readonly highest: number;
}

/**
 * Opens a datastore for writing, making the store in a folder that has none. Finishes what a writer that was killed has
 * left undone. Throws `StoreUnavailable`, `ForeignStore`, `FormatNotSupported` or `StoreCorrupt`.
 */
export async function createStoreWriter(options: StoreWriterOptions): Promise<StoreWriter> {
  const layout = layoutOf(options.folder);
  const { identity, made } = await claimIdentity(layout, options.installation, options.create ?? false);
  await sweepTemporary(layout, options.now());
  const loader = createLoader(layout);
  let standing = await readStanding(layout, loader);
  let snapshot = snapshotOf(standing.commit, standing.parts);
  let tree = readTreeState(layout);
  /** As `tree.json` says it. */
  let savedTree = tree;
  const epoch = standing.commit.epoch + 1;
  const blobs = createBlobs(layout, digestsOf(standing.parts));
  const reserve = createReserve(layout);
  /** Objects that this process brought onto disk. */
  const written = new Set<Digest>();
  /** A commit whose folder could not be synced yet. */
  let unsynced = false;
  let superseded: GuestStoreError | undefined;
  /** What the plain trees show, as far as it is in memory. */
  let treeParts: { readonly seq: number; readonly parts: Parts } | undefined;
  let treeTrouble: GuestStoreError | undefined;
  let turn: Promise<unknown> = Promise.resolve();

  /** One publication after another. */
  function inTurn<T>(step: () => Promise<T>): Promise<T> {
    const next = turn.then(step, step);
    turn = next.catch(() => {});
    return next;
  }

  function fence(): void {
    if (options.holds?.() === false) superseded ??= unled(layout.folder);
    if (superseded !== undefined) throw superseded;
  }

  const linkIfLeading: typeof link = (from, to) => {
    fence();
    return (options.link ?? link)(from, to);
  };

  async function publish(change: StoreChange, cause: Cause, signal: AbortSignal): Promise<Commit | undefined> {
    fence();
    throwIfAborted(signal);
    await confirmIdentity(layout, identity);
    await heedSuperseded(() => refuseSuperseded(layout, standing.highest));
    const next = await unhurried(applyChange(standing.parts, change));
    if (next.index === standing.commit.index) {
      await settle();
      await catchUp();
      return undefined;
    }
    const named = await requireBlobs(change);
    await reserve.spend(() => writeObjects(next, named));
    throwIfAborted(signal);
    const commit = await append(next, cause);
    await catchUp();
    return commit;
  }

  /** Takes the next seq, whatever the change: from here on no older leader can commit. */
  async function claim(summary: string): Promise<void> {
    fence();
    await confirmIdentity(layout, identity);
    const next: Next =
      standing.digest === null
        ? emptyRevision()
        : { parts: standing.parts, index: standing.commit.index, objects: new Map() };
    await reserve.spend(() => writeObjects(next, []));
    await append(next, { kind: 'epoch', summary });
  }

  async function append(next: Next, cause: Cause): Promise<Commit> {
    const commit: Commit = {
      format: storeFormat,
      seq: standing.highest + 1,
      parent: standing.digest,
      epoch,
      by: options.by ?? '',
      index: next.index,
      cause,
      at: options.now().toISOString(),
      critical: [],
      signature: null,
    };
    const digest = await heedSuperseded(() => reserve.spend(() => appendCommit(layout, commit, linkIfLeading)));
    const parts = next.parts.ruleSets.size > 64 + 2 * next.parts.vms.size ? withoutUnused(next.parts) : next.parts;
    standing = { commit, digest, parts, highest: commit.seq };
    snapshot = snapshotOf(commit, parts);
    unsynced = true;
    await settle();
    return commit;
  }

  /** Once superseded, a writer never writes again. */
  async function heedSuperseded<T>(step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (thrown) {
      if (thrown instanceof GuestStoreError && thrown.code === 'Superseded') superseded = thrown;
      throw thrown;
    }
  }

  /** The commit onto disk and HEAD behind it. Done again by the next publication if it fails here. */
  async function settle(): Promise<void> {
    if (!unsynced) return;
    await attempt('write to disk', layout.commits, () => syncFolder(layout.commits));
    fence();
    await reserve.spend(async () => writeHead(layout, standing.commit.seq));
    unsynced = false;
    await reserve.hold(settingsBytes(standing.parts));
  }

  /** Each blob that the change names must be here: the commit promises them. */
  async function requireBlobs(change: StoreChange): Promise<readonly Digest[]> {
    const named = new Set<Digest>();
    for (const entries of change.entries.values())
      for (const entry of entries.values())
        if (entry !== undefined && entry.state !== 'pending') named.add(entry.digest);
    for (const digest of named)
      if (!blobs.isFresh(digest) && !(await blobs.has(digest)))
        throw corrupt(`datastore: blob ${digest} is not there; fetch it again`);
    return [...named];
  }

  async function writeObjects(next: Next, named: readonly Digest[]): Promise<void> {
    const fresh = [...next.objects].filter(([digest]) => !written.has(digest));
    const breathe = createBreath();
    for (const [digest, text] of fresh) {
      writeObject(layout, digest, text);
      await breathe();
    }
    const paths = fresh.map(([digest]) => layout.object(digest));
    await blobs.sync(named, paths.length > 0 ? [...paths, ...paths.map(dirname)] : []);
    for (const [digest] of fresh) written.add(digest);
  }

  /** The plain trees follow the commit. What stops them never makes a publication fail that has been committed. */
  async function catchUp(): Promise<void> {
    const isWhole = tree.seq === standing.commit.seq && tree.blocked.length === 0 && tree.leftovers.length === 0;
    if (isWhole && sameTreeState(tree, savedTree)) return;
    try {
      const before = await partsAt(tree.seq);
      tree = await applyTree(layout, tree, before, standing.parts, standing.commit.seq, mayBeOurs, fence);
      fence();
      treeParts = { seq: tree.seq, parts: standing.parts };
      if (!sameTreeState(tree, savedTree)) await reserve.spend(async () => writeTreeState(layout, tree));
      savedTree = tree;
      treeTrouble = undefined;
    } catch (thrown) {
      if (thrown === superseded) throw thrown;
      treeTrouble = storeFailure(thrown, 'write', 'the plain trees');
    }
    await reserve.hold(settingsBytes(standing.parts));
  }

  async function partsAt(seq: number): Promise<Parts | undefined> {
    if (seq === 0) return undefined;
    if (treeParts?.seq === seq) return treeParts.parts;
    if (standing.commit.seq === seq) return standing.parts;
    const named = await readCommit(layout, seq);
    return named === undefined || named === 'partial' ? undefined : await loader.load(named.commit);
  }

  const mayBeOurs: MayBeOurs = async (root, path, digest) => {
    for (let seq = standing.commit.seq; seq >= Math.max(tree.seq, 1); seq--) {
      const parts = await partsAt(seq);
      if (parts !== undefined && shows(parts, root, path, digest)) return true;
    }
    return false;
  };

  const unclean = options.claim === 'empty' && !made;
  if (unclean || standing.highest > standing.commit.seq)
    await inTurn(() => claim(unclean ? 'new leader' : 'an unfinished commit lies before this one'));
  if (standing.digest !== null) await inTurn(catchUp);

  return {
    identity,
    get snapshot() {
      return snapshot;
    },
    get blocked() {
      return blockedOf(tree.blocked);
    },
    get leftovers() {
      return tree.leftovers;
    },
    get treeTrouble() {
      return treeTrouble;
    },
    putBlob: (source, limits, signal) => blobs.put(source, limits, signal),
    hasBlob: (digest) => blobs.has(digest),
    findForeign: (change) => inTurn(() => findForeign(layout, standing.parts, tree, change, mayBeOurs)),
    publish: (change, cause, signal) => inTurn(() => publish(change, cause, signal)),
    acknowledgements: () => readAcknowledgements(layout),
    forgetHost: (host) => forgetSilent(layout, host, options.now()),
    readDocument: (name) => readDocument(layout, name),
    writeDocument: (name, bytes) => reserve.spend(() => writeDocument(layout, name, bytes)),
    removeDocument: (name) => removeDocument(layout, name),
    documents: () => listDocuments(layout),
    close: async () => void (await turn),
  };
}

function unled(folder: string): GuestStoreError {
  return new GuestStoreError(
    'Superseded',
    `datastore: ${folder}: this process leads no more; another one writes here now`,
  );
}

async function readStanding(layout: Layout, loader: Loader): Promise<Standing> {
  const highest = await findHighest(layout, 0);
  const named = await lastWhole(layout, highest);
  if (named !== undefined) return { ...named, parts: await loader.load(named.commit), highest };
  const { parts, index } = emptyRevision();
  const commit: Commit = {
    format: storeFormat,
    seq: 0,
    parent: null,
    epoch: 0,
    by: '',
    index,
    cause: { kind: 'epoch', summary: 'nothing is committed yet' },
    at: new Date(0).toISOString(),
    critical: [],
    signature: null,
  };
  return { commit, digest: null, parts, highest };
}

async function lastWhole(layout: Layout, highest: number): Promise<NamedCommit | undefined> {
  for (let seq = highest; seq > 0; seq--) {
    const named = await readCommit(layout, seq);
    if (named === undefined) return undefined;
    if (named !== 'partial') return named;
  }
  return undefined;
}

function* digestsOf(parts: Parts): Generator<Digest> {
  for (const { catalog } of parts.repositories.values())
    for (const [, entry] of entriesOf<Entry>(catalog)) if (entry.state !== 'pending') yield entry.digest;
}

/** An object of that name may be there, torn by a power cut before any commit named it: it is written over. */
function writeObject(layout: Layout, digest: Digest, text: string): void {
  const path = layout.object(digest);
  makeShard(dirname(path));
  replaceQuickly(layout, path, text);
}

function makeShard(folder: string): void {
  attemptNow('make', folder, () => {
    try {
      mkdirSync(folder, { mode: 0o700 });
    } catch (thrown) {
      if (errnoOf(thrown) !== 'EEXIST') throw thrown;
    }
  });
}

function shows(parts: Parts, root: string, path: ContentPath, digest: Digest): boolean {
  for (const { row, catalog } of parts.repositories.values())
    if (plainRoot(row) === root && visibleDigest(find(catalog, path)) === digest) return true;
  return false;
}

function settingsBytes(parts: Parts): number {
  let bytes = parts.vms.bytes;
  for (const { grant, deny } of parts.ruleSets.values())
    for (const { pattern } of [...grant, ...deny]) bytes += pattern.length + 160;
  return bytes;
}

function blockedOf(
  writes: readonly { readonly repository: string; readonly path: ContentPath; readonly reason: string }[],
): ReadonlyMap<string, ReadonlyMap<ContentPath, string>> {
  const groups = Map.groupBy(writes, ({ repository }) => repository);
  return new Map(Array.from(groups, ([key, group]) => [key, new Map(group.map(({ path, reason }) => [path, reason]))]));
}
