import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { inject } from 'vitest';
import { type Cluster, kubectl } from './api-server.ts';

/** The run's API server, with our kinds installed; the first call of a run starts it (about 5 s). Do not break it. */
export function sharedCluster(): Promise<Cluster> {
  return clusterFrom('/with-our-kinds');
}

/** The same server, for tests that know nothing of our kinds. */
export function bareCluster(): Promise<Cluster> {
  return clusterFrom('/');
}

async function clusterFrom(path: string): Promise<Cluster> {
  const { status, body } = await ask(inject('clusterSocket'), path);
  if (status !== 200) throw new Error(`the API server of this run did not start: ${body}`);
  return JSON.parse(body) as Cluster;
}

export interface TestNamespace extends AsyncDisposable {
  readonly name: string;
}

/** A namespace of the test's own; disposing asks for its deletion and does not wait for it. */
export async function createNamespace(cluster: Cluster, prefix = 'test'): Promise<TestNamespace> {
  const name = `${prefix}-${randomBytes(4).toString('hex')}`;
  await kubectl(cluster, ['create', 'namespace', name]);
  return {
    name,
    async [Symbol.asyncDispose]() {
      await kubectl(cluster, ['delete', 'namespace', name, '--wait=false']);
    },
  };
}

function ask(
  socketPath: string,
  path: string,
): Promise<{ readonly status: number | undefined; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode, body }));
    });
    asked.on('error', reject);
    asked.end();
  });
}
