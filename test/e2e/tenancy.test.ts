import { createHash, randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Kind } from '../../src/api/resources.generated.ts';
import { conditionOf } from '../../src/core/conditions.ts';
import { eventually } from '../support/eventually.ts';
import type { Method } from '../support/kubernetes/as-user.ts';
import { item, repository, resource, vm } from '../support/manifests.ts';
import { plainFiles } from '../support/store.ts';
import { blueSecret, createTenants, inRed, pathOf, redAddress, type Shown, type Tenants } from '../support/tenants.ts';

// Every attempt is made by a tenant with all the roles that a tenant may have in its own namespace. After each of them the
// other tenant's guests must get the same bytes, and its statuses must be what they were. docs/tenancy.md lists them all.

const sha256 = (bytes: Uint8Array | string) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const rbac = '/apis/rbac.authorization.k8s.io/v1';

const stack = new AsyncDisposableStack();
let tenants: Tenants;

beforeAll(async () => {
  tenants = stack.use(await createTenants());
});

afterAll(() => stack.disposeAsync());

afterEach(() => tenants.blueIsWell());

const itemOfRed = (name: string, path: string, spec: object) => item(name, path, '', { ...spec }, inRed);
const text = (content: string) => ({ source: { inline: { text: content } } });
const vmOfRed = (name: string, spec: object = {}, labels: Readonly<Record<string, string>> = {}) =>
  vm(name, { host: 'host-a', ...spec }, { ...inRed, labels });
const policyOfRed = (name: string, spec: object) =>
  resource('VMAccessPolicy', name, { vmSelector: {}, ...spec }, inRed);
const http = (path: string, bytes: Uint8Array | string) => ({
  source: { http: { url: tenants.http.url(path, redAddress) } },
  digest: sha256(bytes),
});
const messageOf = (shown: Shown) => conditionOf(shown.status.conditions, 'Ready')?.message ?? '';
const gets = (path: string, wanted: string | number) =>
  eventually(async () => {
    const { status, body } = await tenants.guest('red', 'probe', path);
    expect(typeof wanted === 'number' ? status : body.toString(), `${path} (${status})`).toBe(wanted);
    return true;
  });
const bindingOf = (name: string, role: string, subject: object) => ({
  kind: 'RoleBinding',
  apiVersion: 'rbac.authorization.k8s.io/v1',
  metadata: { name },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
  subjects: [subject],
});
const user = (name: string) => ({ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name });

