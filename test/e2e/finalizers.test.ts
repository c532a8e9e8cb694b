import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Kind } from '../../src/api/resources.generated.ts';
import { type Condition, conditionOf } from '../../src/core/conditions.ts';
import { layoutOf } from '../../src/store/layout.ts';
import { checkStatus } from '../support/conditions.ts';
import { eventually } from '../support/eventually.ts';
import { item, namespace, policy, repository, vm, yaml } from '../support/fleet.ts';
import { type HttpServer, patternOf, startHttpServer } from '../support/http-server.ts';
import { createInstallation, type Installation } from '../support/installation.ts';
import { createHttpProxy, type HttpProxy } from '../support/kubernetes/http-proxy.ts';
import { programFile } from '../support/kubernetes/programs.ts';
import type { Program } from '../support/programs.ts';
import { plainFiles, readSnapshot } from '../support/store.ts';

// Everything that is deleted goes, with all that it left in the datastore; what is held says why, and what frees it.

const root = fileURLToPath(new URL('../..', import.meta.url));
const stack = new AsyncDisposableStack();
let installation: Installation;
let proxy: HttpProxy;
let operator: Program;
let http: HttpServer;
const kubectl = (args: readonly string[], input?: string) => installation.kubectl(args, input);

beforeAll(async () => {
  installation = stack.use(await createInstallation());
  const { datastore } = installation;
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', datastore]);
  stack.defer(() => void execFileSync('umount', ['-l', datastore]));
  http = stack.use(await startHttpServer());
  proxy = stack.use(await createHttpProxy(installation.server));
  operator = await installation.startOperator({ url: proxy.url });
});

afterAll(() => stack.disposeAsync());

describe('what is deleted', () => {
  test('while its content is fetched goes at once, and nothing of it stays', async () => {
    const body = patternOf(0, 9_000_000);
    http.serve('/slow', { body, stallAfter: 8_000_000 });
    const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
    const there = { namespace: 'fetching' };
    await apply(
      namespace('fetching'),
      repository('main', {}, there),
      item('slow', '/slow', '', { source: { http: { url: http.url('/slow') } }, digest }, there),
    );
    await shows('fetching', 'contentitem/slow', { status: 'False', reason: 'Fetching' });
    await eventually(() => (temporaryFiles().length > 0 ? true : undefined));
    await deleted('fetching', 'contentitem/slow');
    await eventually(() => expect(temporaryFiles()).toEqual([]) ?? true);
    expect(await pathsOf('fetching/main')).toEqual([]);
    await deleted('fetching', 'gueststorerepository/main');
  });

  test('while the API server is away goes once it is back', async () => {
    const there = { namespace: 'away' };
    await apply(namespace('away'), repository('main', {}, there), item('a', '/a', 'a', {}, there));
    await ready('away', 'contentitem/a');
    // It goes down in the one moment between the revision without the item and the end of its finalizer.
    proxy.fault = ({ pathname }, method) =>
      method === 'PATCH' && pathname.endsWith('/contentitems/a')
        ? { type: 'answer', status: 500, body: '{"kind":"Status","code":500}' }
        : undefined;
    await kubectl(['--namespace', 'away', 'delete', '--wait=false', 'contentitem/a']);
    await eventually(async () => expect(await pathsOf('away/main')).toEqual([]) ?? true);
    expect((await find('away', 'contentitem/a'))?.metadata.deletionTimestamp).toBeDefined();
    await installation.server.kill();
    proxy.fault = () => undefined;
    await installation.server.restart();
    await gone('away', 'contentitem/a');
    await deleted('away', 'gueststorerepository/main');
  });

  test('while the datastore is read-only says so, and goes once it is writable', async () => {
    const there = { namespace: 'readonly' };
    const objects = ['contentitem/a', 'guestvm/web', 'gueststorerepository/main'];
    await apply(
      namespace('readonly'),
      repository('main', {}, there),
      item('a', '/a', 'a', {}, there),
      vm('web', {}, there),
    );
    await ready('readonly', ...objects);
    execFileSync('mount', ['-o', 'remount,ro', installation.datastore]);
    await kubectl(['--namespace', 'readonly', 'delete', '--wait=false', ...objects]);
    for (const object of objects) {
      const message = /^To be deleted, and not yet out of the datastore: .*EROFS.*mount the file system writable/;
      const { status } = await shows('readonly', object, { status: 'False', reason: 'StoreUnavailable', message });
      expect(conditionOf(status.conditions, 'Reconciling')?.status).toBe('True');
      await eventually(async () => expect(await eventsOf('readonly', object)).toContain('StoreUnavailable') ?? true);
    }
    execFileSync('mount', ['-o', 'remount,rw', installation.datastore]);
    for (const object of objects) await gone('readonly', object);
    expect(await pathsOf('readonly/main')).toBeUndefined();
  });

  test('while only its file in the plain tree cannot be removed says so, though guests get it no more', async () => {
    const there = { namespace: 'stuck' };
    await apply(namespace('stuck'), repository('main', {}, there), item('a', '/a', 'a', {}, there));
    await ready('stuck', 'contentitem/a');
    const folder = join(installation.datastore, 'stuck/main');
    execFileSync('mount', ['--bind', folder, folder]);
    try {
      execFileSync('mount', ['-o', 'remount,bind,ro', folder]);
      await kubectl(['--namespace', 'stuck', 'delete', '--wait=false', 'contentitem/a', 'gueststorerepository/main']);
      const message = /^To be deleted, .*cannot remove stuck\/main\/a: EROFS.*mount the file system writable/;
      for (const object of ['contentitem/a', 'gueststorerepository/main']) {
        await shows('stuck', object, { status: 'False', reason: 'StoreUnavailable', message });
      }
      expect(await pathsOf('stuck/main')).toBeUndefined();
    } finally {
      execFileSync('umount', ['-l', folder]);
    }
    await gone('stuck', 'contentitem/a');
    await gone('stuck', 'gueststorerepository/main');
    expect(plainFiles(installation.datastore)).toEqual({});
  });
});

