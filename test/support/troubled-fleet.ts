import { item, namespace, repository, resource, vm, yaml } from './fleet.ts';
import type { HttpServer } from './http-server.ts';

/** The host that serves the VMs, and one of which nobody ever hears. */
export const servingHost = 'localhost';
const silentHost = 'far-away';

/** Somebody's file in the datastore, at a path that an item wants. */
export const foreignFile = 'Trouble/foreign.txt';

const there = { namespace: 'trouble' };

const content = (name: string, path: string, spec: object = {}) => item(name, path, name, { ...spec }, there);
const from = (name: string, source: object, more: object = {}) => content(name, `/${name}`, { source, ...more });
const guest = (name: string, spec: object = {}) =>
  vm(name, { host: servingHost, repositoryRef: { name: 'main' }, ...spec }, there);
const rules = (name: string, spec: object) => resource('VMAccessPolicy', name, { vmSelector: {}, ...spec }, there);

/**
 * Manifests in which much is wrong, by the name of their files: each must be said in status and stop nothing else. The
 * version is what an edit changes.
 */
export function troubledFleet(http: HttpServer, version: 'first' | 'edited'): Readonly<Record<string, string>> {
  return {
    '5-trouble.yaml': yaml(
      namespace('trouble'),
      repository('main', { root: 'Trouble', removalGrace: '1h', maxItemSize: 1000 }, there),
      repository('elsewhere', { datastore: 'nas' }, there),
      repository('same-root', { root: 'GuestStore' }, there),
      repository('resting', { root: 'Resting', suspend: true }, there),
      repository('asking-much', { root: 'Much', retention: { revisions: 3 } }, there),
    ),
    '6-items.yaml': yaml(
      content('conflict-a', '/contested'),
      content('conflict-b', '/contested'),
      content('edited', '/edited', { source: { inline: { text: version } } }),
      content('suspended', '/suspended', { suspend: true }),
      content('not-composed', '/Gro\u0308\u00dfe'),
      content('foreign', '/foreign.txt'),
      content('too-large', '/too-large', { source: { inline: { text: 'x'.repeat(1001) } } }),
      content('wrong-digest', '/wrong-digest', { digest: `sha256:${'0'.repeat(64)}` }),
      content('no-repository', '/no-repository', { repositoryRef: { name: 'nowhere' } }),
      content('unpublished', '/unpublished', { repositoryRef: { name: 'elsewhere' } }),
      content('not-permitted', '/not-permitted', { repositoryRef: { name: 'main', namespace: 'fleet' } }),
      from('no-configmap', { configMapKeyRef: { name: 'nobody', key: 'a' } }),
      from('no-key', { configMapKeyRef: { name: 'words', key: 'nothing' } }),
      from('word', { configMapKeyRef: { name: 'words', key: 'a' } }),
      from('secret', { secretKeyRef: { name: 'secrets', key: 'a' } }),
      from('no-file', { file: { path: 'nothing.bin' } }),
      from('no-answer', { http: { url: http.url('/nothing') } }, { digest: `sha256:${'1'.repeat(64)}` }),
      from('of-later', { oci: { ref: `registry.example/agent@sha256:${'2'.repeat(64)}`, path: 'agent' } }),
      { ...keyed('ConfigMap', 'words'), data: { a: `word, ${version}` } },
      { ...keyed('Secret', 'secrets'), stringData: { a: 'hush' } },
    ),
    '7-policies.yaml': yaml(
      rules('everyone', { deny: version === 'first' ? ['/word'] : ['/secret', '/edited'] }),
      rules('watching', { mode: 'Audit', deny: ['.*'] }),
      rules('nobody', { vmSelector: { names: ['nobody'] }, deny: ['.*'] }),
      rules('resting', { suspend: true, deny: ['/contested'] }),
      resource('ClusterVMAccessPolicy', 'all-trouble', {
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'trouble' } },
        vmSelector: { matchLabels: { tier: 'internal' } },
        deny: ['/suspended', '/foreign.txt'],
      }),
    ),
    '8-vms.yaml': yaml(
      guest('well'),
      vm(
        'internal',
        { host: servingHost, repositoryRef: { name: 'main' } },
        { ...there, labels: { tier: 'internal' } },
      ),
      guest('twin-a', { channel: { hybridUDS: { path: 'twin.vsock' } } }),
      guest('twin-b', { channel: { hybridUDS: { path: 'twin.vsock' } } }),
      guest('off', { enabled: false }),
      guest('lost', { repositoryRef: { name: 'nowhere' } }),
      guest('ambiguous', { repositoryRef: undefined }),
      guest('unpublished', { repositoryRef: { name: 'elsewhere' } }),
      guest('of-later', { channel: { vsock: { cid: 7, port: 1024 } } }),
      guest('refused', { channel: { hybridUDS: { path: '/somewhere/refused.vsock' } } }),
      guest('far', { host: silentHost }),
      guest('resting', { suspend: true }),
    ),
    '9-closed.yaml': yaml(
      namespace('closed'),
      repository('vault', { root: 'Vault', defaultPosture: 'Closed' }, { namespace: 'closed' }),
      ...['open', 'shut'].map((name) =>
        item(name, `/${name}`, name, { repositoryRef: { name: 'vault' } }, { namespace: 'closed' }),
      ),
      resource('VMAccessPolicy', 'open', { vmSelector: {}, grant: ['/open'] }, { namespace: 'closed' }),
      vm('inmate', { host: servingHost }, { namespace: 'closed' }),
    ),
    ...(version === 'first'
      ? {
          'leaving.yaml': yaml(content('leaving', '/leaving'), item('leaving', '/leaving', 'leaving at once', {})),
        }
      : {}),
  };
}

