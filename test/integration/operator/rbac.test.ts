import { glob, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kinds } from '../../../src/api/resources.generated.ts';
import { runOperator } from '../../../src/cli/operator.ts';
import { conditionOf } from '../../../src/core/conditions.ts';
import { isApiError } from '../../../src/kube/api-error.ts';
import type { Client } from '../../../src/kube/client.ts';
import { createEventRecorder } from '../../../src/kube/events.ts';
import type { KubeObject, Stored } from '../../../src/kube/objects.ts';
import { configMaps, leases, namespaces, type Resource, secrets } from '../../../src/kube/resource.ts';
import { silent } from '../../../src/lib/log.ts';
import { eventually } from '../../support/eventually.ts';
import { createInstallation, type Installation } from '../../support/installation.ts';
import { type AuditEntry, kubeconfigOf } from '../../support/kubernetes/api-server.ts';
import { clientFor } from '../../support/kubernetes/clients.ts';
import { createHttpProxy } from '../../support/kubernetes/http-proxy.ts';
import { item, namespace, policy, repository, resource, vm } from '../../support/manifests.ts';
import { operatorAccount } from '../../support/operator-account.ts';
import {
  deniedPermission,
  type Permission,
  permissionsOf,
  spelled,
  withoutPermission,
} from '../../support/permissions.ts';

// The operator with exactly the roles that are shipped, on a server that enforces them: each permission is taken away in
// turn, and each time something fails. So none is superfluous; and since the operator works with all of them, none lacks.

const { namespace: system } = operatorAccount;
const operatorUser = `system:serviceaccount:${system}:${operatorAccount.name}`;
const anySecret: Omit<Permission, 'verb'> = {
  role: '',
  roleNamespace: undefined,
  group: '',
  resource: 'secrets',
  names: [],
};
/** Text that must not pass when ConfigMaps are only followed. */
const marker = 'bytes of a ConfigMap';

const stack = new AsyncDisposableStack();
let installation: Installation;
let admin: Client;
let permissions: readonly Permission[];
/** What the server answered to a list or watch of ConfigMaps and Namespaces. */
let followed = '';

beforeAll(async () => {
  installation = stack.use(await createInstallation());
  admin = stack.use(clientFor(installation.server));
});

afterAll(() => stack.disposeAsync());

