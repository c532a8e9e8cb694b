import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';
import { type ApiServer, type Cluster, kubectl, startApiServer } from './api-server.ts';
import { findPrograms } from './programs.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Unix socket that gives the run's cluster to whoever connects, and starts it for the first. */
    clusterSocket: string;
  }
}

const crds = fileURLToPath(new URL('../../../crds', import.meta.url));
const shared = 'GUESTSTORE_TEST_CLUSTER_SOCKET';

/** One API server for the whole run, started when the first test asks for it: a run that needs none pays nothing. */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  // Another project of the same run has set it up already, and will take it down.
  const other = process.env[shared];
  if (other !== undefined) {
    project.provide('clusterSocket', other);
    return undefined;
  }
  const socket = join(tmpdir(), `cluster-${randomUUID()}.sock`);
  process.env[shared] = socket;
  project.provide('clusterSocket', socket);

  let starting: Promise<ApiServer> | undefined;
  let installing: Promise<void> | undefined;
  const door = createServer((request, response) => {
    starting ??= startSharedServer();
    const serving = starting;
    const installed = () => {
      installing ??= serving.then(applyCrds);
      return installing;
    };
    void (request.url === '/with-our-kinds' ? installed() : serving).then(
      async () => answer(response, 200, clusterOf(await serving)),
      (error: unknown) => answer(response, 500, { error: String(error) }),
    );
  });
  await new Promise<void>((resolve) => door.listen(socket, resolve));
  // The door alone must not keep the run alive.
  door.unref();

  const removeSocket = () => rmSync(socket, { force: true });
  process.once('exit', removeSocket);
  return async () => {
    delete process.env[shared];
    door.close();
    door.closeAllConnections();
    await starting?.then((server) => server.stop()).catch(() => undefined);
    removeSocket();
    process.removeListener('exit', removeSocket);
  };
}

async function startSharedServer(): Promise<ApiServer> {
  const { found } = await findPrograms();
  // Folders of envtest have no kube-controller-manager: then deleted namespaces stay, and only tests of that fail.
  return startApiServer({ controllers: found.has('kube-controller-manager') });
}

async function applyCrds(cluster: Cluster): Promise<void> {
  const files = await Array.fromAsync(glob('*.yaml', { cwd: crds }));
  if (files.length === 0) return;
  await kubectl(cluster, ['apply', '--server-side', '--filename', crds]);
  await kubectl(cluster, ['wait', '--for=condition=Established', '--timeout=60s', 'crd', '--all']);
}

/** Only the plain data of a server, for another process. */
function clusterOf({ url, ca, caFile, tokens, kubeconfig, auditFile }: Cluster): Cluster {
  return { url, ca, caFile, tokens, kubeconfig, auditFile };
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
  response.end(JSON.stringify(body));
}
