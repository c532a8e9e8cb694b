import { expect } from 'vitest';
import { apiVersion, type Kind, kinds } from '../../src/api/resources.generated.ts';
import { type Condition, conditionOf } from '../../src/core/conditions.ts';
import { checkStatus } from './conditions.ts';
import { bare, type Received, ask as send } from './daemon.ts';
import { eventually } from './eventually.ts';
import { type HttpServer, startHttpServer } from './http-server.ts';
import { createInstallation, type Installation } from './installation.ts';
import { type Answered, createAsUser, type Method } from './kubernetes/as-user.ts';
import { datastore, item, namespace, policy, repository, resource, vm, yaml } from './manifests.ts';
import type { Program } from './programs.ts';

/** What nobody but blue and its guests may ever see. */
export const blueSecret = 'only for the guests of blue\n';
const blueText = 'hello, guests of blue\n';
const sharedText = 'of blue, in the shared tree\n';

/** Where red's sources may connect to; 127.0.0.1, where the API server and much else listens, is another address. */
export const redAddress = '127.0.0.2';

/** An object as a manifest has it. */
export interface Written {
  readonly kind: string;
  readonly metadata: Readonly<Record<string, unknown>> & { readonly name: string; readonly namespace?: string };
}

export interface Shown {
  readonly metadata: { readonly name: string; readonly uid: string; readonly generation: number };
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status: {
    readonly observedGeneration?: number;
    readonly conditions?: readonly Condition[];
    readonly [field: string]: unknown;
  };
}

/**
 * One installation for several teams. `blue` minds its own business in its namespace, and publishes into `shared`; `red`
 * has its namespace to itself with all that a tenant may be given there: the roles admin and gueststore-admin. `dev` may
 * only edit in red's, `viewer` only look, and `owner` is the administrator of the namespace and no more.
 */
export interface Tenants extends AsyncDisposable {
  readonly installation: Installation;
  /** The one server that red's sources may reach. */
  readonly http: HttpServer;
  /** kubectl as an administrator, for commands that messages give. */
  admin(args: readonly string[], input?: string): Promise<string>;
  /** One request, as an administrator where `user` is undefined. */
  ask(user: string | undefined, method: Method, path: string, body?: object): Promise<Answered>;
  /** The administrator of the cluster changes something. */
  grants(method: Method, path: string, body?: object): Promise<void>;
  /** Red writes these objects. */
  writes(...objects: readonly Written[]): Promise<void>;
  /** The API server refuses what `user` writes, and says why. */
  refuses(why: RegExp, object: Written, user?: string): Promise<void>;
  /** Red changes labels, or whatever else the patch says. */
  patches(kind: Kind, name: string, patch: object): Promise<Answered>;
  /** Red removes objects of its own; resolves when they are gone. */
  removes(kind: Kind, ...names: readonly string[]): Promise<void>;
  /** An object of red's once its `Ready` is false for this reason; nothing of blue's may show in what its status says. */
  says(kind: Kind, name: string, reason: string, message?: RegExp): Promise<Shown>;
  ready(kind: Kind, name: string): Promise<Shown>;
  /** Undefined where there is none. */
  find(namespace: string, kind: Kind, name: string): Promise<Shown | undefined>;
  /** What a guest gets on host-a. */
  guest(namespace: string, vm: string, path: string): Promise<Received>;
  /** Blue's guests get the same bytes as ever, and blue's statuses are what they were. */
  blueIsWell(): Promise<void>;
  restartOperator(): Promise<void>;
}

const host = { host: 'host-a' };
const inBlue = { namespace: 'blue' };
const inShared = { namespace: 'shared' };
export const inRed = { namespace: 'red' };

/** By its own name, as Kubernetes labels every namespace. */
const named = (name: string) => ({
  from: 'Selector',
  selector: { matchLabels: { 'kubernetes.io/metadata.name': name } },
});

const rules = datastore(
  { ...named('shared'), roots: ['shared'] },
  { ...named('blue'), egress: { loopback: true } },
  {
    from: 'Selector',
    selector: { matchExpressions: [{ key: 'gueststore.dev/tenant', operator: 'Exists' }] },
    quota: '4Mi',
    maxItemSize: '1Mi',
    leastPosture: 'Closed',
    egress: { cidrs: [`${redAddress}/32`], loopback: true },
  },
);

