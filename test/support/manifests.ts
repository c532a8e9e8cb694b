/** The host that `up` of these tests is. */
export const fleetHost = 'host-a';

type Spec = Readonly<Record<string, unknown>>;
type Meta = {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly namespace?: string;
};

/** Manifests as JSON, which is YAML too. Several objects make one file. */
export function yaml(...objects: readonly object[]): string {
  return objects.map((object) => JSON.stringify(object)).join('\n---\n');
}

export function resource(kind: string, name: string, spec: Spec, { namespace = 'fleet', ...meta }: Meta = {}) {
  const scope = kind.startsWith('Cluster') || kind === 'GuestStoreDatastore' ? {} : { namespace };
  return { apiVersion: 'gueststore.dev/v1alpha1', kind, metadata: { name, ...scope, ...meta }, spec };
}

export function repository(name = 'main', spec: Spec = {}, meta: Meta = {}) {
  return resource('GuestStoreRepository', name, { datastore: 'default', ...spec }, meta);
}

/** What namespaces may do with datastore `default`. */
export function datastore(...namespaces: readonly object[]) {
  return resource('GuestStoreDatastore', 'default', { namespaces });
}

/** An item of repository `main` whose text stands in the manifest, unless the spec says otherwise. */
export function item(name: string, path: string, text: string, spec: Spec = {}, meta: Meta = {}) {
  return resource(
    'ContentItem',
    name,
    { repositoryRef: { name: 'main' }, path, source: { inline: { text } }, ...spec },
    meta,
  );
}

export function policy(
  name: string,
  rules: { grant?: readonly string[]; deny?: readonly string[] },
  spec: Spec = {},
  meta: Meta = {},
) {
  return resource('VMAccessPolicy', name, { vmSelector: {}, ...rules, ...spec }, meta);
}

export function vm(name: string, spec: Spec = {}, meta: Meta = {}) {
  return resource('GuestVM', name, { host: fleetHost, channel: { hybridUDS: {} }, ...spec }, meta);
}

export function namespace(name: string, labels: Readonly<Record<string, string>> = {}) {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
}
