import type { GuestStoreRepository } from '../api/resources.generated.ts';
import { namespaceOf } from './bounds.ts';
import type { RepositoryRow } from './catalog.ts';
import { compareKeys, keyOf, type ObjectKey } from './names.ts';
import type { Failure } from './outcome.ts';

/** Fields whose working comes later: what is set is said in status, never silently ignored. */
export function unsupportedOfRepository(repository: GuestStoreRepository): string[] {
  const { spec } = repository;
  const later = {
    'spec.retention': spec.retention !== undefined,
    'spec.revision': spec.revision !== undefined,
    'spec.unmanaged': spec.unmanaged === 'Adopt',
  };
  return Object.entries(later).flatMap(([field, set]) => (set ? [field] : []));
}

export function desiredRepository(repository: GuestStoreRepository): RepositoryRow {
  const { spec } = repository;
  return {
    root: spec.root ?? keyOf(repository.metadata),
    plainTree: spec.plainTree,
    authoritative: spec.authoritative,
  };
}

/** Two spellings of one name must not be two folders. */
export function rootFault(root: string): Failure | undefined {
  if (root.normalize('NFC') === root) return undefined;
  const message = 'spec.root is not in Unicode normalization form C: write it with composed characters.';
  return { reason: 'InvalidPath', message, terminal: true };
}

/**
 * The claimant of a root keeps it; two trees may not lie in one another either. Roots that differ in letter case alone
 * count as one: on some file systems they are. `claimed` are the roots of the datastore by repository, as recorded. A
 * claimant of another namespace is not named.
 */
export function rootConflict(
  key: ObjectKey,
  root: string,
  claimed: Iterable<readonly [ObjectKey, RepositoryRow]>,
): Failure | undefined {
  const within = (inner: string, outer: string) => `${inner}/`.toLowerCase().startsWith(`${outer}/`.toLowerCase());
  for (const [other, row] of [...claimed].toSorted(([a], [b]) => compareKeys(a, b))) {
    if (other === key || !(within(root, row.root) || within(row.root, root))) continue;
    const who = namespaceOf(other) === namespaceOf(key) ? `repository ${other}` : 'a repository of another namespace';
    const message = `spec.root "${root}" overlaps the root of ${who}, which claimed it first: choose another.`;
    return { reason: 'RootConflict', message, terminal: true };
  }
  return undefined;
}