describe('roles', () => {
  const kinds = ['contentitems', 'vmaccesspolicies', 'gueststorerepositories', 'guestvms'];
  const reads = kinds.map((kind) => `get ${kind}`);
  const edits = [...reads, 'create contentitems', 'create vmaccesspolicies'];

  async function may(who: string, verb: string, kind: string, space: string): Promise<boolean> {
    const [plural, subresource] = kind.split('/');
    const resourceAttributes = { group: 'gueststore.dev', resource: plural, subresource, verb, namespace: space };
    const review = { spec: { user: who, groups: ['system:authenticated'], resourceAttributes } };
    const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
    const { body } = await tenants.ask(undefined, 'POST', path, {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      ...review,
    });
    return (body as { readonly status: { readonly allowed: boolean } }).status.allowed;
  }

  test.each([
    ['viewer', reads],
    ['dev', edits],
    ['owner', edits],
    ['red', [...edits, 'create gueststorerepositories', 'create guestvms']],
  ])('%s may do what the role that is bound in the namespace says, there alone', async (who, wanted) => {
    const asked = kinds.flatMap((kind) => (['get', 'create'] as const).map((verb) => [verb, kind] as const));
    const inNamespace = async (space: string) => {
      const answers = await Promise.all(asked.map(([verb, kind]) => may(who, verb, kind, space)));
      return asked.filter((_, index) => answers[index]).map((one) => one.join(' '));
    };
    // Who collects the rules of aggregated roles may need a moment.
    await eventually(async () => expect((await inNamespace('red')).toSorted()).toEqual(wanted.toSorted()) ?? true);
    expect(await inNamespace('blue')).toEqual([]);
    for (const kind of ['gueststorehosts', 'gueststoredatastores', 'clustervmaccesspolicies']) {
      for (const verb of ['get', 'create', 'bind'])
        expect(await may(who, verb, kind, ''), `${verb} ${kind}`).toBe(false);
    }
    for (const kind of ['contentitems/status', 'guestvms/status']) {
      expect(await may(who, 'patch', kind, 'red'), kind).toBe(false);
    }
    expect(await may(who, 'label', 'guestvms', '')).toBe(false);
  });

  const operator = { kind: 'ServiceAccount', name: 'gueststore-operator', namespace: 'gueststore-system' };
  const ours = (space: string, kind: Kind, name?: string) => pathOf(space, kind, name);
  test.each<[string, Method, string, object?]>([
    ['reads the items of blue', 'GET', ours('blue', 'ContentItem')],
    ['lists the items of everybody', 'GET', '/apis/gueststore.dev/v1alpha1/contentitems'],
    ['deletes an item of blue', 'DELETE', ours('blue', 'ContentItem', 'motd')],
    [
      'holds an item of blue back',
      'MERGE',
      ours('blue', 'ContentItem', 'motd'),
      { metadata: { finalizers: ['red/x'] } },
    ],
    ['reads the Secret of blue', 'GET', '/api/v1/namespaces/blue/secrets/token'],
    [
      'labels its namespace as that of blue',
      'MERGE',
      '/api/v1/namespaces/red',
      { metadata: { labels: { team: 'blue' } } },
    ],
    ['writes the status of an item', 'MERGE', `${ours('red', 'ContentItem', 'own')}/status`, { status: { size: 1 } }],
    ['makes up a host', 'APPLY', ours('', 'GuestStoreHost', 'host-x'), resource('GuestStoreHost', 'host-x', {})],
    ['deletes a host', 'DELETE', ours('', 'GuestStoreHost', 'host-a')],
    [
      'widens the datastore',
      'MERGE',
      ours('', 'GuestStoreDatastore', 'default'),
      { spec: { namespaces: [{ from: 'All' }] } },
    ],
    ['removes the bounds of the datastore', 'DELETE', ours('', 'GuestStoreDatastore', 'default')],
    ['writes a policy for all', 'MERGE', ours('', 'ClusterVMAccessPolicy', 'zone'), { spec: { deny: ['.*'] } }],
    [
      'opens the Secrets of blue',
      'POST',
      `${rbac}/namespaces/blue/rolebindings`,
      bindingOf('x', 'gueststore-source-reader', operator),
    ],
    [
      'takes a role of the whole cluster',
      'POST',
      `${rbac}/clusterrolebindings`,
      { ...bindingOf('x', 'gueststore-admin', user('red')), kind: 'ClusterRoleBinding' },
    ],
    [
      'takes a role that it has not',
      'POST',
      `${rbac}/namespaces/red/rolebindings`,
      bindingOf('x', 'gueststore-operator', user('red')),
    ],
    [
      'takes the Lease of the operator',
      'MERGE',
      '/apis/coordination.k8s.io/v1/namespaces/gueststore-system/leases/gueststore-operator',
      { spec: { holderIdentity: 'red' } },
    ],
  ])('a tenant that %s is refused', async (_, method, path, body) => {
    const { status, message } = await tenants.ask('red', method, path, body);
    expect(status, message).toBe(403);
    expect(message).toMatch(/forbidden/);
  });

  test('who may only edit makes neither repositories nor VMs', async () => {
    await tenants.refuses(/forbidden/, repository('other', {}, inRed), 'dev');
    await tenants.refuses(/forbidden/, vmOfRed('other'), 'dev');
  });
});

