import { beforeAll, expect, test } from 'vitest';
import type { Client } from '../../../src/kube/client.ts';
import { createLog } from '../../../src/lib/log.ts';
import { eventually } from '../../support/eventually.ts';
import { type Cluster, kubectl } from '../../support/kubernetes/api-server.ts';
import { clientFor, portOf } from '../../support/kubernetes/clients.ts';
import { createHttpProxy, type Fault } from '../../support/kubernetes/http-proxy.ts';
import { quickPace, runInformer } from '../../support/kubernetes/informers.ts';
import { bareCluster, createNamespace } from '../../support/kubernetes/shared-cluster.ts';
import { createTcpProxy } from '../../support/kubernetes/tcp-proxy.ts';
import { installWidgets, type Widget, widgets } from '../../support/kubernetes/widgets.ts';

let cluster: Cluster;
let admin: Client;

beforeAll(async () => {
  cluster = await bareCluster();
  await installWidgets(cluster);
  admin = clientFor(cluster);
  return () => admin.close();
});

const create = (namespace: string, name: string, spec: Widget['spec'] = { size: 1 }) =>
  admin.create(widgets, { metadata: { namespace, name }, spec });

const isWatch = (url: URL) => url.searchParams.has('watch');
const isList = (url: URL) => url.pathname.endsWith('/widgets') && !isWatch(url);

function refusal(code: number, reason: string, headers: Record<string, string> = {}): Fault {
  const body = JSON.stringify({ kind: 'Status', status: 'Failure', code, reason, message: `the proxy says ${reason}` });
  return { type: 'answer', status: code, body, headers };
}

test('a watch that the server ends in good order goes on from where it was', async () => {
  await using space = await createNamespace(cluster);
  const { name: namespace } = space;
  await using proxy = await createHttpProxy(cluster);
  await using client = clientFor(cluster, { url: proxy.url });
  let watches = 0;
  proxy.fault = (url) => {
    if (isWatch(url)) watches += 1;
    return undefined;
  };
  const pace = { ...quickPace, watch: [1_000, 1_000] } as const;
  const { told, lists } = runInformer({ client, resource: widgets, namespace, pace });
  for (const [n, name] of ['a', 'b', 'c'].entries()) {
    await eventually(() => (watches > n ? true : undefined));
    await create(namespace, name);
  }
  await eventually(() => (told.length === 3 ? true : undefined));
  expect(told).toEqual(['added a', 'added b', 'added c']);
  expect(lists()).toBe(1);
});

test('events that come twice are told once', async () => {
  await using space = await createNamespace(cluster);
  const { name: namespace } = space;
  await using proxy = await createHttpProxy(cluster);
  await using client = clientFor(cluster, { url: proxy.url });
  let doubled = 0;
  /** Line by line: several may come in one piece. */
  const doubling = () => {
    let rest = '';
    return (chunk: Buffer) => {
      const lines = `${rest}${chunk.toString('latin1')}`.split('\n');
      rest = lines.pop() ?? '';
      doubled += lines.length;
      return Buffer.from(lines.map((line) => `${line}\n${line}\n`).join(''), 'latin1');
    };
  };
  proxy.fault = (url) => (isWatch(url) ? { type: 'edit', edit: doubling() } : undefined);
  const { informer, told } = runInformer({ client, resource: widgets, namespace });
  await informer.synced;
  await create(namespace, 'a');
  await admin.patch(widgets, { namespace, name: 'a' }, { type: 'merge', value: { spec: { size: 2 } } });
  await admin.delete(widgets, { namespace, name: 'a' });
  await create(namespace, 'b');
  await eventually(() => (told.at(-1) === 'added b' ? true : undefined));
  expect(told).toEqual(['added a', 'updated a', 'deleted a', 'added b']);
  expect(doubled).toBeGreaterThanOrEqual(4);
});

