import { isApiError } from './api-error.ts';
import type { Client, JsonPatchOperation } from './client.ts';
import type { KubeObject, Stored } from './objects.ts';
import type { Resource } from './resource.ts';

/** Adds `finalizer`, on the state that `object` shows; returns the object as it is then. Throws `ApiError` when it has changed since. */
export async function addFinalizer<T extends KubeObject>(
  client: Client,
  resource: Resource<T>,
  object: Stored<T>,
  finalizer: string,
  signal: AbortSignal,
): Promise<Stored<T>> {
  const finalizers = object.metadata.finalizers ?? [];
  if (finalizers.includes(finalizer)) return object;
  const operations: JsonPatchOperation[] = [
    { op: 'test', path: '/metadata/resourceVersion', value: object.metadata.resourceVersion },
    { op: 'add', path: '/metadata/finalizers', value: [...finalizers, finalizer] },
  ];
  return client.patch(resource, object.metadata, { type: 'json', operations }, { signal });
}

/** Removes `finalizer`, and nothing else: the patch fails when another one stands in its place by now. Fine if the object is gone. */
export async function removeFinalizer<T extends KubeObject>(
  client: Client,
  resource: Resource<T>,
  object: Stored<T>,
  finalizer: string,
  signal: AbortSignal,
): Promise<void> {
  const place = (object.metadata.finalizers ?? []).indexOf(finalizer);
  if (place < 0) return;
  const operations: JsonPatchOperation[] = [
    { op: 'test', path: '/metadata/uid', value: object.metadata.uid },
    { op: 'test', path: `/metadata/finalizers/${place}`, value: finalizer },
    { op: 'remove', path: `/metadata/finalizers/${place}` },
  ];
  try {
    await client.patch(resource, object.metadata, { type: 'json', operations }, { signal });
  } catch (error) {
    if (!isApiError(error, 'NotFound')) throw error;
  }
}
