import { type Kind, kinds } from '../../src/api/resources.generated.ts';
import type { Shown } from '../../src/core/status-faults.ts';
import { createInformer } from '../../src/kube/informer.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import type { Resource } from '../../src/kube/resource.ts';
import { silent } from '../../src/lib/log.ts';
import { createMetrics } from '../../src/lib/metrics.ts';
import type { StatusSink } from '../../src/operator/types.ts';
import { resources } from '../../src/operator/world/cluster-resources.ts';
import type { FolderWorld } from '../../src/operator/world/folder-world.ts';
import { faultsOfStatus } from './conditions.ts';
import type { Cluster } from './kubernetes/api-server.ts';
import { clientFor } from './kubernetes/clients.ts';

/** Writes as `world` does, and puts on `faults` what is wrong with any status that is written. */
export function checkedSink(world: FolderWorld, faults: string[]): StatusSink {
  const views = {
    GuestStoreRepository: world.repositories,
    ContentItem: world.items,
    VMAccessPolicy: world.policies,
    ClusterVMAccessPolicy: world.clusterPolicies,
    GuestVM: world.vms,
    GuestStoreDatastore: world.datastores,
  };
  const judge = (kind: Kind, key: string, object: Shown, before: Shown | undefined) => {
    for (const fault of faultsOfStatus(kind, object, before)) faults.push(`${kind} ${key}: ${fault}`);
  };
  return {
    ...world,
    writeStatus: (kind, key, status, signal) => {
      const before = views[kind].get(key);
      if (before !== undefined) judge(kind, key, { ...before, status }, before);
      return world.writeStatus(kind, key, status, signal);
    },
    writeHost: (name, status, signal) => {
      const before = world.hosts.get(name);
      judge('GuestStoreHost', name, { metadata: { generation: 1 }, status }, before && { status: before });
      return world.writeHost(name, status, signal);
    },
  };
}

/**
 * Watches every object of ours that the API server keeps, as an administrator, until disposed of; disposing throws when
 * any status that was ever stored had a fault. Our kinds are there already.
 */
export async function watchStatuses(cluster: Cluster): Promise<AsyncDisposable> {
  const faults: string[] = [];
  const client = clientFor(cluster, { userAgent: 'status-checker' });
  const stop = new AbortController();
  const judge = (kind: Kind, key: string, object: KubeObject, old: KubeObject | undefined) => {
    for (const fault of faultsOfStatus(kind, object as Shown, old as Shown)) faults.push(`${kind} ${key}: ${fault}`);
  };
  const informers = (Object.keys(kinds) as Kind[]).map((kind) => {
    const resource = resources[kind] as Resource<KubeObject>;
    const informer = createInformer({ client, resource, log: silent, metrics: createMetrics() });
    informer.onChange((change) => {
      if (change.type === 'deleted') return;
      judge(kind, change.key, change.object, change.type === 'updated' ? change.old : undefined);
    });
    return informer;
  });
  const running = Promise.all(informers.map((informer) => informer.run(stop.signal)));
  await Promise.all(informers.map(({ synced }) => synced));
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await running;
      await client.close();
      if (faults.length > 0) throw new Error(`statuses with faults were stored:\n${[...new Set(faults)].join('\n')}`);
    },
  };
}