const ofBlue = yaml(
  repository('main', {}, inBlue),
  {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'token', namespace: 'blue' },
    data: { token: Buffer.from(blueSecret).toString('base64') },
  },
  {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'agent', namespace: 'blue' },
    data: { 'agent.conf': 'a = 1\n' },
  },
  item('motd', '/motd', blueText, {}, inBlue),
  item('token', '/token', '', { source: { secretKeyRef: { name: 'token', key: 'token' } } }, inBlue),
  item('agent', '/agent', '', { source: { configMapKeyRef: { name: 'agent', key: 'agent.conf' } } }, inBlue),
  item('shared', '/tools/agent', sharedText, { repositoryRef: { name: 'tools', namespace: 'shared' } }, inBlue),
  vm('web', host, { ...inBlue, labels: { tier: 'web', 'gueststore.dev/zone': 'inner' } }),
  vm('tools', { ...host, repositoryRef: { name: 'tools', namespace: 'shared' } }, inBlue),
  resource('VMAccessPolicy', 'closed', { vmSelector: {}, deny: ['/agent'] }, inBlue),
);

const ofShared = yaml(
  repository('tools', { root: 'shared', allow: { items: { from: 'All' }, vms: { from: 'All' } } }, inShared),
  {
    ...policy('zone', { deny: ['/inner/.*'] }),
    kind: 'ClusterVMAccessPolicy',
    metadata: { name: 'zone' },
    spec: {
      namespaceSelector: {},
      vmSelector: { matchLabels: { 'gueststore.dev/zone': 'inner' } },
      deny: ['/inner/.*'],
    },
  },
);

const ofRed = yaml(repository('main', {}, inRed), item('own', '/own/motd', 'of red', {}, inRed));

