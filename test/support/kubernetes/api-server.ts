import { execFile } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from '../eventually.ts';
import { type LeashedProgram, startLeashed } from './leashed.ts';
import { programFile } from './programs.ts';

const run = promisify(execFile);

/** How to reach a running API server, as plain data: it can be handed to another process. */
export interface Cluster {
  readonly url: string;
  /** PEM. */
  readonly ca: string;
  readonly caFile: string;
  /** `admin` may do everything, `nobody` nothing but what a test's own RBAC grants the user `nobody`. */
  readonly tokens: { readonly admin: string; readonly nobody: string };
  /** For admin. */
  readonly kubeconfig: string;
  /** One JSON line a request, written before the request is answered. */
  readonly auditFile: string;
}

export interface ApiServerOptions {
  /** Also kube-controller-manager: owner references, namespace deletion, aggregated roles, service accounts are real. */
  readonly controllers?: boolean;
  /** More arguments for kube-apiserver. */
  readonly args?: readonly string[];
}

export interface ApiServer extends Cluster, AsyncDisposable {
  /** Kills kube-apiserver (not etcd); connections are reset, new ones refused. */
  kill(): Promise<void>;
  /** Starts it again on the same port and data; resolves when it is ready. */
  restart(): Promise<void>;
  /** Stops it in its tracks: connections stay open, and silent. */
  freeze(): void;
  thaw(): void;
  /** Makes etcd forget every version but the present one of each object; works while kube-apiserver is away too. */
  compact(): Promise<void>;
  /** Kills everything and removes its folder. */
  stop(): Promise<void>;
}

/** What controllers a namespaced operator meets in every cluster. */
const controllersNeeded = [
  'clusterrole-aggregation-controller',
  'garbage-collector-controller',
  'namespace-controller',
  'persistentvolumeclaim-protection-controller',
  'root-ca-certificate-publisher-controller',
  'serviceaccount-controller',
  'validatingadmissionpolicy-status-controller',
];

const auditPolicy = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [{ level: 'Metadata' }],
};

/** Starts etcd and kube-apiserver on free ports of 127.0.0.1 and a folder of their own; resolves when `/readyz` says ok. */
export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  try {
    return await startOnce(options);
  } catch (error) {
    // Another test took the port that was free a moment ago.
    if (!String(error).includes('address already in use')) throw error;
    return await startOnce(options);
  }
}

