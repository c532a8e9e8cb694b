import type {
  ClusterVMAccessPolicy,
  ContentItem,
  GuestStoreDatastore,
  GuestStoreHost,
  GuestStoreRepository,
  GuestVM,
  Kind,
  VMAccessPolicy,
} from '../../api/resources.generated.ts';
import type { ObjectKey } from '../../core/names.ts';
import type { Labels } from '../../core/selector.ts';
import { ApiError } from '../../kube/api-error.ts';
import type { Client } from '../../kube/client.ts';
import { createInformer, type Informer } from '../../kube/informer.ts';
import { isNews } from '../../kube/mappers.ts';
import { type KubeObject, keyOf, type Stored } from '../../kube/objects.ts';
import { configMaps, namespaces, type Resource, secrets } from '../../kube/resource.ts';
import { GuestStoreError } from '../../lib/errors.ts';
import type { Check } from '../../lib/health.ts';
import type { Log } from '../../lib/log.ts';
import type { Metrics } from '../../lib/metrics.ts';
import type { Shown } from '../instruments.ts';
import { FreezableMap } from '../publish/freezable-map.ts';
import type { DeclaredKind, ObservedKind, World } from '../types.ts';
import { resources } from './cluster-resources.ts';
import { complete } from './complete.ts';

/** What is declared in a cluster, followed by watches. */
export interface ClusterWorld extends World {
  /** Readiness: each kind was listed once. */
  readonly checks: readonly Check[];
  /** Resolves when every kind was listed once. */
  readonly synced: Promise<unknown>;
  /** An object as the API server last gave it; hosts are looked up by name alone. */
  stored(kind: DeclaredKind | 'GuestStoreHost', key: ObjectKey): Stored<KubeObject> | undefined;
  hosts(): Iterable<GuestStoreHost>;
  host(name: string): GuestStoreHost | undefined;
  /** Everything declared, and hosts, with status. */
  objects(): Iterable<Shown>;
  /** Follows the server until the signal aborts. Once. */
  run(signal: AbortSignal): Promise<void>;
}

export interface ClusterWorldOptions {
  readonly client: Client;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Whom a namespace must let read its Secrets: `namespace:name` of the service account. */
  readonly serviceAccount: string;
}

