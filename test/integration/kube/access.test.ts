import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { createAccess } from '../../../src/kube/access.ts';
import { createClient } from '../../../src/kube/client.ts';
import { connect } from '../../../src/kube/connect.ts';
import { namespaces } from '../../../src/kube/resource.ts';
import { createTransport } from '../../../src/kube/transport.ts';
import type { Cluster } from '../../support/kubernetes/api-server.ts';
import { bareCluster } from '../../support/kubernetes/shared-cluster.ts';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await bareCluster();
});

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'access-'));
  onTestFinished(() => rm(path, { recursive: true }));
  return path;
}

function kubeconfig(user: object): string {
  return JSON.stringify({
    clusters: [{ name: 'c', cluster: { server: cluster.url, 'certificate-authority': cluster.caFile } }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', namespace: 'home' } }],
    'current-context': 'x',
  });
}

test('a kubeconfig file leads to its cluster', async () => {
  const { client, namespace } = await connect({ kubeconfig: cluster.kubeconfig, userAgent: 'test' });
  await using _ = client;
  expect(namespace).toBeUndefined();
  expect(await client.get(namespaces, { name: 'default' })).toMatchObject({ kind: 'Namespace' });
});

test('an exec plugin is asked once, and again when the server refuses what it gave', async () => {
  const home = await folder();
  const token = join(home, 'token');
  const asked = join(home, 'asked');
  await writeFile(token, 'stale');
  await writeFile(asked, '');
  const script = `echo >> ${asked}
    echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"'$(cat ${token})'"}}'`;
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: '/bin/sh', args: ['-c', script] };
  const file = join(home, 'kubeconfig');
  await writeFile(file, kubeconfig({ exec }));
  const { client, namespace } = await connect({ kubeconfig: file, userAgent: 'test' });
  await using _ = client;
  expect(namespace).toBe('home');
  await expect(client.get(namespaces, { name: 'default' })).rejects.toMatchObject({ status: 401 });
  await writeFile(token, cluster.tokens.admin);
  for (let n = 0; n < 3; n += 1) await client.get(namespaces, { name: 'default' });
  const { length } = (await import('node:fs')).readFileSync(asked, 'utf8');
  // Stale at first, stale once more on the first 401, and the good one on the second.
  expect(length).toBe(3);
});

test('a rotated service account token is picked up after a 401', async () => {
  const home = await folder();
  const tokenFile = join(home, 'token');
  await writeFile(tokenFile, cluster.tokens.admin);
  const load = () => {
    const config = new KubeConfig();
    config.loadFromClusterAndUser(
      { name: 'c', server: cluster.url, caFile: cluster.caFile, skipTLSVerify: false },
      { name: 'u', authProvider: { name: 'tokenFile', config: { tokenFile } } },
    );
    return config;
  };
  await using client = createClient(createTransport({ access: createAccess(load), userAgent: 'test' }));
  await client.get(namespaces, { name: 'default' });
  await writeFile(tokenFile, cluster.tokens.nobody);
  // The old one is good still, so nobody has looked at the file.
  await client.get(namespaces, { name: 'default' });
  await writeFile(tokenFile, 'wrong');
  const fresh = createClient(createTransport({ access: createAccess(load), userAgent: 'test' }));
  await expect(fresh.get(namespaces, { name: 'default' })).rejects.toMatchObject({ status: 401 });
  await writeFile(tokenFile, cluster.tokens.admin);
  await fresh.get(namespaces, { name: 'default' });
  await fresh.close();
});