async function startOnce(options: ApiServerOptions): Promise<ApiServer> {
  const folder = await mkdtemp(join(tmpdir(), 'kube-'));
  const programs: LeashedProgram[] = [];
  // Ctrl+C ends a test run without teardown; the programs go by their leash, their folder goes here.
  const exiting = () => {
    for (const program of programs) program.killNow();
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  };
  process.once('exit', exiting);
  const stop = async () => {
    await Promise.all(programs.map((program) => program.kill()));
    await rm(folder, { recursive: true, force: true });
    process.removeListener('exit', exiting);
  };
  try {
    return await start(options, folder, programs, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(
  options: ApiServerOptions,
  folder: string,
  programs: LeashedProgram[],
  stop: () => Promise<void>,
): Promise<ApiServer> {
  const tokens = { admin: randomBytes(16).toString('hex'), nobody: randomBytes(16).toString('hex') };
  await writeInputs(folder, tokens);
  const etcd = await startEtcd(folder, programs);
  const port = await freePort();
  const url = `https://127.0.0.1:${port}`;
  const serve = async () => {
    const server = await startServer(folder, etcd, port, options.args ?? []);
    programs.push(server);
    await ready(server, url, join(folder, 'kube-apiserver.log'));
    return server;
  };
  let server = await serve();
  const kubeconfig = join(folder, 'kubeconfig');
  const caFile = join(folder, 'certificates', 'apiserver.crt');
  await writeFile(kubeconfig, kubeconfigOf(url, caFile, tokens.admin));
  const control = async () => {
    const program = await startControllers(folder, kubeconfig);
    programs.push(program);
    return program;
  };
  let controllers = options.controllers === true ? await control() : undefined;

  return {
    url,
    ca: await readFile(caFile, 'utf8'),
    caFile,
    tokens,
    kubeconfig,
    auditFile: join(folder, 'audit.log'),
    kill: () => server.kill(),
    freeze: () => server.freeze(),
    thaw: () => server.thaw(),
    compact: () => compact(etcd),
    async restart() {
      await server.kill();
      server = await serve();
      if (controllers === undefined) return;
      // After a long outage they would wait out a back-off of up to a minute.
      await controllers.kill();
      controllers = await control();
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function writeInputs(folder: string, tokens: Cluster['tokens']): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  await writeFile(join(folder, 'service-account.key'), privateKey, { mode: 0o600 });
  await writeFile(join(folder, 'service-account.pub'), publicKey);
  await writeFile(join(folder, 'audit-policy.json'), JSON.stringify(auditPolicy));
  await writeFile(
    join(folder, 'tokens'),
    `${tokens.admin},admin,admin,system:masters\n${tokens.nobody},nobody,nobody\n`,
  );
}

async function startEtcd(folder: string, programs: LeashedProgram[]): Promise<string> {
  const url = `http://127.0.0.1:${await freePort()}`;
  const args = [
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    '--listen-peer-urls=http://127.0.0.1:0',
    // The data is worth nothing after the run.
    '--unsafe-no-fsync',
    '--log-level=warn',
  ];
  programs.push(await startLeashed(await programFile('etcd'), args, join(folder, 'etcd.log')));
  return url;
}

async function compact(etcd: string): Promise<void> {
  const ask = async (path: string, body: object) => {
    const answer = await fetch(`${etcd}/v3/kv/${path}`, { method: 'POST', body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`etcd ${path}: ${await answer.text()}`);
    return (await answer.json()) as { readonly header: { readonly revision: string } };
  };
  const key = Buffer.from('/').toString('base64');
  const { header } = await ask('range', { key, count_only: true });
  await ask('compaction', { revision: header.revision, physical: true });
}

async function startServer(
  folder: string,
  etcd: string,
  port: number,
  more: readonly string[],
): Promise<LeashedProgram> {
  const args = [
    `--etcd-servers=${etcd}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    `--cert-dir=${join(folder, 'certificates')}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${join(folder, 'service-account.pub')}`,
    `--service-account-signing-key-file=${join(folder, 'service-account.key')}`,
    '--service-cluster-ip-range=10.96.0.0/16',
    // A loopback address may not stand in the endpoints of the service `kubernetes`.
    '--endpoint-reconciler-type=none',
    '--authorization-mode=RBAC',
    `--token-auth-file=${join(folder, 'tokens')}`,
    `--audit-policy-file=${join(folder, 'audit-policy.json')}`,
    `--audit-log-path=${join(folder, 'audit.log')}`,
    // MiB: all of it in one file, as it is read.
    '--audit-log-maxsize=16384',
    ...more,
  ];
  return startLeashed(await programFile('kube-apiserver'), args, join(folder, 'kube-apiserver.log'));
}

async function startControllers(folder: string, kubeconfig: string): Promise<LeashedProgram> {
  const args = [
    `--kubeconfig=${kubeconfig}`,
    `--controllers=${controllersNeeded.join(',')}`,
    `--root-ca-file=${join(folder, 'certificates', 'apiserver.crt')}`,
    '--leader-elect=false',
    '--secure-port=0',
  ];
  const file = await programFile('kube-controller-manager');
  return startLeashed(file, args, join(folder, 'kube-controller-manager.log'));
}

async function ready(server: LeashedProgram, url: string, output: string): Promise<void> {
  let gone = false;
  void server.exited.then(() => {
    gone = true;
  });
  const silent = Symbol('gone');
  // curl-like and independent of the client under test; -k because the certificate may not be written yet.
  const answer = await eventually(async () => (gone ? silent : await readyz(url)), 60_000);
  if (answer === silent)
    throw new Error(`kube-apiserver ended at once: ${(await readFile(output, 'utf8')).slice(-2000)}`);
}

async function readyz(url: string): Promise<true | undefined> {
  const { request } = await import('node:https');
  return new Promise((resolve, reject) => {
    const asked = request(`${url}/readyz`, { rejectUnauthorized: false, agent: false, timeout: 2000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200 ? true : undefined);
    });
    asked.on('timeout', () => asked.destroy(new Error('readyz timed out')));
    asked.on('error', reject);
    asked.end();
  });
}

/** A kubeconfig file with one user, known by a token. */
export function kubeconfigOf(url: string, caFile: string, token: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    // Plain http is a proxy of a test's own, and has no certificate.
    clusters: [
      {
        name: 'test',
        cluster: url.startsWith('http:')
          ? { server: url, 'insecure-skip-tls-verify': true }
          : { server: url, 'certificate-authority': caFile },
      },
    ],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    'current-context': 'test',
  });
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Runs kubectl as admin and returns its standard output. Throws with its standard error. */
export async function kubectl(cluster: Cluster, args: readonly string[], input?: string): Promise<string> {
  const running = run(await programFile('kubectl'), ['--kubeconfig', cluster.kubeconfig, ...args], {
    maxBuffer: 64 << 20,
  });
  running.child.stdin?.end(input ?? '');
  return (await running).stdout;
}

/** One request as the API server recorded it. */
export interface AuditEntry {
  readonly stage: 'ResponseStarted' | 'ResponseComplete' | 'Panic';
  readonly verb: string;
  readonly requestURI: string;
  readonly userAgent: string;
  readonly user: { readonly username: string; readonly extra?: Readonly<Record<string, readonly string[]>> };
  readonly objectRef?: {
    readonly apiGroup?: string;
    readonly resource: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code: number; readonly message?: string };
  /** RFC 3339 with microseconds. */
  readonly requestReceivedTimestamp: string;
}

/** Every request that was answered until now, oldest first. A watch appears when it starts and once more when it ends. */
export async function auditLog(cluster: Pick<Cluster, 'auditFile'>): Promise<readonly AuditEntry[]> {
  const lines = (await readFile(cluster.auditFile, 'utf8')).split('\n');
  // The last one is empty, or still being written.
  return lines.slice(0, -1).map((line) => JSON.parse(line) as AuditEntry);
}
