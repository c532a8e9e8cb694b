import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { watchStatuses } from './checked-statuses.ts';
import {
  type ApiServer,
  type AuditEntry,
  auditLog,
  kubeconfigOf,
  kubectl,
  startApiServer,
} from './kubernetes/api-server.ts';
import { operatorAccount, operatorToken } from './operator-account.ts';
import { type Program, type Runtime, startProgram } from './programs.ts';

const manifests = fileURLToPath(new URL('../../manifests', import.meta.url));

/** GuestStore in a cluster of the test's own: installed as the README says, its programs started by the test. */
export interface Installation extends AsyncDisposable {
  readonly server: ApiServer;
  /** All of it lies below. */
  readonly folder: string;
  readonly datastore: string;
  readonly imports: string;
  /** Of the operator's service account, as it was installed last. */
  readonly operatorToken: string;
  /** kubectl as an administrator: what it printed. */
  kubectl(args: readonly string[], input?: string): Promise<string>;
  /** Once more, after it was removed. */
  install(): Promise<void>;
  /** The operator as its Deployment would run it: as its service account, with the shipped roles and nothing more. */
  startOperator(how?: OperatorStart): Promise<Program>;
  /** The daemon of one host. */
  startDaemon(host: string, runtime?: Runtime): Promise<Program>;
  /** Folder of the sockets of a host. */
  runDir(host: string): string;
  /** Where a VM of a host is met. */
  socket(host: string, namespace: string, vm: string): string;
  /** Folder of `gstored.log` of a host. */
  logs(host: string): string;
  /** What the operator asked of the API server so far to change something, oldest first. */
  operatorWrites(): Promise<readonly AuditEntry[]>;
}

export interface OperatorStart extends Runtime {
  /** More of its flags. */
  readonly arguments?: readonly string[];
  /** Where it finds the API server; a proxy of the test's own, say. */
  readonly url?: string;
  /** Another token of its service account, by which the server's log tells it from others. */
  readonly token?: string;
}

export interface InstallationOptions {
  /** False: nobody looks for faults in each status that is stored, which would be felt in measurements. */
  readonly checked?: boolean;
  /** Another way to install than `kubectl apply -k manifests`; `folder` is for what it needs. */
  readonly install?: (server: ApiServer, folder: string) => Promise<unknown>;
}

/** Starts an API server of its own (about 5 s) and installs `manifests/` there. No program of ours runs yet. */
export async function createInstallation(options: InstallationOptions = {}): Promise<Installation> {
  const { checked = true, install: put = applyManifests } = options;
  await using stack = new AsyncDisposableStack();
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'gs-')));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const [datastore, imports] = [join(folder, 'datastore'), join(folder, 'imports')];
  for (const one of [datastore, imports]) await mkdir(one);
  const server = stack.use(await startApiServer({ controllers: true }));
  // Last in, first out: programs end before their server and folder go.
  const programs = stack.use(new AsyncDisposableStack());

  const admin = (args: readonly string[], input?: string) => kubectl(server, args, input);
  let token = '';
  const install = async () => {
    await put(server, folder);
    await admin(['wait', '--for=condition=Established', '--timeout=60s', 'crd', '--all']);
    token = await operatorToken(server);
  };
  await install();
  if (checked) stack.use(await watchStatuses(server));
  const operatorPlaces = ['--datastore', `default=${datastore}`, '--import-dir', imports];
  let operators = 0;

  const runDir = (host: string) => join(folder, host);
  const logs = (host: string) => join(folder, `${host}-log`);
  const start = async (args: readonly string[], runtime?: Runtime) => programs.use(await startProgram(args, runtime));
  const kept = stack.move();
  return {
    server,
    folder,
    datastore,
    imports,
    get operatorToken() {
      return token;
    },
    kubectl: admin,
    install,
    startOperator: async ({ url = server.url, token: own = token, arguments: more = [], ...runtime } = {}) => {
      const kubeconfig = join(folder, `operator${operators++ || ''}.kubeconfig`);
      await writeFile(kubeconfig, kubeconfigOf(url, server.caFile, own), { mode: 0o600 });
      return await start(['operator', ...operatorPlaces, '--kubeconfig', kubeconfig, ...more], runtime);
    },
    startDaemon: async (host, runtime) => {
      const places = ['--datastore', `default=${datastore}`, '--run-dir', runDir(host), '--log-dir', logs(host)];
      const daemon = await start(['daemon', '--host', host, ...places], runtime);
      await daemon.says('daemon ready');
      return daemon;
    },
    runDir,
    socket: (host, namespace, vm) => join(runDir(host), namespace, `${vm}.vsock_1024`),
    logs,
    operatorWrites: async () => {
      const user = `system:serviceaccount:${operatorAccount.namespace}:${operatorAccount.name}`;
      const reads = ['get', 'list', 'watch'];
      return (await auditLog(server)).filter((entry) => entry.user.username === user && !reads.includes(entry.verb));
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function applyManifests(server: ApiServer): Promise<string> {
  return kubectl(server, ['apply', '-k', manifests]);
}
