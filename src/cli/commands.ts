import { GuestStoreError } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { type Flag, readNamedFolders, type Values } from './flags.ts';
import type { ExitCode, Io } from './io.ts';
import { readPlace } from './place.ts';

export interface Command {
  readonly summary: string;
  /** What stands behind the name, without flags. */
  readonly positionals: readonly string[];
  readonly flags: readonly Flag[];
  /** Loads what the command needs, and nothing else. */
  run(values: Values, context: Context): Promise<ExitCode>;
}

export interface Context {
  readonly io: Io;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  /** Made when it is first asked for: short commands load no logger. */
  log(level: string): Promise<Log>;
}

const datastore: Flag = {
  name: 'datastore',
  value: '[NAME=]DIR',
  many: true,
  required: true,
  help: 'folder of a datastore, and the name by which repositories call it ("default" if left out)',
};
const runDir: Flag = {
  name: 'run-dir',
  value: 'DIR',
  required: true,
  help: 'folder of the sockets at which VMs are met',
};
const host: Flag = { name: 'host', value: 'NAME', help: 'name of this host in GuestVM.spec.host' };
const importDir: Flag = {
  name: 'import-dir',
  value: '[NAMESPACE=]DIR',
  many: true,
  help: 'folder from which items with a file source are taken; without a namespace, for all of them',
};
const socketRoot: Flag = {
  name: 'socket-root',
  value: 'NAMESPACE=DIR',
  many: true,
  help: 'folder below which GuestVMs of a namespace may name sockets by absolute paths',
};
const logDir: Flag = {
  name: 'log-dir',
  value: 'DIR',
  help: 'folder of gstored.log and the vmware.log of each VM (default: RUN_DIR/log)',
};
const metrics: Flag = {
  name: 'metrics',
  value: 'ADDR',
  help: 'serve /metrics, /healthz and /readyz at [HOST]:PORT; no port opens without it',
};
const retireHosts: Flag = {
  name: 'retire-hosts',
  value: 'DURATION',
  default: '24h',
  help: 'silence after which a host that no GuestVM names is forgotten, and its GuestStoreHost removed',
};
const stuckAfter: Flag = {
  name: 'stuck-after',
  value: 'DURATION',
  default: '5m',
  help: '/healthz fails when work waits and none of it was done for so long',
};
const kubeconfig: Flag = {
  name: 'kubeconfig',
  value: 'FILE',
  help: 'how to reach the cluster (default: as kubectl finds it, then the service account of the pod)',
};
const leaseDuration: Flag = {
  name: 'lease-duration',
  value: 'DURATION',
  default: '15s',
  help: 'how long a leader that is silent keeps the Lease; it gives up after two thirds of that',
};
const logLevel: Flag = { name: 'log-level', value: 'LEVEL', default: 'info', help: 'debug, info, warn or error' };

/** Part of the contract, and refused rather than ignored until what they ask for is there. */
const later = {
  cacheDir: {
    name: 'cache-dir',
    value: 'DIR',
    help: 'a cache on this host in front of the datastore (not supported yet)',
  },
  cacheSize: { name: 'cache-size', value: 'SIZE', help: 'bound of that cache, such as 4Gi (not supported yet)' },
  trust: { name: 'trust', value: 'FILE', help: 'serve only revisions signed by these keys (not supported yet)' },
  signingKey: { name: 'signing-key', value: 'FILE', help: 'sign each revision with this key (not supported yet)' },
} as const satisfies Readonly<Record<string, Flag>>;

const transport: Flag = {
  name: 'transport',
  value: 'NAME',
  default: 'auto',
  help: 'auto, node or fast (auto takes node; fast is not supported yet)',
};

/** Where to look; without one, the cluster. */
const place: readonly Flag[] = [
  { name: 'manifests', value: 'DIR', help: 'look at a folder of manifests' },
  { name: 'datastore', value: 'DIR', help: 'look at a datastore' },
  kubeconfig,
];

/** Which objects of the cluster, as for `get`. */
const targets: readonly Flag[] = [
  { name: 'all', help: 'all objects of the kind' },
  {
    name: 'namespace',
    short: 'n',
    value: 'NAMESPACE',
    help: "where they are (default: the kubeconfig's, then default)",
  },
  { name: 'all-namespaces', short: 'A', help: 'with --all: in every namespace' },
  kubeconfig,
];
const waiting: readonly Flag[] = [
  { name: 'wait', help: 'wait for the outcome, and exit with 1 unless all are Ready (as without --no-wait)' },
  { name: 'no-wait', help: 'do not wait' },
  { name: 'timeout', value: 'DURATION', default: '5m', help: 'how long to wait, such as 90s' },
];