describe('hosts and channels', () => {
  test('who was not let binds no VM to a host, and the message says who can grant it', async () => {
    await tenants.refuses(
      /spec\.host: red may not bind VMs to host host-a.*resourceNames \[host-a\]/,
      vmOfRed('probe'),
    );
    // For one host, as docs/tenancy.md has it.
    await tenants.grants('POST', `${rbac}/clusterroles`, {
      metadata: { name: 'binds-host-a' },
      rules: [
        { apiGroups: ['gueststore.dev'], resources: ['gueststorehosts'], resourceNames: ['host-a'], verbs: ['bind'] },
      ],
    });
    const binding = { ...bindingOf('binds-host-a', 'binds-host-a', user('red')), kind: 'ClusterRoleBinding' };
    await tenants.grants('POST', `${rbac}/clusterrolebindings`, binding);
    await eventually(async () => (await tenants.writes(vmOfRed('probe'))) ?? true);
    await tenants.ready('GuestVM', 'probe');
  });

  test('another host stays closed, for a new VM and for one that moves, until the command was typed', async () => {
    const why = /red may not bind VMs to host host-b/;
    await tenants.refuses(why, vmOfRed('other', { host: 'host-b' }));
    await tenants.refuses(why, vmOfRed('probe', { host: 'host-b' }));
    const { message } = await tenants.patches('GuestVM', 'probe', { spec: { host: 'host-b' } });
    expect(message).toMatch(why);
    const command = /kubectl (create clusterrolebinding \S+ --clusterrole=\S+ --user=red)/.exec(message)?.[1] ?? '';
    await tenants.admin(command.split(' '));
    await eventually(async () => (await tenants.writes(vmOfRed('other', { host: 'host-b' }))) ?? true);
    await tenants.grants('DELETE', `${rbac}/clusterrolebindings/${command.split(' ')[2]}`);
    await tenants.removes('GuestVM', 'other');
  });

  test('the socket of a VM of blue is out of reach, by whatever spelling', async () => {
    const uds = (path: string) => ({ channel: { hybridUDS: { path } } });
    const why = /must not have a '\.' or '\.\.' segment/;
    await tenants.refuses(why, vmOfRed('thief', uds('../blue/web.vsock')));
    await tenants.refuses(why, vmOfRed('thief', uds('/run/red/../blue/web.vsock')));
    const socket = tenants.installation.socket('host-a', 'blue', 'web').replace(/_1024$/, '');
    // The same name in one's own folder is another socket.
    await tenants.writes(vmOfRed('thief', uds(socket)), vmOfRed('namesake', uds('web.vsock')));
    await tenants.says('GuestVM', 'thief', 'ChannelRefused');
    await tenants.ready('GuestVM', 'namesake');
    expect((await tenants.guest('red', 'web', '/token')).status).toBe(403);
    await tenants.removes('GuestVM', 'thief', 'namesake');
  });

  test('reserved labels are neither set, nor changed, nor taken off', async () => {
    const why = /red may not set, change or remove gueststore\.dev\/zone/;
    const labels = (zone: string | null) => ({ metadata: { labels: { 'gueststore.dev/zone': zone } } });
    await tenants.refuses(why, vmOfRed('labelled', {}, { 'gueststore.dev/zone': 'inner' }));
    expect((await tenants.patches('GuestVM', 'probe', labels('inner'))).message).toMatch(why);
    const path = pathOf('red', 'GuestVM', 'probe');
    expect(await tenants.ask(undefined, 'MERGE', path, labels('inner'))).toMatchObject({ status: 200 });
    for (const zone of ['outer', null]) {
      expect((await tenants.patches('GuestVM', 'probe', labels(zone))).message).toMatch(why);
    }
    expect(await tenants.patches('GuestVM', 'probe', { metadata: { labels: { tier: 'web' } } })).toMatchObject({
      status: 200,
    });
    // What the platform selects by it stays with red.
    await eventually(async () => {
      const probe = await tenants.find('red', 'GuestVM', 'probe');
      expect(probe?.status.policies).toMatchObject([{ kind: 'ClusterVMAccessPolicy', name: 'zone' }]);
      return true;
    });
  });

  test('nor on the namespace, by somebody whom the platform lets label it', async () => {
    await tenants.grants('POST', `${rbac}/clusterroles`, {
      metadata: { name: 'labels-red' },
      rules: [{ apiGroups: [''], resources: ['namespaces'], resourceNames: ['red'], verbs: ['patch'] }],
    });
    const binding = { ...bindingOf('labels-red', 'labels-red', user('red')), kind: 'ClusterRoleBinding' };
    await tenants.grants('POST', `${rbac}/clusterrolebindings`, binding);
    const label = (labels: object) => tenants.ask('red', 'MERGE', '/api/v1/namespaces/red', { metadata: { labels } });
    await eventually(async () => expect(await label({ team: 'red' })).toMatchObject({ status: 200 }) ?? true);
    expect((await label({ 'gueststore.dev/tenant': 'blue' })).message).toMatch(
      /red may not set, change or remove gueststore\.dev\/tenant/,
    );
    await tenants.grants('DELETE', `${rbac}/clusterrolebindings/labels-red`);
  });
});