function keyed(kind: 'ConfigMap' | 'Secret', name: string) {
  return { apiVersion: 'v1', kind, metadata: { name, ...there } };
}

/** What `Ready` says once all of it has been looked at. */
export const expectedReasons: Readonly<Record<string, string>> = {
  'GuestStoreRepository trouble/main': 'Served',
  'GuestStoreRepository trouble/elsewhere': 'DatastoreNotFound',
  'GuestStoreRepository trouble/same-root': 'RootConflict',
  'GuestStoreRepository trouble/resting': 'Suspended',
  'ContentItem trouble/conflict-a': 'Served',
  'ContentItem trouble/conflict-b': 'PathConflict',
  'ContentItem trouble/edited': 'Served',
  'ContentItem trouble/suspended': 'Suspended',
  'ContentItem trouble/not-composed': 'InvalidPath',
  'ContentItem trouble/foreign': 'ForeignFile',
  'ContentItem trouble/too-large': 'TooLarge',
  'ContentItem trouble/wrong-digest': 'DigestMismatch',
  'ContentItem trouble/no-repository': 'RepositoryNotFound',
  'ContentItem trouble/unpublished': 'RepositoryNotReady',
  'ContentItem trouble/not-permitted': 'ReferenceNotPermitted',
  'ContentItem trouble/no-configmap': 'SourceNotFound',
  'ContentItem trouble/no-key': 'SourceNotFound',
  'ContentItem trouble/word': 'Served',
  'ContentItem trouble/secret': 'Served',
  'ContentItem trouble/no-file': 'SourceNotFound',
  'ContentItem trouble/no-answer': 'SourceNotFound',
  'ContentItem trouble/of-later': 'NotSupportedYet',
  'VMAccessPolicy trouble/watching': 'NotSupportedYet',
  'VMAccessPolicy trouble/resting': 'Suspended',
  'ClusterVMAccessPolicy all-trouble': 'Served',
  'GuestVM trouble/well': 'Served',
  'GuestVM trouble/twin-a': 'ChannelConflict',
  'GuestVM trouble/twin-b': 'ChannelConflict',
  'GuestVM trouble/off': 'Disabled',
  'GuestVM trouble/lost': 'RepositoryNotFound',
  'GuestVM trouble/ambiguous': 'RepositoryAmbiguous',
  'GuestVM trouble/unpublished': 'RepositoryNotReady',
  'GuestVM trouble/of-later': 'NotSupportedYet',
  'GuestVM trouble/refused': 'ChannelRefused',
  'GuestVM trouble/far': 'Published',
  'GuestVM trouble/resting': 'Suspended',
  'GuestVM closed/inmate': 'Served',
  'GuestStoreHost localhost': 'Heartbeat',
  'GuestStoreHost far-away': 'HeartbeatMissing',
};
