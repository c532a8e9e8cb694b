import { namespaceOf } from '../../core/bounds.ts';
import type { Entry, RepositoryRow } from '../../core/catalog.ts';
import type { ContentPath } from '../../core/content-path.ts';
import type { Digest } from '../../core/digest.ts';
import type { ObjectKey } from '../../core/names.ts';
import type { RuleSet, VmRow } from '../../core/settings.ts';
import { sameRecord } from '../../store/canonical.ts';
import type { Snapshot, StoreChange } from '../../store/types.ts';

/** The next revision of one datastore while a pass works it out: what is committed, seen through the changes so far. */
export interface Draft {
  readonly change: StoreChange;
  readonly empty: boolean;
  repository(key: ObjectKey): RepositoryRow | undefined;
  repositories(): Iterable<readonly [ObjectKey, RepositoryRow]>;
  setRepository(key: ObjectKey, row: RepositoryRow | undefined): void;
  entry(repository: ObjectKey, path: ContentPath): Entry | undefined;
  setEntry(repository: ObjectKey, path: ContentPath, entry: Entry | undefined): void;
  /** Bytes by which the changes so far let the repository grow. */
  grown(repository: ObjectKey): number;
  /** The same of all repositories of a namespace. */
  grownIn(namespace: string): number;
  vm(key: ObjectKey): VmRow | undefined;
  setVm(key: ObjectKey, row: VmRow | undefined, ruleSet: RuleSet | undefined): void;
}

/** Holds only differences: what is set to what it already is leaves no trace, so that nothing is written for it. */
export function createDraft(base: Snapshot): Draft {
  const repositories = new Map<ObjectKey, RepositoryRow | undefined>();
  const entries = new Map<ObjectKey, Map<ContentPath, Entry | undefined>>();
  const vms = new Map<ObjectKey, VmRow | undefined>();
  const ruleSets = new Map<Digest, RuleSet>();
  /** By repository, and by namespace: no key of a repository is the name of a namespace. */
  const grown = new Map<string, number>();

  const repository = (key: ObjectKey) => (repositories.has(key) ? repositories.get(key) : base.repositories.get(key));
  return {
    change: { repositories, entries, vms, ruleSets },
    get empty() {
      return repositories.size === 0 && entries.size === 0 && vms.size === 0;
    },
    repository,
    *repositories() {
      for (const key of new Set([...base.repositories.keys(), ...repositories.keys()])) {
        const row = repository(key);
        if (row !== undefined) yield [key, row];
      }
    },
    setRepository: (key, row) => {
      assign(repositories, key, row, base.repositories.get(key));
      if (row === undefined) entries.delete(key);
    },
    entry: (key, path) => {
      // The catalog goes with its repository.
      if (repository(key) === undefined) return undefined;
      const changed = entries.get(key);
      return changed?.has(path) ? changed.get(path) : base.find(key, path);
    },
    setEntry: (key, path, entry) => {
      if (repository(key) === undefined) return;
      const changed = entries.get(key) ?? new Map<ContentPath, Entry | undefined>();
      const before = changed.has(path) ? changed.get(path) : base.find(key, path);
      for (const name of [key, namespaceOf(key)]) {
        grown.set(name, (grown.get(name) ?? 0) + sizeOf(entry) - sizeOf(before));
      }
      assign(changed, path, entry, base.find(key, path));
      if (changed.size === 0) entries.delete(key);
      else entries.set(key, changed);
    },
    grown: (key) => grown.get(key) ?? 0,
    grownIn: (namespace) => grown.get(namespace) ?? 0,
    vm: (key) => (vms.has(key) ? vms.get(key) : base.vm(key)),
    setVm: (key, row, ruleSet) => {
      assign(vms, key, row, base.vm(key));
      if (vms.has(key) && row?.ruleSet && ruleSet !== undefined) ruleSets.set(row.ruleSet, ruleSet);
    },
  };
}

/** Bytes that an entry holds. */
export function sizeOf(entry: Entry | undefined): number {
  return entry === undefined || entry.state === 'pending' ? 0 : entry.size;
}

function assign<Key, Value>(changes: Map<Key, Value>, key: Key, value: Value, base: Value): void {
  if (sameRecord(value, base)) changes.delete(key);
  else changes.set(key, value);
}