describe('with the shipped roles', () => {
  test('the operator does all that it is there for, and nothing is refused', async () => {
    await using proxy = await createHttpProxy(installation.server);
    proxy.fault = (url) => {
      if (!/^\/api\/v1\/(?:configmaps|namespaces)$/.test(url.pathname)) return undefined;
      return {
        type: 'edit',
        edit: (chunk) => {
          followed += chunk.toString();
          return chunk;
        },
      };
    };
    await using life = await beginLife('all', proxy.url);
    permissions = await permissionsOf(admin, operatorAccount.namespace, operatorAccount.name);
    await life.liveThrough();
    expect(await life.denied()).toEqual([]);
  });

  test('ConfigMaps and Namespaces are followed by their metadata alone', () => {
    expect(followed).toContain('PartialObjectMetadataList');
    expect(followed).toContain('"name":"words"');
    expect(followed).not.toContain(marker);
    expect(followed).not.toContain('"data"');
  });

  test('no Secret can be read but in a namespace that has granted it', async () => {
    await using client = clientFor(installation.server, { token: installation.operatorToken });
    const secret = (namespace: string) => client.get(secrets, { namespace, name: 'words' });
    const refused = { status: 403, reason: 'Forbidden' };
    for (const name of ['other', 'granted']) {
      for (const object of [namespace(name), secretIn(name)]) await post(object);
    }
    await post(grantIn('granted'));
    await eventually(() => secret('granted'));
    await expect(secret('other')).rejects.toMatchObject(refused);
    await expect(secret('kube-system')).rejects.toMatchObject(refused);
    for (const where of [{}, { namespace: 'other' }, { namespace: 'granted' }]) {
      await expect(client.list(secrets, where)).rejects.toMatchObject(refused);
    }
    for (const verb of ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete']) {
      const permission = { ...anySecret, verb };
      expect(await may(operatorUser, permission, 'other'), `${verb} Secrets`).toBe(false);
      expect(await may(operatorUser, permission, 'granted'), `${verb} Secrets where granted`).toBe(verb === 'get');
    }
  });

  test("the daemon's service account may do nothing, and its pods do not even get its token", async () => {
    const overlay = fileURLToPath(new URL('../../../manifests/overlays/daemon', import.meta.url));
    await installation.kubectl(['apply', '-k', overlay]);
    expect(await permissionsOf(admin, system, 'gueststore-daemon')).toEqual([]);
    const token = await installation.kubectl(['--namespace', system, 'create', 'token', 'gueststore-daemon']);
    await using client = clientFor(installation.server, { token: token.trim() });
    for (const resource of [namespaces, configMaps, secrets, leases, resourceOf(hostOf('any'))]) {
      await expect(client.list(resource), resource.plural).rejects.toMatchObject({ status: 403 });
    }
    const path = '{.automountServiceAccountToken} {.spec.template.spec.automountServiceAccountToken}';
    const daemon = ['serviceaccount/gueststore-daemon', 'daemonset/gueststore-daemon'];
    const mounted = await installation.kubectl([
      '--namespace',
      system,
      'get',
      ...daemon,
      '-o',
      `jsonpath={range .items[*]}${path} {end}`,
    ]);
    expect(mounted.trim().split(/ +/)).toEqual(['false', 'false']);
  });

  test('every test that runs the operator in a cluster runs it so', async () => {
    const root = fileURLToPath(new URL('../..', import.meta.url));
    const running: string[] = [];
    for await (const file of glob('**/*.ts', { cwd: root })) {
      if (/runOperator\(|\['operator',/.test(await readFile(join(root, file), 'utf8'))) running.push(file);
    }
    // One reaches no cluster at all.
    const reachingNone = 'integration/kube/kubeconfig.test.ts';
    expect(running).toContain(reachingNone);
    for (const file of running.filter((one) => one !== reachingNone)) {
      expect(await readFile(join(root, file), 'utf8'), file).toMatch(/operatorToken/);
    }
  });

  test('no permission is superfluous: taken away, each is seen to be missing', { timeout: 300_000 }, async () => {
    const rows: string[] = [];
    for (const [index, permission] of permissions.entries()) {
      const restore = await withoutPermission(admin, permission);
      await using life = await beginLife(`p${index}`, installation.server.url, permission);
      const missed = await life.liveThrough().catch(() => false);
      rows.push(`  ${missed ? 'missed     ' : 'SUPERFLUOUS'} ${spelled(permission)}`);
      await restore();
      await eventually(async () => ((await may(operatorUser, permission, life.namespace)) ? true : undefined));
    }
    const missed = rows.filter((row) => row.startsWith('  missed')).length;
    console.log(
      `RBAC proof: ${rows.length} permissions (resource x verb), each one removed in turn, ${missed} times seen to fail:\n${rows.join('\n')}`,
    );
    expect(rows.filter((row) => !row.startsWith('  missed'))).toEqual([]);
    expect(rows.length).toBeGreaterThan(30);
  });
});

interface Life extends AsyncDisposable {
  readonly namespace: string;
  /** True as soon as the permission that is taken away is refused; false when all went through without it. */
  liveThrough(): Promise<boolean>;
  /** Every permission that was refused so far. */
  denied(): Promise<readonly string[]>;
}

/** Objects of every kind in a namespace of their own, and an operator that follows them from start to end. */
async function beginLife(name: string, url: string, missing?: Permission): Promise<Life> {
  const own = `proof-${name}`;
  const objects = objectsOf(own);
  for (const object of objects) await post(object);
  // Of a Lease that somebody else holds all is needed but to create one.
  if (missing?.resource === 'leases' && missing.verb !== 'create') await post(heldLease());
  if (missing !== undefined) {
    await eventually(async () => ((await may(operatorUser, missing, own)) ? undefined : true));
  }
  const { folder, server, operatorToken } = installation;
  const [datastore, kubeconfig] = [join(folder, own), join(folder, `${own}.kubeconfig`)];
  await mkdir(datastore);
  await writeFile(kubeconfig, kubeconfigOf(url, server.caFile, operatorToken));
  const from = (await readFile(server.auditFile)).length;
  const denied = () => denialsSince(from);
  const wanted = missing && spelled({ ...missing, names: [], roleNamespace: undefined });
  const missed = async () => wanted !== undefined && (await denied()).includes(wanted);

  const stop = new AbortController();
  const running = runOperator(
    {
      datastores: new Map([['default', datastore]]),
      kubeconfig,
      importFolders: new Map(),
      // At once, for the test's sake.
      retireHostsAfter: 1,
      metrics: undefined,
      leaseDuration: 3_000,
      version: 'proof',
      environment: { POD_NAMESPACE: system, POD_NAME: own },
    },
    silent,
    stop.signal,
  );
  // What it could not do may end it: then the server has said so already.
  const ended = running.then(
    () => undefined,
    (error: unknown) => error,
  );

  /** Resolves when `condition` holds, or the refusal was seen. */
  const reach = (condition: () => Promise<boolean>) =>
    eventually(async () => ((await missed()) || (await condition()) ? true : undefined), 10_000);

  async function liveThrough(): Promise<boolean> {
    const ours = objects.filter(({ apiVersion, kind }) => apiVersion.startsWith('gueststore.dev') && kind in kinds);
    const steps = [
      () => reach(async () => (await Promise.all(ours.map(isReady))).every(Boolean)),
      () => recordTwice(ours),
      async () => {
        for (const object of ours.toReversed()) await admin.delete(resourceOf(object), object.metadata);
      },
      () => reach(async () => (await Promise.all([...ours, hostOf(own)].map(isGone))).every(Boolean)),
      // The Lease is renewed every two seconds.
      () => (missing === undefined ? undefined : reach(async () => false).catch(() => undefined)),
    ];
    for (const step of steps) {
      if (await missed()) return true;
      await step();
    }
    return await missed();
  }

  return {
    namespace: own,
    liveThrough,
    denied,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await ended;
      for (const object of [...objects, hostOf(own)]) await sweep(object);
      await admin.delete(leases, operatorAccount);
      await rm(datastore, { recursive: true });
    },
  };
}

interface TestObject extends KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

function objectsOf(own: string): readonly TestObject[] {
  const there = { namespace: own };
  const core = (kind: string, name: string, more: object): TestObject => ({
    apiVersion: 'v1',
    kind,
    metadata: { name, ...there },
    ...more,
  });
  return [
    namespace(own),
    grantIn(own),
    core('ConfigMap', 'words', { data: { key: marker } }),
    secretIn(own),
    repository('main', { root: own }, there),
    item('inline', '/inline', 'text', {}, there),
    item('from-configmap', '/configmap', '', { source: { configMapKeyRef: { name: 'words', key: 'key' } } }, there),
    item('from-secret', '/secret', '', { source: { secretKeyRef: { name: 'words', key: 'key' } } }, there),
    policy('rules', { deny: ['/nothing'] }, {}, there),
    resource('ClusterVMAccessPolicy', own, {
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': own } },
      vmSelector: {},
      deny: ['/never'],
    }),
    { ...resource('GuestStoreDatastore', 'default', { namespaces: [{ from: 'All' }] }), metadata: { name: 'default' } },
    vm('web', { host: own }, there),
  ];
}

function secretIn(namespace: string): TestObject {
  const metadata = { name: 'words', namespace };
  return { apiVersion: 'v1', kind: 'Secret', metadata, stringData: { key: 'bytes of a Secret' } } as TestObject;
}

/** As a namespace lets the operator read its Secrets. */
function grantIn(namespace: string): TestObject {
  const apiGroup = 'rbac.authorization.k8s.io';
  return {
    apiVersion: `${apiGroup}/v1`,
    kind: 'RoleBinding',
    metadata: { name: 'gueststore-source-reader', namespace },
    roleRef: { apiGroup, kind: 'ClusterRole', name: 'gueststore-source-reader' },
    subjects: [{ kind: 'ServiceAccount', ...operatorAccount }],
  } as TestObject;
}

function heldLease(): TestObject {
  const times = { acquireTime: '2026-01-01T00:00:00.000000Z', renewTime: '2026-01-01T00:00:00.000000Z' };
  const spec = { holderIdentity: 'somebody', leaseDurationSeconds: 1, leaseTransitions: 0, ...times };
  return { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: operatorAccount, spec } as TestObject;
}

function hostOf(own: string): TestObject {
  return { apiVersion: 'gueststore.dev/v1alpha1', kind: 'GuestStoreHost', metadata: { name: own } };
}

function resourceOf({ apiVersion, kind }: TestObject): Resource<KubeObject> {
  const core = [namespaces, configMaps, secrets].find((one) => apiVersion === 'v1' && one.kind === kind);
  if (core !== undefined) return core as Resource<KubeObject>;
  const [group = '', version = ''] = apiVersion.split('/');
  const { plural, namespaced } =
    kind in kinds ? kinds[kind as keyof typeof kinds] : { plural: `${kind.toLowerCase()}s`, namespaced: true };
  return { group, version, plural, kind, namespaced };
}

async function post(object: TestObject): Promise<void> {
  await admin.create(resourceOf(object), object);
}

async function find(object: TestObject): Promise<Stored<KubeObject> | undefined> {
  return await admin.find(resourceOf(object), object.metadata);
}

async function isReady(object: TestObject): Promise<boolean> {
  const { status } = ((await find(object)) ?? {}) as { status?: { conditions?: Parameters<typeof conditionOf>[0] } };
  return conditionOf(status?.conditions, 'Ready')?.status === 'True';
}

async function isGone(object: TestObject): Promise<boolean> {
  return (await find(object)) === undefined;
}

/** Whatever holds it. Without a namespace controller a namespace stays, empty. */
async function sweep(object: TestObject): Promise<void> {
  try {
    const found = await find(object);
    if (found === undefined) return;
    if (found.metadata.finalizers !== undefined) {
      await admin.patch(resourceOf(object), object.metadata, {
        type: 'merge',
        value: { metadata: { finalizers: null } },
      });
    }
    await admin.delete(resourceOf(object), object.metadata);
  } catch (error) {
    if (!isApiError(error, 'NotFound')) throw error;
  }
}

/** The operator's own recorder, hurried: what happens twice is counted in the series of one event after a minute. */
async function recordTwice(ours: readonly TestObject[]): Promise<void> {
  const { server, operatorToken } = installation;
  await using client = clientFor(server, { token: operatorToken });
  await using recorder = createEventRecorder({
    client,
    controller: 'gueststore.dev/proof',
    instance: 'a',
    log: silent,
  });
  const [regarding] = (await Promise.all(ours.map(find))).filter((one) => one !== undefined);
  if (regarding === undefined) return;
  for (let time = 0; time < 2; time += 1) {
    recorder.record(regarding, { type: 'Normal', reason: 'Published', action: 'Reconcile', note: 'again' });
  }
  await recorder.flush();
}

async function denialsSince(from: number): Promise<readonly string[]> {
  const lines = (await readFile(installation.server.auditFile)).subarray(from).toString().split('\n').slice(0, -1);
  return lines
    .map((line) => JSON.parse(line) as AuditEntry)
    .filter(({ user, responseStatus }) => user.username === operatorUser && responseStatus?.code === 403)
    .map(deniedPermission);
}

/** What the server itself says of an account's right. */
async function may(user: string, permission: Permission, inNamespace: string): Promise<boolean> {
  const [resource = '', subresource] = permission.resource.split('/');
  const { group, verb, names, roleNamespace } = permission;
  const attributes = { group, resource, subresource, verb, name: names[0], namespace: roleNamespace ?? inNamespace };
  const body = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    spec: { user, groups: ['system:serviceaccounts', 'system:authenticated'], resourceAttributes: attributes },
  };
  const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
  const answer = await admin.raw({ method: 'POST', path, body, idempotent: true });
  return (JSON.parse(answer) as { status: { allowed: boolean } }).status.allowed;
}
