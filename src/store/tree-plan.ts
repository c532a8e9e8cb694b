import type { Entry, RepositoryRow } from '../core/catalog.ts';
import type { ContentPath } from '../core/content-path.ts';
import type { Digest } from '../core/digest.ts';
import type { ObjectKey } from '../core/names.ts';
import type { Parts, RepositoryPart } from './snapshot.ts';
import { differences } from './trie.ts';

/** What has to happen to the plain trees between two revisions. */
export interface TreePlan {
  readonly removals: readonly Removal[];
  readonly writes: readonly Write[];
  /** Roots that stay in use: their folders are kept when they become empty. */
  readonly roots: ReadonlySet<string>;
}

export interface Removal {
  readonly root: string;
  readonly path: ContentPath;
  /** What we wrote there: anything else is somebody's edit and stays. */
  readonly was: Digest;
}

export interface Write {
  readonly repository: ObjectKey;
  readonly root: string;
  readonly path: ContentPath;
  readonly digest: Digest;
  /** What we wrote there before; undefined: nothing of ours lies there. */
  readonly was: Digest | undefined;
}

/** The bytes that belong in the plain tree under an entry's path. Secrets never do, nor what has not come yet. */
export function visibleDigest(entry: Entry | undefined): Digest | undefined {
  return entry === undefined || entry.state === 'pending' || entry.sensitive === true ? undefined : entry.digest;
}

/** Where a repository's plain tree lies; undefined when it wants none. */
export function plainRoot(row: RepositoryRow | undefined): string | undefined {
  return row?.plainTree === 'Publish' ? row.root : undefined;
}

/** `before` undefined: nothing was ever written. */
export function* planTree(before: Parts | undefined, after: Parts): Generator<void, TreePlan> {
  const removals: Removal[] = [];
  const writes: Write[] = [];
  const roots = new Set<string>();
  const keys = new Set([...(before?.repositories.keys() ?? []), ...after.repositories.keys()]);
  for (const repository of keys) {
    const old = before?.repositories.get(repository);
    const now = after.repositories.get(repository);
    const oldRoot = plainRoot(old?.row);
    const root = plainRoot(now?.row);
    if (root !== undefined) roots.add(root);
    if (oldRoot === root) yield* change(repository, root, old, now);
    else {
      yield* change(repository, oldRoot, old, undefined);
      yield* change(repository, root, undefined, now);
    }
  }
  return { removals, writes, roots };

  function* change(
    repository: ObjectKey,
    root: string | undefined,
    old: RepositoryPart | undefined,
    now: RepositoryPart | undefined,
  ): Generator<void> {
    if (root === undefined) return;
    for (const { key, before: entryBefore, after: entryAfter } of differences(old?.catalog, now?.catalog)) {
      yield;
      const path = key as ContentPath;
      const was = visibleDigest(entryBefore);
      const digest = visibleDigest(entryAfter);
      if (digest === was) continue;
      if (digest !== undefined) writes.push({ repository, root, path, digest, was });
      else if (was !== undefined) removals.push({ root, path, was });
    }
  }
}

/**
 * The content path that needs a file where `path` needs a folder; undefined when there is none. In a plain tree nothing
 * can be both; guests may have both. `shown`: what the tree is to hold at a path.
 */
export function claimedOnTheWay(
  path: ContentPath,
  shown: (path: ContentPath) => Digest | undefined,
): ContentPath | undefined {
  return foldersOf(path).find((folder) => shown(folder) !== undefined);
}

/** `/a/b/c` gives `/a` and `/a/b`. */
export function foldersOf(path: ContentPath): readonly ContentPath[] {
  const folders: ContentPath[] = [];
  for (let end = path.indexOf('/', 1); end > 0; end = path.indexOf('/', end + 1))
    folders.push(path.slice(0, end) as ContentPath);
  return folders;
}
