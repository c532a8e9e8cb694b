import { readFileSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type ContentPath, parseContentPath } from '../core/content-path.ts';
import type { Digest } from '../core/digest.ts';
import { compareKeys, type ObjectKey } from '../core/names.ts';
import { errnoOf, GuestStoreError } from '../lib/errors.ts';
import { unhurried } from '../lib/lifecycle.ts';
import { canonicalJson } from './canonical.ts';
import { replaceQuickly, syncAll } from './durable.ts';
import { storeFailure } from './failure.ts';
import { type Fields, fieldsOf, parseJson } from './fields.ts';
import { storeFormat } from './format.ts';
import type { Layout } from './layout.ts';
import {
  copyBlob,
  digestOfPlain,
  discard,
  lookAt,
  makeFolders,
  placeNew,
  placeOver,
  pruneFolders,
} from './plain-file.ts';
import type { Parts } from './snapshot.ts';
import {
  claimedOnTheWay,
  plainRoot,
  planTree,
  type Removal,
  type TreePlan,
  visibleDigest,
  type Write,
} from './tree-plan.ts';
import { find } from './trie.ts';

/** Files copied at once. */
const width = 4;
/** Milliseconds for which the plain tree may keep everybody else waiting. */
const turn = 10;

/** `tree.json`: which revision the plain trees show. */
export interface TreeState {
  /** 0: nothing was ever written. */
  readonly seq: number;
  /** What the revision holds and the tree does not; tried again with each publication. */
  readonly blocked: readonly BlockedWrite[];
  /** Files of ours that could not be removed; tried again with each publication. */
  readonly leftovers: readonly Leftover[];
}

interface Leftover extends Removal {
  /** For people. */
  readonly reason: string;
}

export interface BlockedWrite {
  readonly repository: ObjectKey;
  readonly root: string;
  readonly path: ContentPath;
  /** What of ours lies there all the while; null for nothing. */
  readonly was: Digest | null;
  /** For people. */
  readonly reason: string;
}

/**
 * Whether a digest may be ours at a path although the last whole tree says otherwise: a writer that was stopped between
 * its commit and the end of its work on the tree leaves files of later revisions behind.
 */
export type MayBeOurs = (root: string, path: ContentPath, digest: Digest) => Promise<boolean>;

/**
 * Brings the plain trees from one revision to another. Never touches what we did not write: a file counts as ours while
 * its bytes are those that a revision since `state.seq` puts there. Returns the new state, for `writeTreeState`; the files
 * are on disk by then. `fence` is called before each change, and throws `Superseded` when there must be no more.
 */
export async function applyTree(
  layout: Layout,
  state: TreeState,
  before: Parts | undefined,
  after: Parts,
  seq: number,
  mayBeOurs: MayBeOurs,
  fence: () => void,
): Promise<TreeState> {
  const plan = asItLies(await unhurried(planTree(before, after)), state, after);
  if (plan.writes.length === 0 && plan.removals.length === 0 && state.seq === seq) return state;

  const touched = new Set<string>();
  const leftovers: Leftover[] = [];
  const blocked: BlockedWrite[] = [];
  const known = new Set<string>();
  const seen = new Set<string>();
  const rest = resting();

  for (const removal of plan.removals) {
    await rest();
    const reason = await remove(removal);
    if (reason !== undefined) leftovers.push({ ...removal, reason });
  }
  fence();
  for (const { root, path } of plan.removals) touched.add(pruneFolders(layout.folder, root, path, plan.roots));
  const queue = plan.writes.values();
  await Promise.all(Array.from({ length: width }, () => putAll(queue)));
  await syncAll(layout, touched);
  return { seq, blocked: blocked.sort((a, b) => compareKeys(fileOf(a), fileOf(b))), leftovers };

  async function putAll(writes: Iterable<Write>): Promise<void> {
    for (const write of writes) {
      const reason = await put(write, write.was === undefined && !plan.again.has(write));
      const { repository, root, path, was } = write;
      if (reason !== undefined) blocked.push({ repository, root, path, was: was ?? null, reason });
    }
  }

  /** The reason why it could not be done. */
  async function remove({ root, path, was }: Removal): Promise<string | undefined> {
    try {
      const found = lookAt(layout.folder, root, path, seen);
      if (found.kind !== 'file') return undefined;
      const digest = await digestOfPlain(found.path);
      if (digest === undefined || (digest !== was && !(await mayBeOurs(root, path, digest)))) return undefined;
      fence();
      unlinkSync(found.path);
      return undefined;
    } catch (thrown) {
      if (isSuperseded(thrown)) throw thrown;
      // Whatever the file system has against it, it may not have next time: kept in `leftovers`.
      return storeFailure(thrown, 'remove', `${root}${path}`).message;
    }
  }

  /** The reason why it could not be done. */
  async function put({ repository, root, path, digest, was }: Write, isNew: boolean): Promise<string | undefined> {
    const target = join(layout.folder, root, path);
    const temporary = layout.temporary();
    try {
      const claimed = claimedOnTheWay(path, (folder) => shownBy(after, repository, folder));
      if (claimed !== undefined) return inTheWay(fileOfItem(claimed));
      fence();
      const onTheWay = makeFolders(layout.folder, root, path, known, touched);
      if (onTheWay.kind === 'obstacle') return inTheWay(onTheWay.what);
      if (isNew) {
        await copyBlob(layout.blob(digest), temporary);
        fence();
        if (placeNew(temporary, target)) return touch(target);
        discard(temporary);
      }
      const found = lookAt(layout.folder, root, path, known);
      if (found.kind === 'obstacle') return inTheWay(found.what);
      if (found.kind === 'file') {
        const lying = await digestOfPlain(found.path);
        if (lying === digest) return touch(target);
        if (lying === undefined || (lying !== was && !(await mayBeOurs(root, path, lying)))) return foreign(root, path);
      }
      await copyBlob(layout.blob(digest), temporary);
      fence();
      if (found.kind === 'file') placeOver(temporary, target);
      else if (!placeNew(temporary, target)) return foreign(root, path);
      return touch(target);
    } catch (thrown) {
      if (isSuperseded(thrown)) throw thrown;
      return storeFailure(thrown, 'write', `${root}${path}`).message;
    } finally {
      if (!touched.has(target)) discard(temporary);
    }
  }

  /** Ours, whole, and to be brought onto disk. */
  function touch(target: string): undefined {
    touched.add(target);
  }
}

