import type { GuestStoreRepository } from '../api/resources.generated.ts';
import { keyNamedBy, type ObjectKey } from './names.ts';
import type { Failure } from './outcome.ts';
import { type Labels, labelsOfNamespace, selects } from './selector.ts';

/** A repository that an object may refer to, or why it may not. */
export type Referred =
  | { readonly key: ObjectKey; readonly repository: GuestStoreRepository }
  | { readonly failure: Failure };

/**
 * Follows a reference from namespace `from`. A reference reaches into another namespace only where the repository says so
 * (`spec.allow`, as Gateway API's listeners do); one that may not be followed looks like one to nothing.
 */
export function referRepository(
  reference: { readonly name: string; readonly namespace?: string | undefined },
  from: string,
  who: 'items' | 'vms',
  repositories: ReadonlyMap<ObjectKey, GuestStoreRepository>,
  namespaces: ReadonlyMap<string, Labels>,
): Referred {
  const namespace = reference.namespace ?? from;
  const key = keyNamedBy(reference, from);
  const repository = repositories.get(key);
  if (namespace !== from && !(repository !== undefined && allows(repository, from, who, namespaces))) {
    return failed(
      'ReferenceNotPermitted',
      `spec.repositoryRef: repository ${key} does not exist or does not let ${who} of namespace ${from} refer to it; its spec.allow.${who} decides.`,
    );
  }
  if (repository === undefined) {
    return failed(
      'RepositoryNotFound',
      `spec.repositoryRef: there is no GuestStoreRepository ${key}; create it or name another.`,
    );
  }
  return { key, repository };
}

/**
 * The one repository of a VM that names none: its namespace's only one, or that marked as default. Never a guess. One that
 * is to be deleted counts only where there is no other.
 */
export function ownRepository(namespace: string, repositories: ReadonlyMap<ObjectKey, GuestStoreRepository>): Referred {
  const there = [...repositories].filter(([, { metadata }]) => metadata.namespace === namespace);
  const staying = there.filter(([, { metadata }]) => metadata.deletionTimestamp === undefined);
  const all = staying.length > 0 ? staying : there;
  const marked = all.filter(([, { spec }]) => spec.default);
  const fitting = marked.length > 0 ? marked : all;
  const [first] = fitting;
  if (first !== undefined && fitting.length === 1) return { key: first[0], repository: first[1] };
  if (first === undefined) {
    return failed(
      'RepositoryNotFound',
      `Namespace ${namespace} has no GuestStoreRepository; create one or set spec.repositoryRef.`,
    );
  }
  const names = fitting.map(([key]) => key).toSorted();
  return failed(
    'RepositoryAmbiguous',
    `Namespace ${namespace} has ${fitting.length} fitting repositories (${names.slice(0, 3).join(', ')}): set spec.repositoryRef, or spec.default on one.`,
  );
}

function allows(
  repository: GuestStoreRepository,
  from: string,
  who: 'items' | 'vms',
  namespaces: ReadonlyMap<string, Labels>,
): boolean {
  const allow = repository.spec.allow?.[who];
  if (allow?.from === 'All') return true;
  return (
    allow?.from === 'Selector' &&
    allow.selector !== undefined &&
    selects(allow.selector, labelsOfNamespace(namespaces, from))
  );
}

function failed(reason: Failure['reason'], message: string): Referred {
  // Not terminal: the repository may come.
  return { failure: { reason, message, terminal: false } };
}
