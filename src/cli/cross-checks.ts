import type { FieldPath } from '../api/findings.ts';
import type { ManifestDocument } from '../api/manifests.ts';
import type {
  ContentItem,
  GuestStoreDatastore,
  GuestStoreRepository,
  GuestVM,
  Kind,
  Resource,
} from '../api/resources.generated.ts';
import { boundsOf, useRefusal } from '../core/bounds.ts';
import { compareKeys, keyNamedBy, keyOf, type ObjectKey } from '../core/names.ts';
import { ownRepository, referRepository } from '../core/permitted.ts';
import type { Labels } from '../core/selector.ts';
import { createAddressGuard, resolveBySystem } from '../sources/http-address.ts';

/** An object with the document that it came from. */
export interface Declared<Of extends Resource = Resource> {
  readonly resource: Of;
  readonly document: ManifestDocument;
}

/** An object of another API group that ours refer to. */
export interface ForeignObject {
  readonly kind: 'ConfigMap' | 'Secret' | 'Namespace';
  readonly key: ObjectKey;
  /** Keys of its data; for a Namespace its labels. */
  readonly data: Labels;
}

/** Something that no object is to blame for alone. */
export interface CrossFinding {
  readonly document: ManifestDocument;
  readonly path: FieldPath;
  readonly reason: string;
  readonly wayOut: string;
}

/**
 * What will not work between these objects: references that lead nowhere, and two that claim the same thing. A cluster may hold
 * more objects than these files, so none of it is certain.
 */
export function* crossCheck(declared: readonly Declared[], foreign: readonly ForeignObject[]): Iterable<CrossFinding> {
  // In the order in which claims are settled.
  const sorted = declared.toSorted((a, b) => compareKeys(keyOf(a.resource.metadata), keyOf(b.resource.metadata)));
  const repositories = ofKind(sorted, 'GuestStoreRepository');
  const items = ofKind(sorted, 'ContentItem');
  const vms = ofKind(sorted, 'GuestVM');
  const known = new Map(repositories.map(({ resource }) => [keyOf(resource.metadata), resource]));
  const namespaces = namespaceLabels(sorted, foreign);
  const datastores = new Map(
    ofKind(sorted, 'GuestStoreDatastore').map(({ resource }) => [resource.metadata.name, resource]),
  );

  yield* twins(declared);
  yield* rootConflicts(repositories);
  for (const repository of repositories) yield* useTrouble(repository, datastores, namespaces);
  for (const item of items) {
    yield* repositoryTrouble(item, 'items', known, namespaces);
    yield* entryTrouble(item, foreign);
    yield* egressTrouble(item, known, datastores, namespaces);
  }
  for (const vm of vms) yield* repositoryTrouble(vm, 'vms', known, namespaces);
  yield* pathConflicts(items);
  yield* channelConflicts(vms);
}

function ofKind<K extends Kind>(
  declared: readonly Declared[],
  kind: K,
): readonly Declared<Extract<Resource, { kind: K }>>[] {
  return declared.filter((one): one is Declared<Extract<Resource, { kind: K }>> => one.resource.kind === kind);
}

/** Every namespace that is mentioned bears at least the label that Kubernetes gives it. */
function namespaceLabels(
  declared: readonly Declared[],
  foreign: readonly ForeignObject[],
): ReadonlyMap<string, Labels> {
  const written = new Map(foreign.filter(({ kind }) => kind === 'Namespace').map(({ key, data }) => [key, data]));
  const mentioned = declared.flatMap(({ resource }) => resource.metadata.namespace ?? []);
  return new Map(
    [...written.keys(), ...mentioned].map((name) => [
      name,
      { ...written.get(name), 'kubernetes.io/metadata.name': name },
    ]),
  );
}

function* twins(declared: readonly Declared[]): Iterable<CrossFinding> {
  const first = new Map<string, ManifestDocument>();
  for (const { resource, document } of declared) {
    const key = `${resource.kind} ${keyOf(resource.metadata)}`;
    const other = first.get(key);
    if (other === undefined) first.set(key, document);
    else {
      const place = `${other.file}:${other.lineOf(['metadata', 'name'])}`;
      yield found(document, ['metadata', 'name'], `${key} stands in ${place} already`, 'keep one of the two');
    }
  }
}

function* rootConflicts(repositories: readonly Declared<GuestStoreRepository>[]): Iterable<CrossFinding> {
  const rootOf = ({ resource: { metadata, spec } }: Declared<GuestStoreRepository>) =>
    `${spec.datastore}:${spec.root ?? keyOf(metadata)}/`;
  for (const [index, one] of repositories.entries()) {
    const other = repositories
      .slice(0, index)
      .find((earlier) => rootOf(one).startsWith(rootOf(earlier)) || rootOf(earlier).startsWith(rootOf(one)));
    if (other === undefined || sameObject(one, other)) continue;
    const reason = `overlaps the root of repository ${keyOf(other.resource.metadata)} in the same datastore (RootConflict)`;
    yield found(one.document, ['spec', 'root'], reason, 'choose another root');
  }
}

/** What a GuestStoreDatastore does not let the repository's namespace do. */
function* useTrouble(
  { resource, document }: Declared<GuestStoreRepository>,
  datastores: ReadonlyMap<string, GuestStoreDatastore>,
  namespaces: ReadonlyMap<string, Labels>,
): Iterable<CrossFinding> {
  const { metadata, spec } = resource;
  const key = keyOf(metadata);
  const refusal = useRefusal(key, spec.datastore, spec.root ?? key, datastores, namespaces);
  if (refusal === undefined) return;
  const field = refusal.reason === 'RootNotPermitted' ? 'root' : 'datastore';
  yield found(document, ['spec', field], refusal.message.replace(/\.$/, ''), refusal.reason);
}

