import type {
  ClusterVMAccessPolicy,
  ContentItem,
  GuestStoreDatastore,
  GuestStoreRepository,
  GuestVM,
  VMAccessPolicy,
} from '../api/resources.generated.ts';
import type { Condition } from '../core/conditions.ts';
import type { ObjectKey } from '../core/names.ts';
import type { Labels } from '../core/selector.ts';

/** The kinds that people declare and whose status the operator writes. */
export type DeclaredKind =
  | 'GuestStoreDatastore'
  | 'GuestStoreRepository'
  | 'ContentItem'
  | 'VMAccessPolicy'
  | 'ClusterVMAccessPolicy'
  | 'GuestVM';

/** What may change in the world that the operator observes. */
export type ObservedKind = DeclaredKind | 'Namespace' | 'ConfigMap' | 'Secret';

export type Declared =
  | GuestStoreDatastore
  | GuestStoreRepository
  | ContentItem
  | VMAccessPolicy
  | ClusterVMAccessPolicy
  | GuestVM;

/** What grants and denies, in a namespace or in all. */
export type Policy = VMAccessPolicy | ClusterVMAccessPolicy;

/**
 * The declared resources as they are observed now, from an API server or a folder of manifests. Views are live: read them
 * at the moment of use. `generation` is always set.
 */
export interface World {
  readonly repositories: ReadonlyMap<ObjectKey, GuestStoreRepository>;
  readonly items: ReadonlyMap<ObjectKey, ContentItem>;
  readonly policies: ReadonlyMap<ObjectKey, VMAccessPolicy>;
  readonly clusterPolicies: ReadonlyMap<ObjectKey, ClusterVMAccessPolicy>;
  readonly vms: ReadonlyMap<ObjectKey, GuestVM>;
  readonly namespaces: ReadonlyMap<string, Labels>;
  /** Namespaces that are being deleted, with all that is in them. */
  readonly leavingNamespaces: ReadonlySet<string>;
  /** What namespaces may do with the datastores of these names. */
  readonly datastores: ReadonlyMap<string, GuestStoreDatastore>;
  /** Bytes by key of a ConfigMap or Secret; undefined where there is none. Throws `SecretNotGranted`, `ApiUnavailable`. */
  configMap(namespace: string, name: string, signal: AbortSignal): Promise<KeyedData | undefined>;
  secret(namespace: string, name: string, signal: AbortSignal): Promise<KeyedData | undefined>;
  /** Where more than the views has to stand still for a pass: all of it, as it is now. */
  frozen?(): World;
  /** Called for each object that came, changed or went, until what is returned is called. */
  onChange(listener: (kind: ObservedKind, key: ObjectKey) => void): () => void;
}

/** As the API gives them: `data` of a ConfigMap is text, all else base64. */
export interface KeyedData {
  readonly data?: Readonly<Record<string, string>> | undefined;
  readonly binaryData?: Readonly<Record<string, string>> | undefined;
}

/** A status as it is written: conditions and what the kind adds. */
export interface WrittenStatus {
  readonly observedGeneration: number;
  readonly conditions: readonly Condition[];
  readonly [field: string]: unknown;
}

/** What one host's daemons say of themselves, projected for people; never heartbeat or seq. */
export interface HostStatus extends WrittenStatus {
  readonly formats: readonly number[];
}

export interface HostAsks {
  readonly generation: number;
  readonly suspended: boolean;
  /** `requestOf` it. */
  readonly request: string | undefined;
}

/** Where status goes: the API server, or the datastore for `up`. Each call writes only what changed. */
export interface StatusSink {
  writeStatus(kind: DeclaredKind, key: ObjectKey, status: WrittenStatus, signal: AbortSignal): Promise<void>;
  /** Hosts that have a status already, from an earlier run too. */
  hostStatuses(): Iterable<readonly [name: string, status: WrittenStatus]>;
  /** What people ask for on a host's object; undefined where there is none. */
  hostAsks(name: string): HostAsks | undefined;
  writeHost(name: string, status: HostStatus, signal: AbortSignal): Promise<void>;
  removeHost(name: string, signal: AbortSignal): Promise<void>;
  /** Holds an object back from vanishing until its traces are gone from the datastore, and lets it go. */
  hold(kind: DeclaredKind, key: ObjectKey, signal: AbortSignal): Promise<void>;
  release(kind: DeclaredKind, key: ObjectKey, signal: AbortSignal): Promise<void>;
  event(kind: DeclaredKind | 'GuestStoreHost', key: ObjectKey, event: Event): void;
  /** Resolves when everything written so far is where a reader would find it. */
  flush(): Promise<void>;
}

export interface Event {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}