describe('a repository that is deleted while it is referred to', () => {
  const there = { namespace: 'referred' };
  const names = ['a', 'b', 'c', 'd'];
  const shared = { allow: { items: { from: 'All' }, vms: { from: 'All' } } };
  const repositoryRef = { name: 'main', namespace: 'referred' };

  test('is kept, goes on serving, and names those of its own namespace alone', async () => {
    await apply(
      namespace('referred'),
      namespace('strangers'),
      repository('main', shared, there),
      repository('closed', {}, there),
      ...names.map((name) => item(name, `/${name}`, name, {}, there)),
      vm('unnamed', { repositoryRef: { name: 'main' } }, there),
      item('secretive', '/other', 'of others', { repositoryRef }, { namespace: 'strangers' }),
      item('intruder', '/x', 'x', { repositoryRef: { ...repositoryRef, name: 'closed' } }, { namespace: 'strangers' }),
    );
    await ready('referred', 'contentitem', '--all');
    await ready('strangers', 'contentitem/secretive');
    await kubectl(['--namespace', 'referred', 'delete', '--wait=false', 'gueststorerepository/main']);
    const { status } = await shows('referred', 'gueststorerepository/main', {
      status: 'False',
      reason: 'ReferencesExist',
      message: /by ContentItem a, ContentItem b, ContentItem c, 2 more of this namespace and 1 of other namespaces\./,
    });
    expect(JSON.stringify(status)).not.toMatch(/strangers|secretive/);
    await kubectl(['--namespace', 'referred', 'patch', 'contentitem/a', '--type=merge', '--patch', edited('new')]);
    await eventually(() => expect(plainFiles(installation.datastore)['referred/main/a']).toBe('new') ?? true);
    await ready('referred', 'contentitem/a');
    expect(await pathsOf('referred/main')).toEqual(['/a', '/b', '/c', '/d', '/other']);
    expect(await eventsOf('referred', 'gueststorerepository/main')).toContain('ReferencesExist');
  });

  test('is not held by who may not refer to it', async () => {
    await deleted('referred', 'gueststorerepository/closed');
  });

  test('goes as soon as the last reference is gone', async () => {
    await deleted('referred', ...names.map((name) => `contentitem/${name}`));
    await shows('referred', 'gueststorerepository/main', {
      status: 'False',
      reason: 'ReferencesExist',
      message: /by GuestVM unnamed and 1 of other namespaces\..*or tighten spec\.allow/,
    });
    await deleted('referred', 'guestvm/unnamed');
    await shows('referred', 'gueststorerepository/main', {
      status: 'False',
      reason: 'ReferencesExist',
      message: /by 1 of other namespaces\./,
    });
    const tightened = JSON.stringify({ spec: { allow: { items: { from: 'Same' } } } });
    await kubectl(['-n', 'referred', 'patch', 'gueststorerepository/main', '--type=merge', '--patch', tightened]);
    await gone('referred', 'gueststorerepository/main');
    expect(await pathsOf('referred/main')).toBeUndefined();
    await shows('strangers', 'contentitem/secretive', { status: 'False', reason: 'ReferenceNotPermitted' });
  });
});