/** As far as the URL itself tells; where its name leads is seen when it is asked. */
function* egressTrouble(
  { resource, document }: Declared<ContentItem>,
  repositories: ReadonlyMap<ObjectKey, GuestStoreRepository>,
  datastores: ReadonlyMap<string, GuestStoreDatastore>,
  namespaces: ReadonlyMap<string, Labels>,
): Iterable<CrossFinding> {
  const { metadata, spec } = resource;
  const url = URL.parse(spec.source.http?.url ?? '');
  const repository = repositories.get(keyNamedBy(spec.repositoryRef, metadata.namespace));
  if (url === null || repository === undefined) return;
  const bounds = boundsOf(repository.spec.datastore, metadata.namespace, datastores, namespaces);
  const egress = 'reason' in bounds ? undefined : bounds.egress;
  if ('reason' in bounds || createAddressGuard(true, resolveBySystem, egress).refusalOf(url.hostname) !== undefined) {
    const reason = `GuestStoreDatastore ${repository.spec.datastore} lets no source of namespace ${metadata.namespace} connect there`;
    yield found(document, ['spec', 'source', 'http', 'url'], reason, 'EgressNotPermitted');
  }
}

function* repositoryTrouble(
  { resource, document }: Declared<ContentItem> | Declared<GuestVM>,
  who: 'items' | 'vms',
  repositories: ReadonlyMap<ObjectKey, GuestStoreRepository>,
  namespaces: ReadonlyMap<string, Labels>,
): Iterable<CrossFinding> {
  const { namespace } = resource.metadata;
  const { repositoryRef } = resource.spec;
  const referred =
    repositoryRef === undefined
      ? ownRepository(namespace, repositories)
      : referRepository(repositoryRef, namespace, who, repositories, namespaces);
  if (!('failure' in referred)) return;
  const { reason, message } = referred.failure;
  const words = message.replace(/^spec\.repositoryRef: /, '').replace(/\.$/, '');
  yield found(document, ['spec', 'repositoryRef'], words, reason);
}

/** An absent Secret says nothing: those who keep secrets seldom keep them beside these files. */
function* entryTrouble(
  { resource, document }: Declared<ContentItem>,
  foreign: readonly ForeignObject[],
): Iterable<CrossFinding> {
  const { namespace } = resource.metadata;
  const { configMapKeyRef, secretKeyRef } = resource.spec.source;
  for (const [field, kind, reference] of [
    ['configMapKeyRef', 'ConfigMap', configMapKeyRef],
    ['secretKeyRef', 'Secret', secretKeyRef],
  ] as const) {
    if (reference === undefined) continue;
    const key = `${namespace}/${reference.name}`;
    const object = foreign.find((one) => one.kind === kind && one.key === key);
    if (object === undefined && kind === 'ConfigMap') {
      yield found(
        document,
        ['spec', 'source', field, 'name'],
        `there is no ConfigMap ${key} in these files`,
        'create it',
      );
    } else if (object !== undefined && !Object.hasOwn(object.data, reference.key)) {
      const reason = `${kind} ${key} has no key ${reference.key}`;
      yield found(
        document,
        ['spec', 'source', field, 'key'],
        reason,
        `it has ${Object.keys(object.data).join(', ') || 'none'}`,
      );
    }
  }
}

function* pathConflicts(items: readonly Declared<ContentItem>[]): Iterable<CrossFinding> {
  const claims = new Map<string, Declared<ContentItem>>();
  for (const item of items) {
    const { metadata, spec } = item.resource;
    const claim = `${keyNamedBy(spec.repositoryRef, metadata.namespace)} ${spec.path}`;
    const holder = claims.get(claim);
    if (holder === undefined) claims.set(claim, item);
    else if (!sameObject(item, holder)) {
      const reason = `${spec.path} is claimed by item ${keyOf(holder.resource.metadata)} too, which comes first (PathConflict)`;
      yield found(item.document, ['spec', 'path'], reason, 'choose another path, or remove one of the two');
    }
  }
}

/** Neither of two VMs on one channel is served: it could not be told who asks. */
function* channelConflicts(vms: readonly Declared<GuestVM>[]): Iterable<CrossFinding> {
  const claims = Map.groupBy(
    vms.filter(({ resource }) => resource.spec.host !== undefined),
    ({ resource }) => `${resource.spec.host} ${channelAddress(resource)}`,
  );
  for (const claimants of claims.values()) {
    for (const one of claimants) {
      const other = claimants.find((claimant) => !sameObject(claimant, one));
      if (other === undefined) continue;
      const reason = `GuestVM ${keyOf(other.resource.metadata)} has the same channel; neither is served (ChannelConflict)`;
      yield found(one.document, ['spec', 'channel'], reason, 'give each VM a channel of its own');
    }
  }
}

function channelAddress({ metadata: { namespace, name }, spec: { channel } }: GuestVM): string {
  const place = (path: string) => (path.startsWith('/') ? path : `${namespace}/${path}`);
  const { hybridUDS, serial, vsock, tls } = channel;
  if (hybridUDS !== undefined) return `${place(hybridUDS.path ?? `${name}.vsock`)}_${hybridUDS.port}`;
  if (serial !== undefined) return place(serial.path);
  if (vsock !== undefined) return `cid ${vsock.cid} ${vsock.port}`;
  return `subject ${tls?.subject}`;
}

function sameObject(one: Declared, other: Declared): boolean {
  return one.resource.kind === other.resource.kind && keyOf(one.resource.metadata) === keyOf(other.resource.metadata);
}

function found(document: ManifestDocument, path: FieldPath, reason: string, wayOut: string): CrossFinding {
  return { document, path, reason, wayOut };
}
