import { expect, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { auditLog, kubectl } from '../../support/kubernetes/api-server.ts';
import { bareCluster, createNamespace } from '../../support/kubernetes/shared-cluster.ts';

test('a namespace goes with all that is in it, and the audit log names who asked', async () => {
  const cluster = await bareCluster();
  const name = await (async () => {
    await using namespace = await createNamespace(cluster);
    await kubectl(cluster, ['-n', namespace.name, 'create', 'configmap', 'kept', '--from-literal=a=b']);
    return namespace.name;
  })();
  await eventually(async () => {
    const left = await kubectl(cluster, ['get', 'namespace', name, '--ignore-not-found', '-o', 'name']);
    return left === '' ? true : undefined;
  }, 30_000);
  const created = (await auditLog(cluster)).filter(
    ({ verb, objectRef }) => verb === 'create' && objectRef?.namespace === name && objectRef.name === 'kept',
  );
  expect(created.map(({ user, responseStatus }) => [user.username, responseStatus?.code])).toEqual([['admin', 201]]);
});
