import type { GuestStoreRepository } from '../api/resources.generated.ts';
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

/**
 * The claimant of a root keeps it; two trees may not lie in one another either. `claimed` are the roots of the datastore
 * by repository, as recorded.
 */
export function rootConflict(
  key: ObjectKey,
  root: string,
  claimed: Iterable<readonly [ObjectKey, RepositoryRow]>,
): Failure | undefined {
  const within = (inner: string, outer: string) => inner === outer || inner.startsWith(`${outer}/`);
  for (const [other, row] of [...claimed].toSorted(([a], [b]) => compareKeys(a, b))) {
    if (other === key || !(within(root, row.root) || within(row.root, root))) continue;
    const message = `spec.root "${root}" overlaps the root of repository ${other}, which claimed it first: choose another.`;
    return { reason: 'RootConflict', message, terminal: true };
  }
  return undefined;
}
