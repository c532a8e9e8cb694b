import type { Entry, RepositoryRow } from '../core/catalog.ts';
import type { ContentPath } from '../core/content-path.ts';
import type { Digest } from '../core/digest.ts';
import type { ObjectKey } from '../core/names.ts';
import type { RuleSet, VmRow } from '../core/settings.ts';
import { entriesOf, find, leavesOf, type Trie } from './trie.ts';
import type { Commit, Snapshot } from './types.ts';

/** What a revision is made of. */
export interface Parts {
  readonly repositories: ReadonlyMap<ObjectKey, RepositoryPart>;
  readonly vms: Trie<VmRow>;
  /** Holds every rule set that a VM row names, and perhaps more. */
  readonly ruleSets: ReadonlyMap<Digest, RuleSet>;
}

export interface RepositoryPart {
  readonly row: RepositoryRow;
  readonly catalog: Trie<Entry>;
  /** Sum of the sizes of all entries that have bytes. */
  readonly bytes: number;
}

export function snapshotOf(commit: Commit, parts: Parts): Snapshot {
  const rows = new Map([...parts.repositories].map(([key, { row }]) => [key, row]));
  return {
    seq: commit.seq,
    commit,
    repositories: rows,
    find(repository, path) {
      const part = parts.repositories.get(repository);
      return part === undefined ? undefined : find(part.catalog, path);
    },
    entries(repository) {
      const part = parts.repositories.get(repository);
      // Keys of a catalog were parsed when they were loaded or handed in.
      return part === undefined ? [] : (entriesOf(part.catalog) as Iterable<readonly [ContentPath, Entry]>);
    },
    catalogDigest: (repository) => parts.repositories.get(repository)?.catalog.digest,
    vm: (key) => find(parts.vms, key),
    vms: () => entriesOf(parts.vms),
    vmGroups: () => leavesOf(parts.vms) as Iterable<ReadonlyMap<ObjectKey, VmRow>>,
    ruleSet: (digest) => parts.ruleSets.get(digest),
  };
}