describe('roots and datastores', () => {
  test.each([
    ['the root of blue', 'blue/main', 'RootNotPermitted'],
    ['a folder in it', 'blue/main/inner', 'RootNotPermitted'],
    ['a folder around it', 'blue', 'RootNotPermitted'],
    ['it in other letters', 'Blue/main', 'RootNotPermitted'],
    ['a name that only begins as that of red', 'red-and-blue', 'RootNotPermitted'],
    ['two spellings of one name', 'red/Cafe\u0301', 'InvalidPath'],
  ])('a repository in %s stays out', async (_, root, reason) => {
    const name = `in-${sha256(root).slice(7, 15)}`;
    await tenants.writes(repository(name, { root }, inRed));
    const { status } = await tenants.says('GuestStoreRepository', name, reason);
    expect(conditionOf(status.conditions, 'Stalled')?.status).toBe('True');
    await tenants.removes('GuestStoreRepository', name);
  });

  test('there is no way round by dots or another datastore', async () => {
    await tenants.refuses(
      /must not have an empty, '\.' or '\.\.' segment/,
      repository('dots', { root: 'red/../blue' }, inRed),
    );
    await tenants.refuses(/spec\.datastore/, repository('dots', { datastore: '../blue' }, inRed));
    await tenants.writes(repository('elsewhere', { datastore: 'second' }, inRed));
    await tenants.says('GuestStoreRepository', 'elsewhere', 'DatastoreNotFound');
    await tenants.removes('GuestStoreRepository', 'elsewhere');
  });

  test('a default of red is one of red', async () => {
    await tenants.writes(repository('main', { default: true, allow: { vms: { from: 'All' } } }, inRed));
    await tenants.ready('GuestStoreRepository', 'main');
  });

  test('what the datastore closes, no repository opens, and the rule is named', async () => {
    await tenants.writes(repository('main', { defaultPosture: 'Open' }, inRed));
    await tenants.ready('GuestStoreRepository', 'main');
    await gets('/own/motd', 403);
    expect((await tenants.find('red', 'GuestVM', 'probe'))?.status.deny).toMatch(/;\.\*$/);
    await tenants.writes(policyOfRed('own', { grant: ['/own/.*'] }));
    await gets('/own/motd', 'of red');
  });
});