test('a namespace goes with everything in it, whoever refers to it from elsewhere', async () => {
  const there = { namespace: 'crowd' };
  const many = Array.from({ length: 20 }, (_, index) => index);
  await apply(
    namespace('crowd'),
    repository('main', { allow: { items: { from: 'All' } } }, there),
    ...many.map((index) => item(`item-${index}`, `/${index}`, `${index}`, {}, there)),
    ...many.slice(0, 5).map((index) => vm(`vm-${index}`, {}, there)),
    policy('rules', { deny: ['/1'] }, {}, there),
    item('guest', '/guest', '', { repositoryRef: { name: 'main', namespace: 'crowd' } }, { namespace: 'strangers' }),
  );
  for (const kind of ['contentitem', 'guestvm', 'gueststorerepository']) await ready('crowd', kind, '--all');
  await ready('strangers', 'contentitem/guest');
  await kubectl(['delete', 'namespace', 'crowd', '--timeout=60s']);
  const snapshot = await readSnapshot(installation.datastore);
  expect([...(snapshot?.repositories.keys() ?? [])]).toEqual([]);
  expect([...(snapshot?.vms() ?? [])]).toEqual([]);
  expect(plainFiles(installation.datastore)).toEqual({});
  await shows('strangers', 'contentitem/guest', { status: 'False', reason: 'ReferenceNotPermitted' });
});

describe('uninstalling as docs/uninstall.md says', () => {
  const page = readFileSync(new URL('../../docs/uninstall.md', import.meta.url), 'utf8');
  const blocks = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block);
  const blockWith = (word: string) => blocks.find((block) => block.includes(word)) ?? 'false';
  const there = { namespace: 'left' };
  const objects = () => [repository('main', {}, there), item('a', '/a', 'a', {}, there), vm('web', {}, there)];

  test('ends, and leaves nothing, when objects go before the operator', async () => {
    await apply(namespace('left'), ...objects());
    await ready('left', 'contentitem/a', 'guestvm/web');
    await shell(blockWith('delete gueststore --all'));
    const snapshot = await readSnapshot(installation.datastore);
    expect([...(snapshot?.repositories.keys() ?? []), ...(snapshot?.vms() ?? [])]).toEqual([]);
    expect(plainFiles(installation.datastore)).toEqual({});
    await shell(blockWith('delete -k manifests'));
    expect(await kubectl(['get', 'crd', '--output', 'name'])).toBe('');
    await operator.stop();
  });

  test('ends too where the operator went first, and the next one takes out what was left', async () => {
    await installation.install();
    operator = await installation.startOperator();
    await apply(...objects());
    await ready('left', 'contentitem/a', 'guestvm/web');
    await operator.stop();
    const removing = shell(blockWith('delete -k manifests'));
    await eventually(async () => {
      expect((await find('left', 'contentitem/a'))?.metadata.deletionTimestamp).toBeDefined();
      return true;
    });
    await shell(blockWith('kubectl patch'));
    await removing;
    expect(await kubectl(['get', 'crd', '--output', 'name'])).toBe('');
    expect(await pathsOf('left/main')).toEqual(['/a']);

    await installation.install();
    await installation.startOperator();
    await eventually(async () => expect(await pathsOf('left/main')).toBeUndefined() ?? true, 60_000);
    expect(plainFiles(installation.datastore)).toEqual({});
  });
});

