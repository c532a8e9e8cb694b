import { resolve } from 'node:path';
import type { GuestStoreHost, Resource } from '../api/resources.generated.ts';
import type { Client } from '../kube/client.ts';
import { connect } from '../kube/connect.ts';
import { type KubeObject, keyOf } from '../kube/objects.ts';
import { type Resource as ApiResource, configMaps, namespaces, secrets } from '../kube/resource.ts';
import { GuestStoreError } from '../lib/errors.ts';
import { silent } from '../lib/log.ts';
import type { World } from '../operator/types.ts';
import { resources } from '../operator/world/cluster-resources.ts';
import { openFolderWorld } from '../operator/world/folder-world.ts';
import { createMemoryDocuments } from '../operator/world/shelf.ts';
import type { Place } from './place.ts';
import { formatFinding } from './status-rows.ts';

/** One look at everything that is declared, for commands that tell and do not follow. */
export interface LookedWorld extends World {
  objects(): Iterable<Resource>;
}

/** Throws `InvalidManifest` when a manifest cannot be taken, `ApiUnavailable` or `ApiRefused` for the cluster. */
export async function lookWorld(
  place: Exclude<Place, { kind: 'datastore' }>,
  version: string,
  signal: AbortSignal,
): Promise<LookedWorld> {
  if (place.kind === 'cluster') return await lookCluster(place.kubeconfig, version, signal);
  const world = await openFolderWorld(resolve(place.folder), createMemoryDocuments(), silent);
  await world.scan();
  const findings = [...world.trouble.values()].flatMap((trouble) => trouble.findings);
  if (findings.length > 0) throw new GuestStoreError('InvalidManifest', findings.map(formatFinding).join('\n'));
  return world;
}

async function lookCluster(kubeconfig: string | undefined, version: string, signal: AbortSignal): Promise<LookedWorld> {
  const { client } = await connect({ kubeconfig, userAgent: `gueststore/${version}` });
  try {
    const [datastores, repositories, items, policies, clusterPolicies, vms, hosts, spaces] = await Promise.all([
      listAll(client, resources.GuestStoreDatastore, signal),
      listAll(client, resources.GuestStoreRepository, signal),
      listAll(client, resources.ContentItem, signal),
      listAll(client, resources.VMAccessPolicy, signal),
      listAll(client, resources.ClusterVMAccessPolicy, signal),
      listAll(client, resources.GuestVM, signal),
      listAll(client, resources.GuestStoreHost, signal).catch((): Map<string, GuestStoreHost> => new Map()),
      listAll(client, namespaces, signal),
    ]);
    return {
      datastores,
      repositories,
      items,
      policies,
      clusterPolicies,
      vms,
      leavingNamespaces: new Set(
        [...spaces].flatMap(([name, { metadata }]) => (metadata.deletionTimestamp === undefined ? [] : [name])),
      ),
      namespaces: new Map([...spaces].map(([name, { metadata }]) => [name, metadata.labels ?? {}])),
      configMap: (namespace, name) => client.find(configMaps, { namespace, name }, signal),
      secret: (namespace, name) => client.find(secrets, { namespace, name }, signal),
      onChange: () => () => {},
      objects: () =>
        [datastores, repositories, items, policies, clusterPolicies, vms, hosts].flatMap((all) => [...all.values()]),
    };
  } finally {
    await client.close();
  }
}

async function listAll<T extends KubeObject>(
  client: Client,
  resource: ApiResource<T>,
  signal: AbortSignal,
): Promise<Map<string, T>> {
  const found = new Map<string, T>();
  let next: string | undefined;
  do {
    const page = await client.list(resource, { limit: 500, continue: next, signal });
    for (const object of page.items) found.set(keyOf(object), { ...object, kind: resource.kind });
    next = page.continue;
  } while (next !== undefined);
  return found;
}