test('an object of a megabyte is taken whole, also where its text would end a line for JavaScript', async () => {
  await using space = await createNamespace(cluster);
  const { name: namespace } = space;
  await using proxy = await createHttpProxy(cluster);
  await using client = clientFor(cluster, { url: proxy.url });
  let raw = 0;
  // The server escapes U+2028; others of its kind do not.
  const edit = (chunk: Buffer) => {
    const text = chunk.toString('latin1').replaceAll('\\u2028', () => {
      raw += 1;
      return Buffer.from('\u2028').toString('latin1');
    });
    return Buffer.from(text, 'latin1');
  };
  proxy.fault = (url) => (isWatch(url) || isList(url) ? { type: 'edit', edit } : undefined);
  const part = `\u2028${'x'.repeat(1_000_000)}\u2028\u{1f600}`;
  await create(namespace, 'listed', { part });
  const { informer, lists } = runInformer({ client, resource: widgets, namespace });
  await informer.synced;
  await create(namespace, 'watched', { part });
  await eventually(() => informer.get(`${namespace}/watched`));
  for (const name of ['listed', 'watched'])
    expect(informer.get(`${namespace}/${name}`)?.spec?.part === part).toBe(true);
  expect(lists()).toBe(1);
  // Unless a piece ended within the escape, which then stays one.
  expect(raw).toBeGreaterThan(0);
});

test('a right that is taken away for a while costs nothing but that while', async () => {
  await using space = await createNamespace(cluster);
  const { name: namespace } = space;
  const grant = () => kubectl(cluster, ['-n', namespace, 'create', 'rolebinding', 'r', '--role=r', '--user=nobody']);
  const role = ['create', 'role', 'r', '--verb=list,watch', '--resource=widgets.widgets.test'];
  await kubectl(cluster, ['-n', namespace, ...role]);
  await grant();
  await create(namespace, 'a');
  await create(namespace, 'b');
  await using client = clientFor(cluster, { token: cluster.tokens.nobody });
  const lines: string[] = [];
  const log = createLog('warn', { write: (line) => void lines.push(line) });
  // A watch under way is not cut by it: that meets the refusal when it begins again.
  const pace = { ...quickPace, watch: [1_000, 1_000] } as const;
  const { informer, told } = runInformer({ client, resource: widgets, namespace, pace, log });
  await informer.synced;
  await kubectl(cluster, ['-n', namespace, 'delete', 'rolebinding', 'r']);
  await eventually(() => lines.find((line) => line.includes('"Forbidden"')));
  await admin.delete(widgets, { namespace, name: 'a' });
  expect([...informer.keys()]).toEqual([`${namespace}/a`, `${namespace}/b`]);
  await grant();
  await create(namespace, 'c');
  await eventually(() => informer.get(`${namespace}/c`));
  expect(told.slice(2)).toEqual(['deleted a (unknown)', 'added c']);
});

test('a version from the future, as after a restored backup, leads to a new list', async () => {
  await using space = await createNamespace(cluster);
  const { name: namespace } = space;
  await using proxy = await createHttpProxy(cluster);
  await using client = clientFor(cluster, { url: proxy.url });
  const asked: string[] = [];
  proxy.fault = (url) => {
    if (!isWatch(url) && !isList(url)) return undefined;
    asked.push(isWatch(url) ? 'watch' : url.searchParams.has('resourceVersionMatch') ? 'version' : 'list');
    // The server went away with the first watch. The real one is what judges the version that we have.
    if (asked.length === 2) return refusal(500, 'InternalError');
    if (asked.length > 1) return undefined;
    const edit = (chunk: Buffer) =>
      Buffer.from(chunk.toString('utf8').replace(/"resourceVersion":"(\d+)"/, '"resourceVersion":"9$1"'));
    return { type: 'edit', edit };
  };
  const { informer } = runInformer({ client, resource: widgets, namespace });
  await informer.synced;
  await create(namespace, 'a');
  await eventually(() => informer.get(`${namespace}/a`));
  expect(asked.slice(0, 4)).toEqual(['list', 'watch', 'version', 'list']);
});