export const commands: Readonly<Record<string, Command>> = {
  up: {
    summary: 'operator and daemon in one process, from a folder of manifests, without a cluster',
    positionals: [],
    flags: [
      { name: 'manifests', value: 'DIR', required: true, help: 'folder of the resources, as YAML or JSON' },
      datastore,
      runDir,
      host,
      importDir,
      socketRoot,
      logDir,
      metrics,
      stuckAfter,
      logLevel,
      { name: 'once', help: 'apply, print status and end; exit 0 only if everything is Ready' },
    ],
    run: async (values, { io, environment, version }) =>
      (await import('./up.ts')).runUp(
        {
          manifests: values.text('manifests'),
          datastores: readNamedFolders('datastore', values.list('datastore')),
          runDir: values.text('run-dir'),
          host: values.optional('host'),
          importFolders: readImportFolders(values.list('import-dir')),
          socketRoots: readRoots(values.list('socket-root')),
          logDir: values.optional('log-dir'),
          logLevel: values.text('log-level'),
          metrics: values.optional('metrics'),
          stuckAfter: readStuckAfter(values),
          once: values.on('once'),
          version,
          environment,
        },
        io,
      ),
  },
  operator: {
    summary: 'publishes the resources of a Kubernetes cluster into the datastore, and says in status what is true',
    positionals: [],
    flags: [
      datastore,
      kubeconfig,
      importDir,
      retireHosts,
      later.signingKey,
      leaseDuration,
      metrics,
      stuckAfter,
      logLevel,
    ],
    run: async (values, { environment, io, log, version }) => {
      refuseLater(values, [later.signingKey]);
      const { runOperator } = await import('./operator.ts');
      const options = {
        datastores: readNamedFolders('datastore', values.list('datastore')),
        kubeconfig: values.optional('kubeconfig'),
        importFolders: readImportFolders(values.list('import-dir')),
        retireHostsAfter: values.duration('retire-hosts'),
        metrics: values.optional('metrics'),
        stuckAfter: readStuckAfter(values),
        leaseDuration: readLeaseDuration(values.duration('lease-duration')),
        version,
        environment,
      };
      return await runOperator(options, await log(values.text('log-level')), io.signal);
    },
  },
  daemon: {
    summary: 'gstored: serves the VMs of one host from the datastore',
    positionals: [],
    flags: [
      datastore,
      { ...host, required: true },
      runDir,
      socketRoot,
      transport,
      later.cacheDir,
      later.cacheSize,
      later.trust,
      logDir,
      metrics,
      stuckAfter,
      logLevel,
    ],
    run: async (values, { io, log, version }) => {
      refuseLater(values, [later.cacheDir, later.cacheSize, later.trust]);
      checkTransport(values.text('transport'));
      const { runDaemon } = await import('./daemon.ts');
      const options = {
        datastores: readNamedFolders('datastore', values.list('datastore')),
        host: values.text('host'),
        runDir: values.text('run-dir'),
        socketRoots: readRoots(values.list('socket-root')),
        logDir: values.optional('log-dir'),
        metrics: values.optional('metrics'),
        limits: { stuckAfter: readStuckAfter(values) },
        version,
      };
      await runDaemon(options, await log(values.text('log-level')), io.signal);
      return 0;
    },
  },
  plugin: {
    summary: 'in a guest: takes requests of GuestStore clients and passes them to the host',
    positionals: [],
    flags: [
      { name: 'channel', value: 'CHANNEL', required: true, help: 'the way to the host: unix:PATH' },
      {
        name: 'pipe',
        value: 'PATH',
        default: '/var/run/vmware/guestStorePipe',
        help: 'socket at which clients are met',
      },
      { name: 'admin-only', help: 'let only administrators of the guest connect' },
      { name: 'max-connections', value: 'N', default: '8', help: 'clients at once, the one being served included' },
      {
        name: 'client-recv-timeout',
        value: 'SECONDS',
        default: '3',
        help: 'how long a client may take for its request',
      },
      {
        name: 'conn-timeout',
        value: 'SECONDS',
        default: '900',
        help: 'how long nothing may happen on the way to the host',
      },
      logLevel,
    ],
    run: async (values, { io, log }) => {
      const { runPlugin } = await import('./plugin.ts');
      const options = {
        channel: values.text('channel'),
        pipe: values.text('pipe'),
        adminOnly: values.on('admin-only'),
        maxConnections: values.whole('max-connections'),
        clientRecvTimeout: values.whole('client-recv-timeout'),
        connTimeout: values.whole('conn-timeout'),
      };
      await runPlugin(options, await log(values.text('log-level')), io.signal);
      return 0;
    },
  },
  getcontent: {
    summary: 'in a guest: fetches one file',
    positionals: ['CONTENT_PATH', 'FILE'],
    flags: [
      { name: 'pipe', value: 'PATH', help: "the plugin's socket (default: /var/run/vmware/guestStorePipe)" },
      { name: 'channel', value: 'CHANNEL', help: 'the way to the host, without a plugin: unix:PATH' },
    ],
    run: async (values, { io }) => {
      const { runGetContent } = await import('./getcontent.ts');
      const [contentPath = '', file = ''] = values.positionals;
      return await runGetContent(
        { contentPath, file, pipe: values.optional('pipe'), channel: values.optional('channel') },
        io,
      );
    },
  },
  explain: {
    summary: 'says what a VM is answered for a path, and which rule of which policy makes it so',
    positionals: ['NAMESPACE/VM', '[CONTENT_PATH]'],
    flags: [...place, { name: 'output', short: 'o', value: 'FORMAT', default: 'text', help: 'text or json' }],
    run: async (values, { io, version }) => {
      const [vm = '', path] = values.positionals;
      const options = { vm, path, place: readPlace(values), output: values.text('output'), version };
      return (await import('./explain.ts')).runExplain(options, io);
    },
  },
  get: {
    summary: 'shows datastores, repositories, items, policies, vms, hosts or all, with their status',
    positionals: ['KIND', '[NAME]'],
    flags: [
      ...place,
      { name: 'namespace', short: 'n', value: 'NAMESPACE', help: 'only this namespace' },
      { name: 'all-namespaces', short: 'A', help: 'every namespace (as without -n)' },
      { name: 'output', short: 'o', value: 'FORMAT', help: 'wide, json or yaml' },
    ],
    run: async (values, { io, version }) => {
      const [kind = '', name] = values.positionals;
      const namespace = values.on('all-namespaces') ? undefined : values.optional('namespace');
      const options = { kind, name, namespace, place: readPlace(values), output: values.optional('output'), version };
      return (await import('./get.ts')).runGet(options, io);
    },
  },
  reconcile: {
    summary: 'asks the operator to look at an object and its source now, and waits for the outcome',
    positionals: ['KIND', '[NAME]'],
    flags: [...targets, ...waiting],
    run: async (values, { io, version }) =>
      (await import('./reconcile.ts')).runReconcile({ ...readTargets(values, version), ...readWaiting(values) }, io),
  },
  suspend: {
    summary: 'stops work on an object: what is in force stays, edits wait',
    positionals: ['KIND', '[NAME]'],
    flags: targets,
    run: async (values, { io, version }) => (await import('./suspend.ts')).runSuspend(readTargets(values, version), io),
  },
  resume: {
    summary: 'takes up work on a suspended object again, and waits for the outcome',
    positionals: ['KIND', '[NAME]'],
    flags: [...targets, ...waiting],
    run: async (values, { io, version }) =>
      (await import('./suspend.ts')).runResume({ ...readTargets(values, version), ...readWaiting(values) }, io),
  },
  validate: {
    summary: 'says what the API server would refuse in manifests, and warns of what would be in vain',
    positionals: ['FILE|DIR...'],
    flags: [{ name: 'strict', help: 'exit with 1 for warnings too' }],
    run: async (values, { io }) =>
      (await import('./validate.ts')).runValidate({ paths: values.positionals, strict: values.on('strict') }, io),
  },
};