describe('references', () => {
  const shared = { repositoryRef: { name: 'tools', namespace: 'shared' } };

  test('a repository of blue looks to red as one that is not there', async () => {
    const to = (name: string) => ({ repositoryRef: { name, namespace: 'blue' } });
    await tenants.writes(
      item('there', '/x', 'x', to('main'), inRed),
      item('not-there', '/x', 'x', to('none'), inRed),
      vmOfRed('reader', to('main')),
    );
    const there = await tenants.says('ContentItem', 'there', 'ReferenceNotPermitted');
    const not = await tenants.says('ContentItem', 'not-there', 'ReferenceNotPermitted');
    expect(messageOf(there).replaceAll('blue/main', 'blue/none')).toBe(messageOf(not));
    await tenants.says('GuestVM', 'reader', 'ReferenceNotPermitted');
    expect((await tenants.guest('red', 'reader', '/motd')).status).not.toBe(200);
    await tenants.removes('GuestVM', 'reader');
    await tenants.removes('ContentItem', 'there', 'not-there');
  });

  test('a Secret or ConfigMap of blue cannot be named; one of the same name in red is not there', async () => {
    const secretKeyRef = { name: 'token', key: 'token', namespace: 'blue' };
    await tenants.refuses(/secretKeyRef\.namespace/, itemOfRed('named', '/own/x', { source: { secretKeyRef } }));
    await tenants.writes(
      itemOfRed('secret', '/own/secret', { source: { secretKeyRef: { name: 'token', key: 'token' } } }),
      itemOfRed('config', '/own/config', { source: { configMapKeyRef: { name: 'agent', key: 'agent.conf' } } }),
    );
    await tenants.says('ContentItem', 'config', 'SourceNotFound');
    await tenants.says('ContentItem', 'secret', 'SecretNotGranted', /Secrets of namespace red/);
    await tenants.removes('ContentItem', 'secret', 'config');
  });

  test('a Secret is read for as long as it is granted, and what came of it stays', async () => {
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'own' }, stringData: { key: 'red-1' } };
    await tenants.ask('red', 'POST', '/api/v1/namespaces/red/secrets', secret);
    const source = { secretKeyRef: { name: 'own', key: 'key' } };
    await tenants.writes(itemOfRed('granted', '/own/granted', { source, interval: '1s' }));
    const refused = await tenants.says('ContentItem', 'granted', 'SecretNotGranted');
    // Red is the administrator of its namespace: it types the command itself.
    const command = /kubectl (.*)$/.exec(messageOf(refused))?.[1] ?? '';
    await tenants.admin(['--as=red', ...command.split(' ')]);
    await tenants.ready('ContentItem', 'granted');
    await gets('/own/granted', 'red-1');
    await tenants.ask('red', 'DELETE', `${rbac}/namespaces/red/rolebindings/gueststore-source-reader`);
    await tenants.says('ContentItem', 'granted', 'SecretNotGranted');
    await gets('/own/granted', 'red-1');
    await tenants.removes('ContentItem', 'granted');
    await gets('/own/granted', 404);
  });

  test('a path that blue holds in a shared tree stays with blue, also for an operator that starts anew', async () => {
    // First by name, were it not for who was there before.
    await tenants.writes(item('a-hijack', '/tools/agent', 'of red', shared, inRed));
    const why = /belongs to a ContentItem of another namespace/;
    await tenants.says('ContentItem', 'a-hijack', 'PathConflict', why);
    await tenants.restartOperator();
    await tenants.says('ContentItem', 'a-hijack', 'PathConflict', why);
    await tenants.removes('ContentItem', 'a-hijack');
  });

  test('a file in the place of a folder of blue, or below its file, changes nothing for blue', async () => {
    const before = plainFiles(tenants.installation.datastore);
    await tenants.writes(
      item('a-folder', '/tools', 'of red', shared, inRed),
      item('a-below', '/tools/agent/inner', 'of red', shared, inRed),
    );
    for (const name of ['a-folder', 'a-below']) await tenants.says('ContentItem', name, 'ForeignFile');
    await tenants.blueIsWell();
    expect(plainFiles(tenants.installation.datastore)).toEqual(before);
    await tenants.removes('ContentItem', 'a-folder', 'a-below');
  });

  test('a path that looks alike is another path, and names are plain', async () => {
    await tenants.refuses(/\u0430gent/, item('\u0430gent', '/x', 'x', shared, inRed));
    await tenants.writes(
      item('cyrillic', '/tools/\u0430gent', 'of red', shared, inRed),
      item('combining', '/tools/age\u0301nt', 'of red', shared, inRed),
    );
    await tenants.ready('ContentItem', 'cyrillic');
    await tenants.says('ContentItem', 'combining', 'InvalidPath');
    await tenants.removes('ContentItem', 'cyrillic', 'combining');
  });

  test('policies select the VMs of their own namespace', async () => {
    await tenants.writes(
      policyOfRed('all', { deny: ['/motd', '/token'] }),
      policyOfRed('by-name', { vmSelector: { names: ['web'] }, grant: ['/agent'] }),
    );
    const { status } = await tenants.ready('VMAccessPolicy', 'by-name');
    expect(status.matched).toBe(0);
    await tenants.ready('VMAccessPolicy', 'all');
    await tenants.blueIsWell();
    await tenants.removes('VMAccessPolicy', 'all', 'by-name');
  });

  test('an owner in another namespace owns nothing: the object goes, and blue does not notice', async () => {
    const motd = await tenants.find('blue', 'ContentItem', 'motd');
    const owned = itemOfRed('owned', '/own/owned', text('x'));
    const owner = {
      apiVersion: 'gueststore.dev/v1alpha1',
      kind: 'ContentItem',
      name: 'motd',
      uid: motd?.metadata.uid,
      blockOwnerDeletion: true,
      controller: true,
    };
    await tenants.writes({ ...owned, metadata: { ...owned.metadata, ownerReferences: [owner] } });
    const gone = async () => expect(await tenants.find('red', 'ContentItem', 'owned')).toBeUndefined() ?? true;
    await eventually(gone, 60_000);
  });
});

