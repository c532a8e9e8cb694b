import type { Entry, RepositoryRow } from '../core/catalog.ts';
import type { ContentPath } from '../core/content-path.ts';
import type { Digest } from '../core/digest.ts';
import type { ObjectKey } from '../core/names.ts';
import { storeFailure } from './failure.ts';
import type { Layout } from './layout.ts';
import { digestOfPlain, lookAt } from './plain-file.ts';
import { fileOfItem, foreign, inTheWay, type MayBeOurs, resting, type TreeState } from './plain-tree.ts';
import type { Parts } from './snapshot.ts';
import { claimedOnTheWay, foldersOf, plainRoot, visibleDigest } from './tree-plan.ts';
import { entriesOf, find } from './trie.ts';
import type { StoreChange } from './types.ts';

/** What stands in the way of a change in the plain trees: reasons in words, by repository and path. Reads only. */
export async function findForeign(
  layout: Layout,
  parts: Parts,
  tree: TreeState,
  change: StoreChange,
  mayBeOurs: MayBeOurs,
): Promise<ReadonlyMap<ObjectKey, ReadonlyMap<ContentPath, string>>> {
  const found = new Map<ObjectKey, ReadonlyMap<ContentPath, string>>();
  const rest = resting();
  const known = new Set<string>();
  const blocked = new Map(tree.blocked.map((write) => [`${write.root}${write.path}`, write]));
  for (const repository of new Set([...change.repositories.keys(), ...change.entries.keys()])) {
    const part = parts.repositories.get(repository);
    const row = change.repositories.has(repository) ? change.repositories.get(repository) : part?.row;
    const root = plainRoot(row);
    if (root === undefined) continue;
    const reasons = new Map<ContentPath, string>();
    const moved = plainRoot(part?.row) !== root;
    const entries = change.entries.get(repository) ?? new Map<ContentPath, Entry | undefined>();
    const before = (path: ContentPath) => (part === undefined ? undefined : find(part.catalog, path));
    const after = (path: ContentPath) => visibleDigest(entries.has(path) ? entries.get(path) : before(path));
    for (const path of moved ? everyPath(part, entries) : entries.keys()) {
      await rest();
      const digest = after(path);
      const was = moved ? undefined : visibleDigest(before(path));
      if (digest === undefined || digest === was) continue;
      const earlier = blocked.get(`${root}${path}`);
      const ours = earlier === undefined ? was : (earlier.was ?? undefined);
      const claimed = claimedOnTheWay(path, after);
      const reason =
        claimed === undefined ? await lying(root, path, ours, before, after) : inTheWay(fileOfItem(claimed));
      if (reason !== undefined) reasons.set(path, reason);
    }
    if (reasons.size > 0) found.set(repository, reasons);
  }
  return found;

  async function lying(
    root: string,
    path: ContentPath,
    was: Digest | undefined,
    before: (path: ContentPath) => Entry | undefined,
    after: (path: ContentPath) => Digest | undefined,
  ): Promise<string | undefined> {
    try {
      const there = lookAt(layout.folder, root, path, known);
      if (there.kind === 'nothing') return undefined;
      if (there.kind === 'obstacle') return leaves(path, before, after) ? undefined : inTheWay(there.what);
      const digest = await digestOfPlain(there.path);
      const ours = digest !== undefined && (digest === was || (await mayBeOurs(root, path, digest)));
      return ours ? undefined : foreign(root, path);
    } catch (thrown) {
      return storeFailure(thrown, 'read', `${root}${path}`).message;
    }
  }
}

/** A file of ours at one of the folders on the way makes room in the same revision. */
function leaves(
  path: ContentPath,
  before: (path: ContentPath) => Entry | undefined,
  after: (path: ContentPath) => Digest | undefined,
): boolean {
  return foldersOf(path).some((folder) => visibleDigest(before(folder)) !== undefined && after(folder) === undefined);
}

function everyPath(
  part: { readonly row: RepositoryRow; readonly catalog: Parameters<typeof entriesOf<Entry>>[0] } | undefined,
  entries: ReadonlyMap<ContentPath, unknown>,
): Iterable<ContentPath> {
  const old = part === undefined ? [] : Array.from(entriesOf(part.catalog), ([path]) => path as ContentPath);
  return new Set([...old, ...entries.keys()]);
}
