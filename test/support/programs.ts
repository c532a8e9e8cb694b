import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { eventually } from './eventually.ts';

/** The built program, as a command line begins: `npm run build` has made it. */
export const builtProgram: readonly string[] = [
  process.execPath,
  fileURLToPath(new URL('../../dist/main.js', import.meta.url)),
];

/** One line of a log in JSON. */
type LogLine = Readonly<Record<string, unknown>>;

/** A process of the built program that was started by a test, and dies with it. */
export interface Program extends AsyncDisposable {
  readonly pid: number;
  /** Both streams, as far as it has printed. */
  readonly output: string;
  /** Undefined while it runs. */
  readonly exitCode: number | null | undefined;
  /** Its log lines with this message so far. */
  lines(message: string): readonly LogLine[];
  /** The first log line with this message after the first `after` of them; rejects once the program has ended without it. */
  says(message: string, options?: { readonly after?: number; readonly timeout?: number }): Promise<LogLine>;
  /** SIGTERM; resolves to the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

/** How a program is run, besides what it is told. */
export interface Runtime {
  /** Arguments for Node itself. */
  readonly node?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * Starts `gueststore ARGUMENTS` with nothing of our environment that could lead it elsewhere. It is killed by the kernel
 * when this process ends, however that happens.
 */
export async function startProgram(args: readonly string[], runtime: Runtime = {}): Promise<Program> {
  const [node = '', ...program] = builtProgram;
  const command = [node, ...(runtime.node ?? []), ...program, ...args];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], {
    env: { ...environment(), ...runtime.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  await once(child, 'spawn');
  const exited = once(child, 'exit');
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const ended = () => child.exitCode !== null || child.signalCode !== null;
  const lines = (message: string): readonly LogLine[] => parseLines(output).filter(({ msg }) => msg === message);
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (!ended()) child.kill(signal);
    await exited;
    return child.exitCode;
  };
  const kill = async () => void (await end('SIGKILL'));
  return {
    pid: child.pid ?? 0,
    get output() {
      return output;
    },
    get exitCode() {
      return ended() ? child.exitCode : undefined;
    },
    lines,
    says: async (message, { after = 0, timeout = 30_000 } = {}) => {
      const found = await eventually(() => lines(message)[after] ?? (ended() ? 'ended' : undefined), timeout).catch(
        () => {
          throw new Error(`gueststore ${args[0]} has not said "${message}" after ${timeout} ms: ${output}`);
        },
      );
      if (found === 'ended') throw new Error(`gueststore ${args[0]} ended without "${message}": ${output}`);
      return found;
    },
    stop: () => end('SIGTERM'),
    kill,
    [Symbol.asyncDispose]: kill,
  };
}

/** Runs a command of the built program to its end and gives what it printed. Throws when it exits with another code than 0. */
export async function runProgram(args: readonly string[]): Promise<string> {
  const [command = '', ...rest] = builtProgram;
  const { stdout } = await promisify(execFile)(command, [...rest, ...args], {
    env: environment(),
    maxBuffer: 64 << 20,
    timeout: 60_000,
  });
  return stdout;
}

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The same, whatever its exit code. */
export async function tryProgram(args: readonly string[]): Promise<Ended> {
  const [command = '', ...rest] = builtProgram;
  return await new Promise((resolve) => {
    execFile(command, [...rest, ...args], { env: environment(), timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
  });
}

/** Without KUBECONFIG, proxies and options for Node of whoever runs the tests. */
function environment(): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR } = process.env;
  return { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }) };
}

function parseLines(output: string): LogLine[] {
  return output
    .split('\n')
    .slice(0, -1)
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as LogLine);
}