function isSuperseded(thrown: unknown): boolean {
  return thrown instanceof GuestStoreError && thrown.code === 'Superseded';
}

/**
 * The plan, corrected by what an earlier one could not do: at a blocked path lies what lay there before, or nothing of ours.
 */
function asItLies(plan: TreePlan, state: TreeState, after: Parts): TreePlan & { readonly again: ReadonlySet<Write> } {
  if (state.blocked.length === 0 && state.leftovers.length === 0) return { ...plan, again: new Set() };
  const blocked = new Map(state.blocked.map((write) => [fileOf(write), write]));
  const planned = new Set(plan.writes.map(fileOf));
  const writes = plan.writes.map((write) => {
    const earlier = blocked.get(fileOf(write));
    return earlier === undefined ? write : { ...write, was: earlier.was ?? undefined };
  });
  const removals = plan.removals.flatMap((removal) => {
    const earlier = blocked.get(fileOf(removal));
    if (earlier === undefined) return [removal];
    return earlier.was === null ? [] : [{ ...removal, was: earlier.was }];
  });
  const retries = state.blocked.flatMap(({ repository, root, path, was }) => {
    const part = after.repositories.get(repository);
    const digest = plainRoot(part?.row) === root && part ? visibleDigest(find(part.catalog, path)) : undefined;
    if (digest === undefined || planned.has(fileOf({ root, path }))) return [];
    return [{ repository, root, path, digest, was: was ?? undefined }];
  });
  return {
    removals: [...removals, ...state.leftovers],
    writes: [...writes, ...retries],
    roots: plan.roots,
    again: new Set(retries),
  };
}

function shownBy(parts: Parts, repository: ObjectKey, path: ContentPath): Digest | undefined {
  const part = parts.repositories.get(repository);
  return part && visibleDigest(find(part.catalog, path));
}

function fileOf({ root, path }: { readonly root: string; readonly path: ContentPath }): string {
  return `${root}${path}`;
}

export function fileOfItem(path: ContentPath): string {
  return `the file of content path ${path}`;
}

export function inTheWay(what: string): string {
  return `${what} is in the way in the plain tree; move it away, or choose another path`;
}

export function foreign(root: string, path: ContentPath): string {
  return `${root}${path} in the plain tree holds a file that was not written from here, or was edited since; move it away, or choose another path`;
}

/** Lets others run now and then. */
export function resting(): () => Promise<void> {
  let ends = performance.now() + turn;
  return async () => {
    if (performance.now() < ends) return;
    await nextTurn();
    ends = performance.now() + turn;
  };
}

/** A state that is missing or unreadable counts as seq 0: then every revision in the history may have written what lies there. */
export function readTreeState(layout: Layout): TreeState {
  const none: TreeState = { seq: 0, blocked: [], leftovers: [] };
  try {
    const fields = fieldsOf(parseJson(readFileSync(layout.tree, 'utf8'), layout.tree), layout.tree);
    return {
      seq: fields.count('seq'),
      blocked: fields.list('blocked').map((raw) => blockedFrom(fieldsOf(raw, layout.tree))),
      leftovers: fields.list('leftovers').map((raw) => leftoverFrom(fieldsOf(raw, layout.tree))),
    };
  } catch (thrown) {
    if (errnoOf(thrown) === undefined || errnoOf(thrown) === 'ENOENT') return none;
    throw storeFailure(thrown, 'read', layout.tree);
  }
}

function blockedFrom(fields: Fields): BlockedWrite {
  const { root, path } = placeFrom(fields);
  const was = fields.raw.was === null ? null : fields.digest('was');
  return { repository: fields.text('repository'), root, path, was, reason: fields.text('reason') };
}

function leftoverFrom(fields: Fields): Leftover {
  const { reason } = fields.raw;
  const said = typeof reason === 'string' ? reason : 'datastore: a file could not be removed';
  return { ...placeFrom(fields), was: fields.digest('was'), reason: said };
}

function placeFrom(fields: Fields): { readonly root: string; readonly path: ContentPath } {
  return { root: fields.text('root'), path: parseContentPath(fields.text('path')) };
}

export function sameTreeState(a: TreeState, b: TreeState): boolean {
  return canonicalJson(a) === canonicalJson(b);
}

/** Not forced onto disk: an older state only makes the next writer look again at what it names. */
export function writeTreeState(layout: Layout, state: TreeState): void {
  replaceQuickly(layout, layout.tree, `${canonicalJson({ format: storeFormat, ...state })}\n`);
}