test('a server that asks for patience is given it, at lists and at watches', async () => {
  await using space = await createNamespace(cluster);
  const { name: namespace } = space;
  await using proxy = await createHttpProxy(cluster);
  await using client = clientFor(cluster, { url: proxy.url });
  const asked = { list: [] as number[], watch: [] as number[] };
  proxy.fault = (url) => {
    const times = asked[isWatch(url) ? 'watch' : 'list'];
    times.push(performance.now());
    return times.length <= 2 ? refusal(429, 'TooManyRequests', { 'retry-after': '1' }) : undefined;
  };
  const { informer, lists } = runInformer({ client, resource: widgets, namespace });
  await informer.synced;
  await create(namespace, 'a');
  await eventually(() => informer.get(`${namespace}/a`));
  for (const times of Object.values(asked)) {
    expect(times).toHaveLength(3);
    for (const [n, time] of times.entries()) if (n > 0) expect(time - (times[n - 1] ?? 0)).toBeGreaterThanOrEqual(990);
  }
  expect(lists()).toBe(1);
});

test.each([
  { what: 'answers 500', fault: refusal(500, 'InternalError'), said: 'the proxy says InternalError' },
  { what: 'answers 503', fault: refusal(503, 'ServiceUnavailable'), said: 'the proxy says ServiceUnavailable' },
  {
    what: 'is a load balancer that answers HTML',
    fault: {
      type: 'answer',
      status: 200,
      body: '<html>Back soon</html>',
      headers: { 'content-type': 'text/html' },
    } as const,
    said: 'the answer is no JSON but begins with \\"<html>Back soon</html>\\": is this the API server?',
  },
  {
    what: 'answers what is no list',
    fault: { type: 'answer', status: 200, body: '{"kind":"Status"}' } as const,
    said: 'the answer is no list of the API',
  },
])('a server that $what for a while is asked again until it is well', async ({ fault, said }) => {
  await using space = await createNamespace(cluster);
  const { name: namespace } = space;
  await using proxy = await createHttpProxy(cluster);
  await using client = clientFor(cluster, { url: proxy.url });
  await create(namespace, 'a');
  const lines: string[] = [];
  const log = createLog('warn', { write: (line) => void lines.push(line) });
  const left = { list: 8, watch: 3 };
  proxy.fault = (url) => {
    const kind = isWatch(url) ? 'watch' : 'list';
    left[kind] -= 1;
    return left[kind] >= 0 ? fault : undefined;
  };
  const { informer, told } = runInformer({ client, resource: widgets, namespace, log });
  await informer.synced;
  await create(namespace, 'b');
  await eventually(() => informer.get(`${namespace}/b`));
  expect(told).toEqual(['added a', 'added b']);
  expect(lines.join('')).toContain(`GET /apis/widgets.test/v1/namespaces/${namespace}/widgets: ${said}`);
});

test('nobody believes in the half of a slow list', async () => {
  await using space = await createNamespace(cluster);
  const { name: namespace } = space;
  await using proxy = await createHttpProxy(cluster);
  await using client = clientFor(cluster, { url: proxy.url });
  for (const name of ['a', 'b', 'c']) await create(namespace, name);
  const { promise: until, resolve: release } = Promise.withResolvers<void>();
  const { promise: paging, resolve: reached } = Promise.withResolvers<void>();
  proxy.fault = (url) => {
    if (!url.searchParams.has('continue')) return undefined;
    reached();
    return { type: 'hold', until };
  };
  const { informer, told } = runInformer({ client, resource: widgets, namespace });
  await paging;
  expect([informer.hasSynced, informer.size]).toEqual([false, 0]);
  await admin.delete(widgets, { namespace, name: 'a' });
  release();
  await informer.synced;
  await eventually(() => (told.at(-1) === 'deleted a' ? true : undefined));
  expect(told).toEqual(['added a', 'added b', 'added c', 'deleted a']);
});