/** Throws `NotSupportedYet`: who asks for signatures or a cache must not run without. */
function refuseLater(values: Values, flags: readonly Flag[]): void {
  const asked = flags.find(({ name }) => values.optional(name) !== undefined);
  if (asked === undefined) return;
  throw new GuestStoreError('NotSupportedYet', `--${asked.name} is not supported by this version; leave it out.`);
}

/** A Lease counts whole seconds, and below some of them a busy machine changes leaders for no reason. */
function readLeaseDuration(milliseconds: number): number {
  if (milliseconds >= 3_000 && milliseconds <= 600_000 && milliseconds % 1_000 === 0) return milliseconds;
  throw new GuestStoreError('InvalidArgument', '--lease-duration: whole seconds, from 3s to 10m');
}

function readTargets(values: Values, version: string) {
  const [kind = '', name] = values.positionals;
  const [all, allNamespaces] = [values.on('all'), values.on('all-namespaces')];
  if (allNamespaces && !all) throw new GuestStoreError('InvalidArgument', '-A goes with --all');
  return {
    kind,
    name,
    all,
    allNamespaces,
    namespace: values.optional('namespace'),
    kubeconfig: values.optional('kubeconfig'),
    version,
  };
}

function readWaiting(values: Values) {
  return { wait: !values.on('no-wait'), timeout: values.duration('timeout') };
}

function checkTransport(name: string): void {
  if (name === 'auto' || name === 'node') return;
  if (name === 'fast') {
    throw new GuestStoreError(
      'NotSupportedYet',
      '--transport fast is not supported by this version; take auto or node.',
    );
  }
  throw new GuestStoreError('InvalidArgument', `--transport ${name}: auto, fast or node`);
}

/** Milliseconds. */
function readStuckAfter(values: Values): number {
  const milliseconds = values.duration('stuck-after');
  if (milliseconds >= 1_000) return milliseconds;
  throw new GuestStoreError('InvalidArgument', `--stuck-after ${values.text('stuck-after')}: a second or more, as 5m`);
}

/** `DIR` alone is for every namespace. */
function readImportFolders(values: readonly string[]): ReadonlyMap<string, string> {
  const named = readNamedFolders(
    'import-dir',
    values.map((value) => (value.includes('=') ? value : `*=${value}`)),
  );
  return new Map([...named].map(([namespace, folder]) => [namespace === '*' ? '' : namespace, folder]));
}

function readRoots(values: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const pairs = values.flatMap((value) => [...readNamedFolders('socket-root', [value])]);
  return new Map(
    [...Map.groupBy(pairs, ([namespace]) => namespace)].map(([namespace, all]) => [
      namespace,
      all.map(([, folder]) => folder),
    ]),
  );
}
