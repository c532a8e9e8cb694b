import type { Change } from './cache.ts';
import { type Key, type KubeObject, keyOf, type OwnerReference, type Stored } from './objects.ts';
import { apiVersionOf, type Resource } from './resource.ts';

/** Keys of the objects that one object concerns: its owners, what it refers to. */
export type KeysOf<T extends KubeObject> = (object: Stored<T>) => Iterable<Key>;

/** Whom a change concerns: whoever the object belonged to before it, and whoever it belongs to now. */
export function concerned<T extends KubeObject>(change: Change<T>, keysOf: KeysOf<T>): ReadonlySet<Key> {
  const before = change.type === 'added' ? [] : keysOf(change.old);
  const now = change.type === 'deleted' ? [] : keysOf(change.object);
  return new Set([...before, ...now]);
}

/** The objects of kind `owner` that own an object. */
export function ownedBy(owner: Resource<KubeObject>): KeysOf<KubeObject> {
  // A version may be another one by now; the group is what stays.
  const group = (apiVersion: string) => (apiVersion.includes('/') ? apiVersion.split('/')[0] : '');
  return ({ metadata: { namespace, ownerReferences = [] } }) =>
    ownerReferences
      .filter(({ kind, apiVersion }) => kind === owner.kind && group(apiVersion) === owner.group)
      .map(({ name }) => keyOf({ metadata: { namespace: owner.namespaced ? namespace : undefined, name } }));
}

/** What makes `owner` the controlling owner of an object, which goes when it goes. */
export function ownerReference<T extends KubeObject>(resource: Resource<T>, owner: Stored<T>): OwnerReference {
  const { name, uid } = owner.metadata;
  return { apiVersion: apiVersionOf(resource), kind: resource.kind, name, uid, controller: true };
}

/**
 * Whether a change may ask for work: all but those that touch nothing but status and bookkeeping, most of which we made
 * ourselves. Kinds without a generation (ConfigMap, Namespace) count by their version.
 */
export function isNews<T extends KubeObject>(change: Change<T>): boolean {
  if (change.type !== 'updated') return true;
  const { metadata: old } = change.old;
  const { metadata: now } = change.object;
  if (now.generation === undefined || old.generation !== now.generation) return true;
  const told = ({ uid, deletionTimestamp, labels, annotations, finalizers }: typeof now) =>
    JSON.stringify([uid, deletionTimestamp, labels, annotations, finalizers]);
  return told(old) !== told(now);
}