/** A block of a page, as people would paste it. */
async function shell(block: string): Promise<string> {
  const { PATH = '' } = process.env;
  const env = {
    PATH: `${dirname(await programFile('kubectl'))}:${PATH}`,
    HOME: installation.folder,
    KUBECONFIG: installation.server.kubeconfig,
  };
  return (await promisify(execFile)('/bin/sh', ['-ec', block], { cwd: root, env, timeout: 120_000 })).stdout;
}

interface Shown {
  readonly kind: Kind;
  readonly metadata: { readonly generation: number; readonly deletionTimestamp?: string };
  readonly status: { readonly conditions?: readonly Condition[] };
}

async function apply(...objects: readonly object[]): Promise<void> {
  await kubectl(['apply', '-f', '-'], yaml(...objects));
}

async function ready(inNamespace: string, ...objects: readonly string[]): Promise<void> {
  await kubectl(['--namespace', inNamespace, 'wait', '--for=condition=Ready', '--timeout=60s', ...objects]);
}

async function deleted(inNamespace: string, ...objects: readonly string[]): Promise<void> {
  await kubectl(['--namespace', inNamespace, 'delete', '--timeout=60s', ...objects]);
}

async function find(inNamespace: string, object: string): Promise<Shown | undefined> {
  const found = await kubectl(['-n', inNamespace, 'get', object, '--ignore-not-found', '--output', 'json']);
  return found === '' ? undefined : (JSON.parse(found) as Shown);
}

async function gone(inNamespace: string, object: string): Promise<void> {
  await eventually(async () => expect(await find(inNamespace, object)).toBeUndefined() ?? true, 60_000);
}

/** Waits until `Ready` is as expected, and holds the whole status to its promises. */
async function shows(
  inNamespace: string,
  object: string,
  { message = /./, ...expected }: { readonly status: string; readonly reason: string; readonly message?: RegExp },
): Promise<Shown> {
  return await eventually(async () => {
    const found = await find(inNamespace, object);
    const is = conditionOf(found?.status.conditions, 'Ready');
    expect(is, object).toMatchObject(expected);
    expect(is?.message).toMatch(message);
    if (found !== undefined) checkStatus(found.kind, object, found);
    return found;
  }, 60_000);
}

async function eventsOf(inNamespace: string, object: string): Promise<readonly string[]> {
  interface Event {
    readonly reason: string;
    readonly regarding: { readonly kind: string; readonly name: string };
  }
  const list = await kubectl(['--namespace', inNamespace, 'get', 'events.events.k8s.io', '--output', 'json']);
  const [kind, name] = object.split('/');
  return (JSON.parse(list) as { items: Event[] }).items
    .filter(({ regarding }) => regarding.kind.toLowerCase() === kind && regarding.name === name)
    .map(({ reason }) => reason);
}

/** What a process that starts now would find of a repository; undefined where there is none. */
async function pathsOf(key: string): Promise<readonly string[] | undefined> {
  const snapshot = await readSnapshot(installation.datastore);
  if (snapshot?.repositories.has(key) !== true) return undefined;
  return Array.from(snapshot.entries(key), ([path]) => String(path)).toSorted();
}

function temporaryFiles(): readonly string[] {
  return readdirSync(layoutOf(installation.datastore).tmp);
}

function edited(text: string): string {
  return JSON.stringify({ spec: { source: { inline: { text } } } });
}