describe('sources', () => {
  test('the digest of what blue has gives nobody its bytes', async () => {
    const lie = randomBytes(64);
    tenants.http.serve('/lie', { body: lie });
    await tenants.writes(
      itemOfRed('fetched', '/own/fetched', http('/lie', blueSecret)),
      itemOfRed('written', '/own/written', { ...text('guess'), digest: sha256(blueSecret) }),
    );
    for (const name of ['fetched', 'written']) {
      const { status } = await tenants.says('ContentItem', name, 'DigestMismatch');
      // Nor does the status tell what was refused.
      for (const bytes of [lie, 'guess']) expect(JSON.stringify(status)).not.toContain(sha256(bytes).slice(7));
      const { status: answer, body } = await tenants.guest('red', 'probe', `/own/${name}`);
      expect([answer, body.toString()]).toEqual([503, '']);
    }
    await tenants.removes('ContentItem', 'fetched', 'written');
  });

  test.each([
    ['a metadata service', 'http://169.254.169.254/latest/meta-data/', 'SourceRefused'],
    ['the same in another spelling', 'http://[::ffff:a9fe:a9fe]/latest/', 'SourceRefused'],
    ['a metadata service by name', 'http://metadata.google.internal/', 'EgressNotPermitted|SourceRefused'],
    ['the API server', 'API', 'EgressNotPermitted'],
    ['the API server by a name that leads to it', 'API by name', 'EgressNotPermitted'],
    ['an address that the datastore does not list', 'http://192.0.2.1/', 'EgressNotPermitted'],
  ])('a URL of %s is not asked', async (_, url, reason) => {
    const api = tenants.installation.server.url;
    const asked = url.replace('API by name', api.replace('127.0.0.1', 'localhost')).replace('API', api);
    await tenants.writes(itemOfRed('ssrf', '/own/ssrf', { source: { http: { url: asked } }, digest: sha256('x') }));
    await tenants.says('ContentItem', 'ssrf', expect.stringMatching(`^(?:${reason})$`));
    await tenants.removes('ContentItem', 'ssrf');
  });

  test('a redirect leads nowhere else either, and what a server says shows nowhere', async () => {
    tenants.http.serve('/hop', { redirect: `${tenants.installation.server.url}/version` });
    tenants.http.serve('/meta', { redirect: 'http://169.254.169.254/latest' });
    tenants.http.serve('/angry', { status: 500, headers: { 'x-leak': 'header-of-the-server' } });
    const reasons = { hop: 'EgressNotPermitted', meta: 'SourceRefused', angry: 'SourceUnavailable' };
    for (const name of Object.keys(reasons))
      await tenants.writes(itemOfRed(name, `/own/${name}`, http(`/${name}`, 'x')));
    for (const [name, reason] of Object.entries(reasons)) {
      const { status } = await tenants.says('ContentItem', name, reason);
      expect(JSON.stringify(status)).not.toMatch(/secret of the server|header-of-the-server|169\.254|version/);
    }
    await tenants.removes('ContentItem', ...Object.keys(reasons));
  });

  test('an item has no more bytes than the datastore gives, whatever the repository says', async () => {
    const large = randomBytes(1_200_000);
    tenants.http.serve('/large', { body: large });
    await tenants.writes(repository('main', { maxItemSize: '512Mi' }, inRed));
    await tenants.writes(itemOfRed('large', '/own/large', http('/large', large)));
    await tenants.says(
      'ContentItem',
      'large',
      'TooLarge',
      /maxItemSize \(1Mi\) that GuestStoreDatastore default gives/,
    );
    await tenants.removes('ContentItem', 'large');
  });

  test('many large items of red fill the quota of red, over all its repositories', async () => {
    const names = Array.from({ length: 4 }, (_, index) => `fill-${index}`);
    await tenants.writes(repository('second', {}, inRed));
    for (const [index, name] of names.entries()) {
      const source = { inline: { base64: randomBytes(2 ** 20).toString('base64') } };
      const repositoryRef = { name: index % 2 === 0 ? 'main' : 'second' };
      const { kind, metadata, spec, ...head } = itemOfRed(name, `/own/${name}`, { source, repositoryRef });
      // Not applied: an apply would keep who owns each field of a MiB.
      const path = pathOf('red', 'ContentItem');
      const body = { ...head, kind, metadata, spec };
      expect(await tenants.ask('red', 'POST', path, body)).toMatchObject({ status: 201 });
    }
    await eventually(async () => {
      const found = await Promise.all(names.map((name) => tenants.find('red', 'ContentItem', name)));
      const ready = found.map((one) => conditionOf(one?.status.conditions, 'Ready'));
      // All four would fit, were it not for the few bytes that lie there already.
      expect(ready.filter((one) => one?.status === 'True')).toHaveLength(3);
      for (const one of ready.filter((condition) => condition?.status !== 'True')) {
        expect(one?.reason).toBe('QuotaExceeded');
        expect(one?.message).toMatch(/quota \(4Mi\) that GuestStoreDatastore default gives namespace red/);
      }
      return true;
    }, 30_000);
    await tenants.removes('ContentItem', ...names);
    await tenants.removes('GuestStoreRepository', 'second');
  });
});