test('whoever waits after an outage is woken by the first answer that anybody gets', async () => {
  await using space = await createNamespace(cluster);
  const { name: namespace } = space;
  await using proxy = await createTcpProxy({ port: portOf(cluster) });
  await using client = clientFor(cluster, { url: `https://127.0.0.1:${proxy.port}` });
  // By itself it would come again in five minutes.
  const pace = { ...quickPace, backoff: { first: 600_000, longest: 600_000, forgetAfter: 1_000 } };
  const lines: string[] = [];
  const log = createLog('warn', { write: (line) => void lines.push(line) });
  const { informer, lists } = runInformer({ client, resource: widgets, namespace, pace, random: () => 0, log });
  await informer.synced;
  proxy.refuse();
  proxy.reset();
  await eventually(() => (lines.length === 1 ? true : undefined));
  const since = performance.now();
  while (performance.now() - since < 3_500)
    await expect(client.get(widgets, { namespace, name: 'none' })).rejects.toMatchObject({ reason: 'Unreachable' });
  proxy.accept();
  await create(namespace, 'a');
  await expect(client.get(widgets, { namespace, name: 'none' })).rejects.toMatchObject({ reason: 'NotFound' });
  await eventually(() => informer.get(`${namespace}/a`));
  expect(lists()).toBe(1);
});

test('what was under way when an outage ended waits no longer than after a first failure', async () => {
  await using space = await createNamespace(cluster);
  const { name: namespace } = space;
  await using proxy = await createHttpProxy(cluster);
  await using client = clientFor(cluster, { url: proxy.url });
  const pace = { ...quickPace, backoff: { first: 20, longest: 600_000, forgetAfter: 600_000 } };
  const { promise: until, resolve: release } = Promise.withResolvers<void>();
  let watches = 0;
  let away = true;
  proxy.fault = (url) => {
    if (!isWatch(url)) return away ? refusal(503, 'ServiceUnavailable') : undefined;
    watches += 1;
    // The ninth is under way when the server is back, and the tenth fails: by then a wait would take ten seconds.
    if (watches === 9) return { type: 'hold', until };
    return watches <= 10 ? refusal(500, 'InternalError') : undefined;
  };
  away = false;
  const { informer } = runInformer({ client, resource: widgets, namespace, pace, random: () => 1 });
  await eventually(() => (watches === 9 ? true : undefined), 30_000);
  away = true;
  const get = () => client.get(widgets, { namespace, name: 'none' });
  const since = performance.now();
  while (performance.now() - since < 3_500) await expect(get()).rejects.toMatchObject({ status: 503 });
  away = false;
  await expect(get()).rejects.toMatchObject({ reason: 'NotFound' });
  release();
  await create(namespace, 'a');
  await eventually(() => informer.get(`${namespace}/a`), 4_000);
});

test('a watch that an outage has left half open is begun again by the first answer', async () => {
  await using space = await createNamespace(cluster);
  const { name: namespace } = space;
  await using proxy = await createTcpProxy({ port: portOf(cluster) });
  await using client = clientFor(cluster, { url: `https://127.0.0.1:${proxy.port}` });
  const { informer, lists } = runInformer({ client, resource: widgets, namespace });
  await informer.synced;
  await create(namespace, 'a');
  await eventually(() => informer.get(`${namespace}/a`));
  proxy.silence();
  proxy.refuse();
  const since = performance.now();
  while (performance.now() - since < 3_500) {
    const signal = AbortSignal.timeout(500);
    await client.get(widgets, { namespace, name: 'none' }, signal).catch(() => undefined);
  }
  proxy.accept();
  await create(namespace, 'b');
  await eventually(async () => {
    await client.find(widgets, { namespace, name: 'none' }, AbortSignal.timeout(500));
    return informer.get(`${namespace}/b`);
  });
  expect(lists()).toBe(1);
});
