import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { configMaps, leases } from '../../../src/kube/resource.ts';
import { eventually } from '../../support/eventually.ts';
import { kubeconfigOf } from '../../support/kubernetes/api-server.ts';
import { clientFor } from '../../support/kubernetes/clients.ts';
import { bareCluster, createNamespace } from '../../support/kubernetes/shared-cluster.ts';
import { installWidgets, widgets } from '../../support/kubernetes/widgets.ts';

const example = fileURLToPath(new URL('../../../src/kube/example.ts', import.meta.url));

test('the operator of the README follows its widgets, mends what others break, and ends in order', async () => {
  const cluster = await bareCluster();
  await installWidgets(cluster);
  await using space = await createNamespace(cluster);
  const { name: namespace } = space;
  await using admin = clientFor(cluster);
  const folder = await mkdtemp(join(tmpdir(), 'example-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const kubeconfig = join(folder, 'kubeconfig');
  const config = JSON.parse(kubeconfigOf(cluster.url, cluster.caFile, cluster.tokens.admin));
  config.contexts[0].context.namespace = namespace;
  await writeFile(kubeconfig, JSON.stringify(config));

  const program = spawn(process.execPath, [example, kubeconfig], { stdio: ['ignore', 'ignore', 'inherit'] });
  onTestFinished(() => void program.kill('SIGKILL'));
  const exited = once(program, 'exit');
  const name = { namespace, name: 'one' };
  const partIs = (part: string) =>
    eventually(async () => ((await admin.get(configMaps, name)).data?.part === part ? true : undefined), 30_000);

  await admin.create(widgets, { metadata: name, spec: { part: 'wheel' } });
  await partIs('wheel');
  await admin.patch(widgets, name, { type: 'merge', value: { spec: { part: 'door' } } });
  await partIs('door');
  await admin.delete(configMaps, name);
  await partIs('door');
  await admin.patch(configMaps, name, { type: 'merge', value: { data: { part: 'stolen' } } });
  await partIs('door');
  const owner = (await admin.get(configMaps, name)).metadata.ownerReferences?.[0];
  expect(owner).toMatchObject({ kind: 'Widget', name: 'one', controller: true });

  program.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
  const lease = await admin.get(leases, { namespace, name: 'widget-operator' });
  expect(lease.spec?.holderIdentity).toBe('');
});
