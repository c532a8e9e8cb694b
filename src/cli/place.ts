import { GuestStoreError } from '../lib/errors.ts';
import type { Values } from './flags.ts';

/** Where a command looks: a folder of manifests, a datastore, or the cluster. */
export type Place =
  | { readonly kind: 'manifests'; readonly folder: string }
  | { readonly kind: 'datastore'; readonly folder: string }
  | { readonly kind: 'cluster'; readonly kubeconfig: string | undefined };

/** Throws `InvalidArgument` when two are named. */
export function readPlace(values: Values): Place {
  const manifests = values.optional('manifests');
  const datastore = values.optional('datastore');
  if (manifests !== undefined && datastore !== undefined) {
    throw new GuestStoreError(
      'InvalidArgument',
      'name either --manifests or --datastore (or neither, for the cluster)',
    );
  }
  if (manifests !== undefined) return { kind: 'manifests', folder: manifests };
  if (datastore !== undefined) return { kind: 'datastore', folder: datastore.slice(datastore.indexOf('=') + 1) };
  return { kind: 'cluster', kubeconfig: values.optional('kubeconfig') };
}
