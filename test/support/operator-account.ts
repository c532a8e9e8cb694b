import { fileURLToPath } from 'node:url';
import { eventually } from './eventually.ts';
import { type Cluster, kubectl } from './kubernetes/api-server.ts';

export const operatorAccount = { namespace: 'gueststore-system', name: 'gueststore-operator' };

const base = fileURLToPath(new URL('../../manifests/base', import.meta.url));

/** Brings the shipped namespace and roles to a cluster, without the kinds and the operator. */
export async function grantOperator(cluster: Cluster): Promise<void> {
  await kubectl(cluster, ['apply', '-f', `${base}/namespace.yaml`, '-f', `${base}/roles.yaml`]);
}

/** A token of the operator's service account, whose roles are there. */
export async function operatorToken(cluster: Cluster): Promise<string> {
  const { namespace, name } = operatorAccount;
  const asked = ['create', 'token', name, '--namespace', namespace, '--duration=24h'];
  return (await eventually(() => kubectl(cluster, asked))).trim();
}
