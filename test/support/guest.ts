import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { eventually } from './eventually.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const realClient = `${root}test/support/acceptance/real-client`;
const toolboxCommand = `${root}test/support/acceptance/toolbox-cmd`;

/** The program from source; `[process.execPath, 'dist/main.js']` is the built one. */
const programFromSource = [process.execPath, `${root}src/main.ts`];

export interface GuestOptions {
  /** The plugin's `--channel`, e.g. `unix:/tmp/x/web-7.vsock_1024`; nothing below /run, which the guest has to itself. */
  readonly channel: string;
  readonly program?: readonly string[];
  readonly pluginArguments?: readonly string[];
  /** All of the guest runs as this unprivileged user, who is root in a user namespace of its own. Needs real root. */
  readonly user?: number;
}

/** What VMware's own client library reports. */
interface ClientReport {
  /** Its result, 0 to 19. */
  readonly code: number;
  readonly name: string;
  /** Null until a byte of content has arrived. */
  readonly contentSize: number | null;
  /** Of the output file; 0 and null where there is none. */
  readonly bytes: number;
  readonly sha256: string | null;
  readonly errno: string | 0;
}

interface ClientOptions {
  /** The client runs as this user. */
  readonly user?: number;
  /** Seconds. */
  readonly timeout?: number;
  /** Asks the library to cancel after so many bytes. */
  readonly cancelAfter?: number;
}

interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Guest extends AsyncDisposable {
  /** VMware's client library, through the plugin. A path that is not UTF-8 is given as bytes. */
  getContent(path: string | Uint8Array, file: string, options?: ClientOptions): Promise<ClientReport>;
  /** VMware's command: `vmware-toolbox-cmd gueststore getcontent`. */
  toolbox(path: string, file: string): Promise<Finished>;
  /** Any command inside the guest. */
  run(command: readonly string[], options?: { readonly user?: number }): Promise<Finished>;
  /** What the plugin has logged so far. */
  log(): string;
  /** The plugin's process, as the host sees it. */
  readonly pluginPid: number;
  /** Ends the plugin as an administrator would and gives its exit code; the guest stays. */
  stopPlugin(): Promise<number | null>;
  /** Ends the plugin and the guest. */
  stop(): Promise<void>;
}

/**
 * A guest as far as VMware's client can tell: a mount namespace with a /run of its own, our plugin in it, and VMware's library
 * and command to run there. Several may exist at once, and the machine's own /run is not touched. Nothing of it outlives this
 * process: the namespace ends when our end of a pipe closes, and takes all its processes along.
 */
export async function startGuest(options: GuestOptions): Promise<Guest> {
  const namespace = await startNamespace(options.user);
  try {
    return await startPluginIn(namespace, options);
  } catch (error) {
    await namespace.end();
    throw error;
  }
}

