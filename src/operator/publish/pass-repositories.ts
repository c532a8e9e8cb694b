import { useRefusal } from '../../core/bounds.ts';
import { desiredRepository, rootConflict, rootFault, unsupportedOfRepository } from '../../core/desired-repository.ts';
import type { ObjectKey } from '../../core/names.ts';
import type { Failure, RepositoryOutcome } from '../../core/outcome.ts';
import { requestOf } from '../../core/reconcile-request.ts';
import { type Referrers, referencesExist } from '../../core/references.ts';
import { declared, heldRepositories, isSuspended, type Pass } from './pass.ts';

/** Drafts the rows of repositories. One that fails keeps the row that it has. */
export function passRepositories(pass: Pass, keys: Iterable<ObjectKey>): Map<ObjectKey, RepositoryOutcome> {
  const outcomes = new Map<ObjectKey, RepositoryOutcome>();
  // What is gone first, since it frees its root; roots seen first in one pass go by namespace/name.
  const held = heldRepositories(pass.world);
  const gone = (key: ObjectKey) => declared(pass.world.repositories.get(key)) === undefined && !held.has(key);
  // Keys may come from an iterator, which gives them only once.
  const all = [...keys];
  const [removed, kept] = [all.filter(gone), all.filter((key) => !gone(key))];
  for (let left: readonly ObjectKey[] = [...removed, ...kept.toSorted()]; ; ) {
    for (const key of left) {
      const outcome = gone(key) ? remove(pass, key) : withReferrers(key, passRepository(pass, key), held.get(key));
      if (outcome !== undefined) outcomes.set(key, outcome);
    }
    // Who came later in this round may have left the root that another asked for.
    const waiting = left.filter((key) => outcomes.get(key)?.failure?.reason === 'RootConflict');
    if (waiting.length === 0 || waiting.length === left.length) return outcomes;
    left = waiting;
  }
}

function passRepository(pass: Pass, key: ObjectKey): RepositoryOutcome | undefined {
  const repository = pass.world.repositories.get(key);
  if (repository === undefined) return undefined;
  const { spec } = repository;
  const suspended = isSuspended(pass.world, spec);
  const outcome = (failure: Failure | undefined): RepositoryOutcome => ({
    generation: repository.metadata.generation ?? 1,
    seq: undefined,
    inherited: false,
    failure,
    suspended,
    handled: suspended ? undefined : requestOf(repository.metadata),
    notSupported: unsupportedOfRepository(repository),
    ...pass.ledger.usage(key),
  });
  if (suspended) return outcome(undefined);
  const draft = pass.drafts.get(spec.datastore);
  if (draft === undefined) {
    return outcome(datastoreNotFound('spec.datastore', spec.datastore, pass.drafts.keys()));
  }
  const row = desiredRepository(repository);
  const refusal = useRefusal(key, spec.datastore, row.root, pass.world.datastores, pass.world.namespaces);
  if (refusal !== undefined) return outcome(refusal);
  const conflict = rootFault(row.root) ?? rootConflict(key, row.root, draft.repositories());
  if (conflict !== undefined) return outcome(conflict);
  for (const [name, other] of pass.drafts) if (name !== spec.datastore) other.setRepository(key, undefined);
  draft.setRepository(key, row);
  return outcome(undefined);
}

function remove(pass: Pass, key: ObjectKey): undefined {
  for (const draft of pass.drafts.values()) draft.setRepository(key, undefined);
}

/** One that is only kept because it is referred to serves as ever; that it is to go is what there is to say of it. */
function withReferrers(
  key: ObjectKey,
  outcome: RepositoryOutcome | undefined,
  referrers: Referrers | undefined,
): RepositoryOutcome | undefined {
  if (outcome === undefined || referrers === undefined) return outcome;
  return { ...outcome, suspended: false, failure: referencesExist(key, referrers) };
}

export function datastoreNotFound(field: string, name: string, names: Iterable<string>): Failure {
  const known = [...names].map((one) => `"${one}"`).join(', ');
  const message = `${field} "${name}" is not a datastore of this installation; it has ${known}. Correct it, or start operator and daemons with --datastore ${name}=DIR.`;
  return { reason: 'DatastoreNotFound', message, terminal: true };
}