export async function createTenants(): Promise<Tenants> {
  await using stack = new AsyncDisposableStack();
  const installation = stack.use(await createInstallation());
  const http = stack.use(await startHttpServer(undefined, redAddress));
  const admin = installation.kubectl;
  const ask = createAsUser(installation.server);
  stack.defer(() => ask[Symbol.dispose]());

  await admin(
    ['apply', '--filename=-'],
    yaml(namespace('blue'), namespace('shared'), namespace('red', { 'gueststore.dev/tenant': 'red' }), rules),
  );
  for (const [user, role] of [
    ['red', 'admin'],
    ['red', 'gueststore-admin'],
    ['dev', 'edit'],
    ['viewer', 'view'],
    ['owner', 'admin'],
  ] as const) {
    const bound = await ask(undefined, 'POST', '/apis/rbac.authorization.k8s.io/v1/namespaces/red/rolebindings', {
      metadata: { name: `${user}-${role}` },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
    });
    expect(bound).toMatchObject({ status: 201 });
  }
  await admin(['apply', '--filename=-'], `${ofShared}\n---\n${ofBlue}\n---\n${ofRed}`);
  let operator: Program = await installation.startOperator();
  await installation.startDaemon('host-a');

  const find: Tenants['find'] = async (space, kind, name) => {
    const { status, body } = await ask(undefined, 'GET', pathOf(space, kind, name));
    return status === 404 ? undefined : (body as Shown);
  };
  const becomes = (space: string, kind: Kind, name: string, wanted: Partial<Condition>) =>
    eventually(async () => {
      const object = await find(space, kind, name);
      const ready = conditionOf(object?.status.conditions, 'Ready');
      expect(ready, `${kind} ${space}/${name}`).toMatchObject(wanted);
      expect(object?.status.observedGeneration).toBe(object?.metadata.generation);
      if (object !== undefined) checkStatus(kind, `${space}/${name}`, object);
      return object;
    }, 30_000);
  const apply = (user: string, object: Written) => {
    const { kind, metadata } = object;
    return ask(user, 'APPLY', pathOf(metadata.namespace ?? '', kind as Kind, metadata.name), object);
  };

  // What the message says, typed as it stands.
  const { status } = await becomes('blue', 'ContentItem', 'token', { status: 'False', reason: 'SecretNotGranted' });
  const command = /kubectl (.*)$/.exec(conditionOf(status.conditions, 'Ready')?.message ?? '')?.[1];
  await admin(command?.split(' ') ?? []);
  for (const [kind, name] of [
    ['GuestStoreRepository', 'main'],
    ...['motd', 'token', 'agent', 'shared'].map((one) => ['ContentItem', one] as const),
    ['GuestVM', 'web'],
    ['GuestVM', 'tools'],
    ['VMAccessPolicy', 'closed'],
  ] as const) {
    await becomes('blue', kind, name, { status: 'True', reason: 'Served' });
  }

  const guest: Tenants['guest'] = (space, name, path) => send(installation.socket('host-a', space, name), bare(path));
  const statusesOfBlue = async () => {
    const kindsOfBlue = ['GuestStoreRepository', 'ContentItem', 'GuestVM', 'VMAccessPolicy'] as const;
    const lists = await Promise.all(kindsOfBlue.map((kind) => ask(undefined, 'GET', pathOf('blue', kind))));
    const objects = lists.flatMap(({ body }) => (body as { readonly items: readonly Shown[] }).items);
    return objects.map(({ metadata, spec, status }) => ({ name: metadata.name, uid: metadata.uid, spec, status }));
  };
  const before = await statusesOfBlue();
  /** What only blue's own objects hold. */
  const marks = [blueSecret, blueText, sharedText].map((text) => text.trim());
  for (const { status: shown } of before) if (typeof shown.digest === 'string') marks.push(shown.digest);

  const kept = stack.move();
  return {
    installation,
    http,
    admin,
    ask,
    grants: async (...request) => expect(await ask(undefined, ...request)).toMatchObject({ message: '' }),
    writes: async (...objects) => {
      for (const object of objects) expect(await apply('red', object)).toMatchObject({ message: '' });
    },
    refuses: async (why, object, user = 'red') => {
      const { status, message } = await apply(user, object);
      expect([400, 403, 422, 500], message).toContain(status);
      expect(message).toMatch(why);
    },
    patches: (kind, name, patch) => ask('red', 'MERGE', pathOf('red', kind, name), patch),
    removes: async (kind, ...names) => {
      for (const name of names)
        expect(await ask('red', 'DELETE', pathOf('red', kind, name))).toMatchObject({ message: '' });
      await eventually(async () => {
        for (const name of names) expect(await find('red', kind, name), name).toBeUndefined();
        return true;
      });
    },
    says: async (kind, name, reason, message = /./) => {
      const wanted = { status: 'False', reason, message: expect.stringMatching(message) } as const;
      const object = await becomes('red', kind, name, wanted);
      const said = JSON.stringify(object.status);
      for (const mark of marks) expect(said).not.toContain(mark);
      // Names of blue's show only where red wrote them itself.
      if (!JSON.stringify(object.spec).includes('blue')) expect(said).not.toContain('blue');
      return object;
    },
    ready: (kind, name) => becomes('red', kind, name, { status: 'True' }),
    find,
    guest,
    blueIsWell: async () => {
      const [motd, token, agent, shared] = await Promise.all([
        guest('blue', 'web', '/motd'),
        guest('blue', 'web', '/token'),
        guest('blue', 'web', '/agent'),
        guest('blue', 'tools', '/tools/agent'),
      ]);
      expect([motd, token, shared].map(({ body }) => body.toString())).toEqual([blueText, blueSecret, sharedText]);
      expect(agent.status).toBe(403);
      expect(await statusesOfBlue()).toEqual(before);
    },
    restartOperator: async () => {
      await operator.stop();
      operator = await installation.startOperator();
      await operator.says('leading');
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Where the API server keeps an object of ours, or all of a kind. */
export function pathOf(space: string, kind: Kind, name?: string): string {
  const { plural, namespaced } = kinds[kind];
  const parts = [...(namespaced ? ['namespaces', space] : []), plural, ...(name === undefined ? [] : [name])];
  return `/apis/${apiVersion}/${parts.map(encodeURIComponent).join('/')}`;
}