async function startPluginIn(namespace: Namespace, options: GuestOptions): Promise<Guest> {
  const { channel, program = programFromSource, pluginArguments = [] } = options;
  const plugin = namespace.start([...program, 'plugin', '--channel', channel, ...pluginArguments]);
  let log = '';
  for (const output of [plugin.stdout, plugin.stderr]) {
    output?.setEncoding('utf8').on('data', (part: string) => {
      log += part;
    });
  }
  const exited = once(plugin, 'exit').then(([code]: (number | null)[]) => code ?? null);
  const ready = async (): Promise<boolean | undefined> =>
    plugin.exitCode !== null ? false : log.includes('plugin ready') || undefined;
  if (!(await eventually(ready))) throw new Error(`the plugin exited with ${plugin.exitCode}: ${log}`);
  const pluginPid = await eventually(() => childOf(plugin));

  const run: Guest['run'] = async (command, { user } = {}) => {
    const process = namespace.start([...asUser(user), ...command]);
    const [stdout, stderr, code] = await Promise.all([
      process.stdout === null ? '' : text(process.stdout),
      process.stderr === null ? '' : text(process.stderr),
      once(process, 'close').then(([status]: (number | null)[]) => status ?? null),
    ]);
    return { code, stdout, stderr };
  };
  const stopPlugin = async (): Promise<number | null> => {
    // The plugin's own process: nsenter, its parent here, would not pass the signal on.
    if (plugin.exitCode === null && plugin.signalCode === null) process.kill(pluginPid, 'SIGTERM');
    return exited;
  };
  const stop = async (): Promise<void> => {
    await namespace.end();
    await exited;
  };
  return {
    getContent: async (path, file, { user, timeout = 60, cancelAfter } = {}) => {
      const client = [
        realClient,
        '--quiet',
        '--json',
        `--timeout=${timeout}`,
        ...(cancelAfter === undefined ? [] : [`--cancel-after=${cancelAfter}`]),
        '--',
      ];
      const command =
        typeof path === 'string' ? ['python3', ...client, path, file] : withBytes(client, Buffer.from(path), file);
      const { code, stdout, stderr } = await run(command, user === undefined ? {} : { user });
      return readReport(code, stdout, stderr);
    },
    toolbox: (path, file) => run([toolboxCommand, 'gueststore', 'getcontent', path, file]),
    run,
    log: () => log,
    pluginPid,
    stopPlugin,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Node starts programs with text only, so Python puts the bytes in. */
function withBytes(client: readonly string[], path: Buffer, file: string): readonly string[] {
  const script = 'import os, sys; a = sys.argv; os.execvp("python3", ["python3", *a[3:], bytes.fromhex(a[1]), a[2]])';
  return ['python3', '-c', script, path.toString('hex'), file, ...client];
}

function readReport(code: number | null, stdout: string, stderr: string): ClientReport {
  let report: Omit<ClientReport, 'contentSize'> & { readonly content_size: number | null };
  try {
    report = JSON.parse(stdout);
  } catch {
    throw new Error(`VMware's client exited with ${code} and no report: ${stderr}`);
  }
  const { content_size: contentSize, name, bytes, sha256, errno } = report;
  return { code: report.code, name, contentSize, bytes, sha256, errno };
}

interface Namespace {
  /** Starts a command inside, with pipes for its output. */
  start(command: readonly string[]): ChildProcess;
  end(): Promise<void>;
}

/** The mount namespace hides /run; the process namespace sees to it that everything inside ends with its first process. */
async function startNamespace(user: number | undefined): Promise<Namespace> {
  const unprivileged = user !== undefined || process.geteuid?.() !== 0;
  const outside = asUser(user);
  const hold = 'mount -t tmpfs -o mode=755 guest /run && mkdir /run/lock && echo ready && exec cat';
  const [command = '', ...args] = [
    ...outside,
    'unshare',
    ...(unprivileged ? ['--user', '--map-root-user'] : []),
    ...['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '/bin/sh', '-c', hold],
  ];
  const holder = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const exited = once(holder, 'exit');
  const complaint = text(holder.stderr);
  const [first] = await Promise.race([once(holder.stdout, 'data'), exited]);
  if (!String(first).startsWith('ready')) {
    throw new Error(`cannot make a mount namespace; be root, or allow user namespaces: ${await complaint}`);
  }
  const target = await eventually(() => childOf(holder));
  const enter = [
    ...outside,
    'nsenter',
    ...(unprivileged ? ['--user', '--preserve-credentials'] : []),
    ...['--target', String(target), '--mount', '--pid', `--wd=${root}`, '--'],
  ];
  const environment = { ...process.env };
  // A home that the user cannot write would keep the command from being prepared.
  if (user !== undefined) environment.GUESTSTORE_ACCEPTANCE_CACHE = join(tmpdir(), `gueststore-acceptance-${user}`);
  return {
    start: (inside) => {
      const [program = '', ...rest] = [...enter, ...inside];
      return spawn(program, rest, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    },
    end: async () => {
      holder.stdin.destroy();
      await exited;
    },
  };
}

/** The only child of `parent`, or undefined while there is none. */
async function childOf(parent: ChildProcess): Promise<number | undefined> {
  const children = await readFile(`/proc/${parent.pid}/task/${parent.pid}/children`, 'utf8');
  return children === '' ? undefined : Number.parseInt(children, 10);
}

/** With the system's own programs: those of our PATH may lie in a home that the user cannot enter. */
function asUser(user: number | undefined): readonly string[] {
  if (user === undefined) return [];
  const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  return ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups', 'env', path];
}
