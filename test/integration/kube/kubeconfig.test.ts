import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { loadAccess } from '../../../src/kube/access.ts';
import { connect } from '../../../src/kube/connect.ts';
import { namespaces } from '../../../src/kube/resource.ts';
import { createLog } from '../../../src/lib/log.ts';
import { eventually } from '../../support/eventually.ts';
import { startHttpProxy } from '../../support/http-proxy.ts';
import type { Cluster } from '../../support/kubernetes/api-server.ts';
import { runInformer } from '../../support/kubernetes/informers.ts';
import { bareCluster } from '../../support/kubernetes/shared-cluster.ts';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await bareCluster();
});

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'kubeconfig-'));
  onTestFinished(() => rm(path, { recursive: true }));
  return path;
}

interface Parts {
  readonly user?: object;
  readonly cluster?: object;
  readonly context?: object;
  readonly current?: string;
}

/** File of a kubeconfig that is right but for what `parts` say. */
async function kubeconfig(parts: Parts = {}): Promise<string> {
  const file = join(await folder(), 'kubeconfig');
  const config = {
    clusters: [
      { name: 'c', cluster: { server: cluster.url, 'certificate-authority': cluster.caFile, ...parts.cluster } },
    ],
    users: [{ name: 'u', user: parts.user ?? { token: cluster.tokens.admin } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', ...parts.context } }],
    'current-context': parts.current ?? 'x',
  };
  await writeFile(file, JSON.stringify(config));
  return file;
}

async function textFile(text: string): Promise<string> {
  const file = join(await folder(), 'kubeconfig');
  await writeFile(file, text);
  return file;
}

const plugin = (script: string) => ({
  exec: { apiVersion: 'client.authentication.k8s.io/v1', command: '/bin/sh', args: ['-c', script] },
});

test.each([
  {
    what: 'is missing',
    file: async () => '/no/such/file',
    says: /^kubeconfig \/no\/such\/file cannot be read: ENOENT; give --kubeconfig/,
  },
  { what: 'is no YAML', file: () => textFile('clusters: ["'), says: /^kubeconfig .* is no YAML: .+/ },
  { what: 'is something else', file: () => textFile('hello'), says: /is no kubeconfig: it holds no fields/ },
  { what: 'lacks a name', file: () => textFile('clusters: [{cluster: {}}]'), says: /clusters\[0\].name is missing/ },
  {
    what: 'names a context that is not there',
    file: () => kubeconfig({ current: 'y' }),
    says: /has no context "y"; it has: x$/,
  },
  { what: 'names no context', file: () => kubeconfig({ current: '' }), says: /has no current-context; it has: x$/ },
  {
    what: 'names a cluster that is not there',
    file: () => kubeconfig({ context: { cluster: 'other' } }),
    says: /has no cluster "other", which context "x" names$/,
  },
  {
    what: 'names a user that is not there',
    file: () => kubeconfig({ context: { user: 'other' } }),
    says: /has no user "other", which context "x" names$/,
  },
  {
    what: 'wants a SOCKS proxy',
    file: () => kubeconfig({ cluster: { 'proxy-url': 'socks5://127.0.0.1:1080' } }),
    says: /proxy-url socks5:\/\/127.0.0.1:1080 of cluster "c": SOCKS is not supported; name an HTTP proxy$/,
  },
])('a kubeconfig that $what is the user’s to mend', async ({ file, says }) => {
  await expect(loadAccess(await file())).rejects.toMatchObject({
    code: 'InvalidArgument',
    message: expect.stringMatching(says),
  });
});

test.each([
  {
    what: 'is not there',
    user: { exec: { command: 'no-such-plugin' } },
    says: 'exec plugin "no-such-plugin": no such command; install it',
  },
  {
    what: 'fails',
    user: plugin('echo not logged in >&2; exit 3'),
    says: 'exec plugin "/bin/sh": it failed: not logged in',
  },
  { what: 'fails silently', user: plugin('exit 3'), says: 'it failed: it printed no reason' },
  { what: 'prints garbage', user: plugin('echo hello'), says: 'what it printed is no ExecCredential' },
  { what: 'prints half of it', user: plugin('echo "{}"'), says: 'what it printed is no ExecCredential' },
])('an exec plugin that $what is named with the way out, and asked again next time', async ({ user, says }) => {
  const { client } = await connect({ kubeconfig: await kubeconfig({ user }), userAgent: 'test' });
  await using _ = client;
  for (let tries = 0; tries < 2; tries += 1)
    await expect(client.get(namespaces, { name: 'default' })).rejects.toMatchObject({
      code: 'ApiUnavailable',
      message: expect.stringMatching(new RegExp(`^user "u" of /.*/kubeconfig, .*${says.replaceAll('.', '\\.')}`)),
    });
});

test('while its plugin fails an operator says so and waits, and goes on once it works', async () => {
  const home = await folder();
  const credential = {
    apiVersion: 'client.authentication.k8s.io/v1',
    kind: 'ExecCredential',
    status: { token: cluster.tokens.admin },
  };
  const user = plugin(`cat ${home}/credential || { echo not logged in >&2; exit 1; }`);
  const { client } = await connect({ kubeconfig: await kubeconfig({ user }), userAgent: 'test' });
  await using _ = client;
  const lines: string[] = [];
  const log = createLog('warn', { write: (line) => void lines.push(line) });
  const { informer } = runInformer({ client, resource: namespaces, log });
  await eventually(() => (lines.length > 2 ? true : undefined));
  expect(lines.join('')).toContain('not logged in');
  await writeFile(join(home, 'credential'), JSON.stringify(credential));
  await informer.synced;
});

test('the API server is reached through the HTTP proxy that a kubeconfig names', async () => {
  await using proxy = await startHttpProxy();
  const file = await kubeconfig({ cluster: { 'proxy-url': proxy.url } });
  const { client } = await connect({ kubeconfig: file, userAgent: 'test' });
  await using _ = client;
  const { informer } = runInformer({ client, resource: namespaces });
  await informer.synced;
  expect(proxy.requests).toContain(`CONNECT ${new URL(cluster.url).host}`);
});

test.each([
  {
    command: ['operator', '--datastore', '/nowhere'],
    file: async () => '/no/such/file',
    code: 2,
    says: 'cannot be read: ENOENT',
  },
  { command: ['get', 'items'], file: () => kubeconfig({ current: 'y' }), code: 2, says: 'has no context "y"' },
  { command: ['get', 'items'], file: () => kubeconfig({ user: plugin('exit 3') }), code: 1, says: 'it failed' },
])('$command.0 exits with $code and says "$says"', async ({ command, file, code, says }) => {
  const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
  const args = [main, ...command, '--kubeconfig', await file()];
  const ended = await new Promise<{ readonly code: unknown; readonly stderr: string }>((resolve) =>
    execFile(process.execPath, args, (error, _, stderr) => resolve({ code: error?.code ?? 0, stderr })),
  );
  expect(ended).toEqual({ code, stderr: expect.stringContaining(says) });
  expect(ended.stderr.trim().split('\n')).toHaveLength(1);
});