describe('too much of everything', () => {
  test('patterns that would take a backtracking engine for ever', async () => {
    await tenants.refuses(/spec\.deny/, policyOfRed('bomb', { deny: ['((a{1,1000}){1,1000}){1,1000}'] }));
    const bombs = Array.from({ length: 256 }, (_, index) => `/(a|a?)+${'(x+x+)+'.repeat(140)}y${index}`);
    await tenants.writes(policyOfRed('bomb', { deny: bombs }));
    await eventually(async () => {
      const bomb = await tenants.find('red', 'VMAccessPolicy', 'bomb');
      expect(conditionOf(bomb?.status.conditions, 'Ready')).toBeDefined();
      return true;
    }, 60_000);
    await tenants.guest('red', 'probe', `/${'x'.repeat(900)}`);
    await tenants.blueIsWell();
    await tenants.removes('VMAccessPolicy', 'bomb');
  });

  test('requests for a look, one after the other', async () => {
    for (let turn = 0; turn < 50; turn++) {
      const annotations = { 'gueststore.dev/requestedAt': `${'x'.repeat(500)}${turn}` };
      expect(await tenants.patches('ContentItem', 'own', { metadata: { annotations } })).toMatchObject({ status: 200 });
    }
    await eventually(async () => {
      const own = await tenants.ready('ContentItem', 'own');
      expect(own.status.lastHandledReconcileAt).toMatch(/^x+$/);
      return true;
    });
  });

  test('an item without the finalizer of the operator is cleared away all the same', async () => {
    await tenants.writes(itemOfRed('bare', '/own/bare', text('x')));
    await tenants.ready('ContentItem', 'bare');
    await tenants.patches('ContentItem', 'bare', { metadata: { finalizers: null } });
    await tenants.removes('ContentItem', 'bare');
    await gets('/own/bare', 404);
  });
});

test('bounds that become narrower drop nothing that is served, and refuse what is new', async () => {
  await tenants.writes(itemOfRed('early', '/own/early', text('early')));
  await tenants.ready('ContentItem', 'early');
  const path = pathOf('', 'GuestStoreDatastore', 'default');
  const before = await tenants.find('', 'GuestStoreDatastore', 'default');
  const namespaces = before?.spec.namespaces as readonly object[];
  await tenants.grants('MERGE', path, { spec: { namespaces: namespaces.slice(0, 2) } });
  await tenants.says('GuestStoreRepository', 'main', 'DatastoreNotPermitted', /fits namespace red/);
  await tenants.writes(itemOfRed('early', '/own/early', text('later')), itemOfRed('late', '/own/late', text('late')));
  for (const name of ['early', 'late']) await tenants.says('ContentItem', name, 'DatastoreNotPermitted');
  await gets('/own/early', 'early');
  expect((await tenants.guest('red', 'probe', '/own/late')).status).not.toBe(200);
  await eventually(async () => {
    const status = (await tenants.find('', 'GuestStoreDatastore', 'default'))?.status;
    expect(status).toMatchObject({ repositories: 3, refused: 1, namespaces: 3 });
    return true;
  });
  await tenants.grants('MERGE', path, { spec: { namespaces } });
  await gets('/own/early', 'later');
  await tenants.ready('ContentItem', 'late');
});
