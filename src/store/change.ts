import type { Entry } from '../core/catalog.ts';
import type { Digest } from '../core/digest.ts';
import type { ObjectKey } from '../core/names.ts';
import type { RuleSet, VmRow } from '../core/settings.ts';
import { GuestStoreError } from '../lib/errors.ts';
import { emptyLeaf, objectOf, ruleSetObject, type StoredObject } from './canonical.ts';
import { indexRecord, isRoot } from './records.ts';
import type { Parts, RepositoryPart } from './snapshot.ts';
import { changed, emptyTrie, entriesOf, find } from './trie.ts';
import type { StoreChange } from './types.ts';

/** A revision that follows from another one and a change. */
export interface Next {
  readonly parts: Parts;
  readonly index: Digest;
  /** Every object that the revision needs and the one before did not have. */
  readonly objects: ReadonlyMap<Digest, string>;
}

/**
 * Pure; may be interrupted, since 10,000 rows take longer than anybody should wait for a turn. Throws `Internal` for a change
 * that contradicts itself: a fault of the program, never of a user.
 */
export function* applyChange(before: Parts, change: StoreChange): Generator<void, Next> {
  const objects = new Map<Digest, string>();
  const emit = ({ digest, text }: StoredObject) => void objects.set(digest, text);
  const repositories = yield* changeRepositories(before.repositories, change, emit);
  const vms = yield* changed(before.vms, change.vms, emit);
  const ruleSets = changeRuleSets(before, change, emit);
  return named({ repositories, vms, ruleSets }, objects);
}

/** What a datastore holds before its first commit. */
export function emptyRevision(): Next {
  return named({ repositories: new Map(), vms: emptyTrie(), ruleSets: new Map() }, new Map());
}

/** With the index, and the empty leaf that the first revision of a store or repository starts from. */
function named(parts: Parts, objects: Map<Digest, string>): Next {
  const index = indexObject(parts);
  objects.set(index.digest, index.text);
  if (isEmptyAnywhere(parts)) objects.set(emptyLeaf().digest, emptyLeaf().text);
  return { parts, index: index.digest, objects };
}

function isEmptyAnywhere({ repositories, vms }: Parts): boolean {
  return vms.size === 0 || [...repositories.values()].some(({ catalog }) => catalog.size === 0);
}

function indexObject(parts: Parts): StoredObject {
  const repositories = new Map(
    Array.from(parts.repositories, ([key, { row, catalog, bytes }]) => [
      key,
      { row, catalog: catalog.digest, items: catalog.size, bytes },
    ]),
  );
  return objectOf(indexRecord({ repositories, vms: parts.vms.digest }));
}

type Emit = (object: StoredObject) => void;

function* changeRepositories(
  before: ReadonlyMap<ObjectKey, RepositoryPart>,
  change: StoreChange,
  emit: Emit,
): Generator<void, ReadonlyMap<ObjectKey, RepositoryPart>> {
  const repositories = new Map(before);
  for (const [key, row] of change.repositories) {
    if (row === undefined) {
      repositories.delete(key);
      continue;
    }
    if (!isRoot(row.root)) throw new GuestStoreError('Internal', `repository ${key}: "${row.root}" is no root`);
    const part = before.get(key) ?? { catalog: emptyTrie<Entry>(), bytes: 0 };
    repositories.set(key, { ...part, row });
  }
  for (const [key, entries] of change.entries) {
    const part = repositories.get(key);
    if (part === undefined)
      throw new GuestStoreError('Internal', `change names entries of repository ${key}, which is not there`);
    repositories.set(key, yield* changeCatalog(part, entries, emit));
  }
  return repositories;
}

function* changeCatalog(
  part: RepositoryPart,
  entries: ReadonlyMap<string, Entry | undefined>,
  emit: Emit,
): Generator<void, RepositoryPart> {
  let { bytes } = part;
  for (const [path, entry] of entries) bytes += sizeOf(entry) - sizeOf(find(part.catalog, path));
  return { row: part.row, catalog: yield* changed(part.catalog, entries, emit), bytes };
}

function sizeOf(entry: Entry | undefined): number {
  return entry === undefined || entry.state === 'pending' ? 0 : entry.size;
}

function changeRuleSets(before: Parts, change: StoreChange, emit: Emit): ReadonlyMap<Digest, RuleSet> {
  let ruleSets: Map<Digest, RuleSet> | undefined;
  for (const [key, row] of change.vms) {
    const digest = row?.ruleSet ?? null;
    if (digest === null || (ruleSets ?? before.ruleSets).has(digest)) continue;
    const ruleSet = change.ruleSets.get(digest);
    if (ruleSet === undefined)
      throw new GuestStoreError('Internal', `VM ${key} names rule set ${digest}, which nobody gave`);
    const object = ruleSetObject(ruleSet);
    if (object.digest !== digest)
      throw new GuestStoreError('Internal', `rule set ${digest} has digest ${object.digest}`);
    emit(object);
    ruleSets ??= new Map(before.ruleSets);
    ruleSets.set(digest, ruleSet);
  }
  return ruleSets ?? before.ruleSets;
}

/** Without the rule sets that no VM names any more. */
export function withoutUnused(parts: Parts): Parts {
  const used = new Set(Array.from(entriesOf<VmRow>(parts.vms), ([, { ruleSet }]) => ruleSet));
  return { ...parts, ruleSets: new Map([...parts.ruleSets].filter(([digest]) => used.has(digest))) };
}
