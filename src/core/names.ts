/** `namespace/name` of a namespaced object, `name` of a cluster one: how records in the datastore point at objects. */
export type ObjectKey = string;

/** A reference to an object, whole enough for messages and provenance. */
export interface ObjectRef {
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
}

export function keyOf(object: { readonly namespace?: string | undefined; readonly name: string }): ObjectKey {
  return object.namespace === undefined ? object.name : `${object.namespace}/${object.name}`;
}

/** The object that a reference from namespace `from` names: in that namespace, unless it says another. */
export function keyNamedBy(
  reference: { readonly name: string; readonly namespace?: string | undefined },
  from: string,
): ObjectKey {
  return `${reference.namespace ?? from}/${reference.name}`;
}

/** Order of claims and of rules: plain byte order of `namespace/name`, the same everywhere and for ever. */
export function compareKeys(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
