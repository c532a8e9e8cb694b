import type { GuestStoreRepository } from '../../api/resources.generated.ts';
import { namespaceOf } from '../../core/bounds.ts';
import type { ObjectKey } from '../../core/names.ts';
import type { DatastoreOutcome, ItemOutcome, PolicyOutcome, RepositoryOutcome, VmOutcome } from '../../core/outcome.ts';
import { type Referrers, referrersOf } from '../../core/references.ts';
import type { StoreWriter } from '../../store/types.ts';
import type { World } from '../types.ts';
import type { Draft } from './draft.ts';
import type { Ledger } from './ledger.ts';

/** What one pass works on: the world as it is now, the next revision of each datastore, and what came of each object. */
export interface Pass {
  readonly world: World;
  readonly ledger: Ledger;
  readonly writers: ReadonlyMap<string, StoreWriter>;
  readonly drafts: ReadonlyMap<string, Draft>;
  readonly now: Date;
}

/** Outcomes by object, until the next pass over it. */
export interface Outcomes {
  readonly datastores: Map<string, DatastoreOutcome>;
  readonly repositories: Map<ObjectKey, RepositoryOutcome>;
  readonly items: Map<ObjectKey, ItemOutcome>;
  readonly policies: Map<ObjectKey, PolicyOutcome>;
  readonly clusterPolicies: Map<ObjectKey, PolicyOutcome>;
  readonly vms: Map<ObjectKey, VmOutcome>;
}

export function noOutcomes(): Outcomes {
  return {
    datastores: new Map(),
    repositories: new Map(),
    items: new Map(),
    policies: new Map(),
    clusterPolicies: new Map(),
    vms: new Map(),
  };
}

/** An object that is on its way out is no longer declared. */
export function declared<Object extends { readonly metadata: { readonly deletionTimestamp?: string } }>(
  object: Object | undefined,
): Object | undefined {
  return object?.metadata.deletionTimestamp === undefined ? object : undefined;
}

/**
 * Repositories that are to be deleted and stay as long as somebody refers to them, with who does. In a namespace that goes
 * as a whole none is held.
 */
export function heldRepositories(world: World): ReadonlyMap<ObjectKey, Referrers> {
  const leaving = [...world.repositories].filter(
    ([key, repository]) => declared(repository) === undefined && !world.leavingNamespaces.has(namespaceOf(key)),
  );
  const all = referrersOf(new Set(leaving.map(([key]) => key)), world);
  return new Map([...all].filter(([, { items, vms }]) => items.length + vms.length > 0));
}

/** A datastore that is suspended suspends its repositories. */
export function isSuspended({ datastores }: World, { suspend, datastore }: GuestStoreRepository['spec']): boolean {
  return suspend || datastores.get(datastore)?.spec.suspend === true;
}