export function createClusterWorld(options: ClusterWorldOptions): ClusterWorld {
  const { client } = options;
  const listeners = new Set<(kind: ObservedKind, key: ObjectKey) => void>();
  const informers: Informer<KubeObject>[] = [];

  /** A map that follows the server; every change is told. */
  function follow<T extends KubeObject, View>(
    kind: ObservedKind,
    resource: Resource<T>,
    viewOf: (object: Stored<T>) => View,
    selection: { readonly metadataOnly?: boolean } = {},
  ): { readonly view: ReadonlyMap<ObjectKey, View>; readonly informer: Informer<T> } {
    const view = new FreezableMap<ObjectKey, View>();
    const informer = createInformer<T>({ ...options, resource, ...selection });
    informer.onChange((change) => {
      if (change.type === 'deleted') view.delete(change.key);
      else view.set(change.key, viewOf(change.object));
      if (!isNews(change)) return;
      for (const listener of listeners) listener(kind, change.key);
    });
    informers.push(informer as unknown as Informer<KubeObject>);
    return { view, informer };
  }

  function whole<T extends KubeObject>(kind: Kind): (object: Stored<T>) => Stored<T> {
    return (stored) => {
      const { object, lacks } = complete(kind, stored);
      if (lacks.length > 0)
        options.log.warn(
          { kind, object: keyOf(stored), lacks },
          'object lacks what its schema promises: apply it anew',
        );
      return object;
    };
  }

  const datastores = follow(
    'GuestStoreDatastore',
    resources.GuestStoreDatastore,
    whole<GuestStoreDatastore>('GuestStoreDatastore'),
  );
  const repositories = follow(
    'GuestStoreRepository',
    resources.GuestStoreRepository,
    whole<GuestStoreRepository>('GuestStoreRepository'),
  );
  const items = follow('ContentItem', resources.ContentItem, whole<ContentItem>('ContentItem'));
  const policies = follow('VMAccessPolicy', resources.VMAccessPolicy, whole<VMAccessPolicy>('VMAccessPolicy'));
  const cluster = follow(
    'ClusterVMAccessPolicy',
    resources.ClusterVMAccessPolicy,
    whole<ClusterVMAccessPolicy>('ClusterVMAccessPolicy'),
  );
  const vms = follow('GuestVM', resources.GuestVM, whole<GuestVM>('GuestVM'));
  const labels = follow('Namespace', namespaces, ({ metadata }): Labels => metadata.labels ?? {}, {
    metadataOnly: true,
  });
  const leavingNamespaces = new Set<string>();
  labels.informer.onChange((change) => {
    const leaving = change.type !== 'deleted' && change.object.metadata.deletionTimestamp !== undefined;
    if (leaving) leavingNamespaces.add(change.key);
    else leavingNamespaces.delete(change.key);
  });
  // Only that they changed; bytes are fetched when they are needed, and never cached.
  follow('ConfigMap', configMaps, () => true, { metadataOnly: true });
  const hosts = createInformer({ ...options, resource: resources.GuestStoreHost });
  informers.push(hosts as unknown as Informer<KubeObject>);
  const byKind = {
    GuestStoreDatastore: datastores.informer,
    GuestStoreRepository: repositories.informer,
    ContentItem: items.informer,
    VMAccessPolicy: policies.informer,
    ClusterVMAccessPolicy: cluster.informer,
    GuestVM: vms.informer,
    GuestStoreHost: hosts,
  };

  return {
    repositories: repositories.view,
    items: items.view,
    policies: policies.view,
    clusterPolicies: cluster.view,
    vms: vms.view,
    namespaces: labels.view,
    leavingNamespaces,
    datastores: datastores.view,
    configMap: async (namespace, name, signal) => {
      try {
        return await client.find(configMaps, { namespace, name }, signal);
      } catch (error) {
        throw unread(`ConfigMap ${namespace}/${name}`, error);
      }
    },
    secret: async (namespace, name, signal) => {
      try {
        return await client.find(secrets, { namespace, name }, signal);
      } catch (error) {
        if (error instanceof ApiError && error.status === 403)
          throw notGranted(namespace, options.serviceAccount, error);
        throw unread(`Secret ${namespace}/${name}`, error);
      }
    },
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    checks: informers.map((informer) => ({
      name: `cache/${informer.resource.plural}`,
      trouble: () =>
        informer.hasSynced ? undefined : `not listed yet: ${informer.trouble ?? 'the API server has not answered'}`,
    })),
    synced: Promise.all(informers.map((informer) => informer.synced)),
    stored: (kind, key) => byKind[kind].get(key) as Stored<KubeObject> | undefined,
    hosts: function* () {
      for (const host of hosts.values()) yield complete('GuestStoreHost', host).object;
    },
    host: (name) => {
      const host = hosts.get(name);
      return host && complete('GuestStoreHost', host).object;
    },
    *objects() {
      for (const [kind, { values }] of Object.entries(byKind))
        for (const { status } of values()) if (status !== undefined) yield { kind, status };
    },
    run: async (signal) => {
      await Promise.all(informers.map((informer) => informer.run(signal)));
    },
  };
}

/** In our own words: what a server, or a proxy before it, sent is for the log. */
function unread(what: string, error: unknown): unknown {
  if (!(error instanceof ApiError)) return error;
  const { code, status } = error;
  const answer = status === 0 ? 'does not answer' : `answered ${status}`;
  const wayOut = code === 'ApiUnavailable' ? 'it will be tried again' : 'check the roles of the operator';
  return new GuestStoreError(code, `${what} cannot be read: the API server ${answer}; ${wayOut}.`, { cause: error });
}

function notGranted(namespace: string, serviceAccount: string, cause: ApiError): GuestStoreError {
  return new GuestStoreError(
    'SecretNotGranted',
    `The operator may not read Secrets of namespace ${namespace}. Let it: kubectl -n ${namespace} create rolebinding gueststore-source-reader --clusterrole gueststore-source-reader --serviceaccount ${serviceAccount}`,
    { cause },
  );
}
