import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isExpired } from '../../../src/kube/api-error.ts';
import type { Client } from '../../../src/kube/client.ts';
import { connect } from '../../../src/kube/connect.ts';
import { createLog } from '../../../src/lib/log.ts';
import { type Authority, createAuthority } from '../../support/certificates.ts';
import { eventually } from '../../support/eventually.ts';
import { type ApiServer, kubectl, startApiServer } from '../../support/kubernetes/api-server.ts';
import { clientFor, portOf } from '../../support/kubernetes/clients.ts';
import { createHttpProxy } from '../../support/kubernetes/http-proxy.ts';
import { runInformer } from '../../support/kubernetes/informers.ts';
import { createTcpProxy } from '../../support/kubernetes/tcp-proxy.ts';
import { installWidgets, widgets } from '../../support/kubernetes/widgets.ts';

// A server of this file's own, since all of this would be felt by others. The tests go in this order: the last one leaves it
// with another certificate.

const namespace = 'default';
let server: ApiServer;
let admin: Client;
let folder: string;
let authority: Authority;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'server-faults-'));
  authority = await createAuthority(folder);
  server = await startApiServer({ args: [`--client-ca-file=${authority.certFile}`] });
  await installWidgets(server);
  admin = clientFor(server);
});

afterAll(async () => {
  await admin?.close();
  await server?.stop();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

const create = (name: string) => admin.create(widgets, { metadata: { namespace, name } });

async function keys(): Promise<readonly string[]> {
  return (await admin.list(widgets)).items.map(({ metadata }) => `${namespace}/${metadata.name}`);
}

function recordedLog() {
  const lines: string[] = [];
  return { lines, log: createLog('warn', { write: (line) => void lines.push(line) }) };
}

/** A kubeconfig whose CA and token are files, as a pod has them. */
async function filesFor(name: string, url: string, token: string) {
  const home = join(folder, name);
  await mkdir(home);
  const [ca, tokenFile, kubeconfig] = [join(home, 'ca.crt'), join(home, 'token'), join(home, 'kubeconfig')];
  await copyFile(server.caFile, ca);
  await writeFile(tokenFile, token);
  const config = {
    clusters: [{ name: 'c', cluster: { server: url, 'certificate-authority': 'ca.crt' } }],
    users: [{ name: 'u', user: { tokenFile: 'token' } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  };
  await writeFile(kubeconfig, JSON.stringify(config));
  return { ca, tokenFile, kubeconfig };
}

test('a storm of compactions, also between two pages, and resets leave the copy as the server has it', async () => {
  await using tcp = await createTcpProxy({ port: portOf(server) });
  await using http = await createHttpProxy(server);
  await using client = clientFor(server, { url: `https://127.0.0.1:${tcp.port}` });
  await using paging = clientFor(server, { url: http.url });
  for (const name of ['a', 'b', 'c', 'd', 'e']) await create(name);
  // Each page but the first of a list comes after etcd has forgotten the version of the first.
  http.fault = (url) =>
    url.searchParams.has('continue') ? { type: 'hold', until: create(`p${paged++}`).then(server.compact) } : undefined;
  let paged = 0;
  const steady = runInformer({ client, resource: widgets });
  await steady.informer.synced;
  for (let round = 0; round < 5; round += 1) {
    await create(`s${round}`);
    await server.compact();
    tcp.reset();
    const { informer, stop } = runInformer({ client: paging, resource: widgets });
    await informer.synced;
    await eventually(async () => expect([...informer.keys()].toSorted()).toEqual(await keys()) ?? true);
    await stop();
  }
  await eventually(async () => expect([...steady.informer.keys()].toSorted()).toEqual(await keys()) ?? true);
  expect(paged).toBeGreaterThan(4);
});

test('a server that is killed, and forgets its history before it comes back, costs nothing but time', async () => {
  await using client = clientFor(server);
  const { lines, log } = recordedLog();
  const { informer, told } = runInformer({ client, resource: widgets, log });
  await informer.synced;
  const known = [...informer.keys()];
  const before = told.length;
  // Other kinds move the server on, so that the version of our last widget is an old one.
  await kubectl(server, ['create', 'configmap', 'moves-on']);
  await server.kill();
  await expect(create('z')).rejects.toMatchObject({ code: 'ApiUnavailable' });
  expect([...informer.keys()]).toEqual(known);
  await server.compact();
  await server.restart();
  await client.delete(widgets, { namespace, name: 'a' });
  await create('z');
  await eventually(() => informer.get(`${namespace}/z`));
  expect(told.slice(before).filter((what) => !what.startsWith('updated'))).toEqual([
    expect.stringMatching(/^deleted a/),
    'added z',
  ]);
  expect(lines.join('')).toContain('"Unreachable"');

  // A version from before is no longer kept, which the server says within the watch.
  const { signal } = new AbortController();
  const ancient = client.watch(widgets, { resourceVersion: '1', timeoutSeconds: 10, signal });
  const error = await Array.fromAsync(ancient).catch((thrown: unknown) => thrown);
  expect(isExpired(error)).toBe(true);
});

test('a token that is rotated is taken up as soon as the server refuses the old one', async () => {
  const tokenBoundTo = async (secret: string) => {
    await kubectl(server, ['create', 'secret', 'generic', secret]);
    const bound = ['--bound-object-kind=Secret', `--bound-object-name=${secret}`];
    return (await kubectl(server, ['create', 'token', 'rotated', ...bound])).trim();
  };
  await kubectl(server, ['create', 'serviceaccount', 'rotated']);
  const binding = ['create', 'clusterrolebinding', 'rotated', '--clusterrole=cluster-admin'];
  await kubectl(server, [...binding, `--serviceaccount=${namespace}:rotated`]);
  const old = await tokenBoundTo('first');
  await using tcp = await createTcpProxy({ port: portOf(server) });
  const { tokenFile, kubeconfig } = await filesFor('token', `https://127.0.0.1:${tcp.port}`, old);
  const { client } = await connect({ kubeconfig, userAgent: 'test' });
  await using _ = client;
  const { informer } = runInformer({ client, resource: widgets });
  await informer.synced;

  await writeFile(tokenFile, await tokenBoundTo('second'));
  await kubectl(server, ['delete', 'secret', 'first']);
  await using refused = clientFor(server, { token: old });
  // The server remembers for ten seconds that it was good.
  await eventually(
    () =>
      refused.list(widgets).then(
        () => undefined,
        ({ status }) => status === 401 || undefined,
      ),
    40_000,
  );
  tcp.reset();
  await create('token');
  await eventually(() => informer.get(`${namespace}/token`));
  await client.list(widgets);
});

test('a client certificate whose time is over is told from other refusals', async () => {
  const data = (pem: string) => Buffer.from(pem).toString('base64');
  const listWith = async (expired: boolean) => {
    const { cert, key } = await authority.issue({ names: 'DNS:operator', expired });
    const kubeconfig = join(folder, `expired-${expired}`);
    const config = {
      clusters: [{ name: 'c', cluster: { server: server.url, 'certificate-authority': server.caFile } }],
      users: [{ name: 'u', user: { 'client-certificate-data': data(cert), 'client-key-data': data(key) } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    };
    await writeFile(kubeconfig, JSON.stringify(config));
    const { client } = await connect({ kubeconfig, userAgent: 'test' });
    await using _ = client;
    await client.list(widgets);
  };
  // Known, and without any right.
  await expect(listWith(false)).rejects.toMatchObject({ status: 403 });
  const message = /does not accept user "u" of .*, whose client certificate ran out on .*2020.*: get a new one$/;
  await expect(listWith(true)).rejects.toMatchObject({ status: 401, message: expect.stringMatching(message) });
});

test('a CA that is rotated is believed as soon as its file is replaced, and until then the log says what is wrong', async () => {
  await using tcp = await createTcpProxy({ port: portOf(server) });
  const { ca, kubeconfig } = await filesFor('ca', `https://127.0.0.1:${tcp.port}`, server.tokens.admin);
  const { client } = await connect({ kubeconfig, userAgent: 'test' });
  await using _ = client;
  const { lines, log } = recordedLog();
  const { informer } = runInformer({ client, resource: widgets, log });
  await informer.synced;

  const { cert, key } = await authority.issue({ names: 'IP:127.0.0.1' });
  await writeFile(join(dirname(server.caFile), 'apiserver.crt'), cert);
  await writeFile(join(dirname(server.caFile), 'apiserver.key'), key);
  await eventually(async () => ((await issuerOf(portOf(server))) === 'Test CA' ? true : undefined), 60_000);
  tcp.reset();
  await eventually(() => lines.find((line) => line.includes('"Untrusted"')));
  expect(lines.join('')).toMatch(
    /no trust in https:\/\/127.0.0.1:\d+: .*; the CA that counts is that of the cluster of user \\"u\\" of .*kubeconfig/,
  );
  await copyFile(authority.certFile, ca);
  await using after = (await connect({ kubeconfig, userAgent: 'test' })).client;
  await after.create(widgets, { metadata: { namespace, name: 'ca' } });
  await eventually(() => informer.get(`${namespace}/ca`));
});

/** Common name of who signed the certificate that a new connection is shown. */
async function issuerOf(port: number): Promise<string | undefined> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
  try {
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    const { CN } = socket.getPeerCertificate().issuer;
    return Array.isArray(CN) ? CN[0] : CN;
  } finally {
    socket.destroy();
  }
}
