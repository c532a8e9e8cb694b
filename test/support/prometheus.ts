import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from './eventually.ts';
import { startLeashed } from './kubernetes/leashed.ts';

/** One series of an instant vector. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [at: number, value: string];
}

export interface Prometheus extends AsyncDisposable {
  /** An instant vector as of now; throws with what Prometheus says of a wrong expression. */
  query(expression: string): Promise<readonly Series[]>;
  /** Its rules with their health, after at least one evaluation each. */
  rules(): Promise<readonly Rule[]>;
}

export interface Rule {
  readonly name: string;
  /** `ok` once it was evaluated without an error. */
  readonly health: string;
  readonly lastError?: string;
}

/** Starts a Prometheus that scrapes `targets` (address by job) and evaluates the rule file once a second. */
export async function startPrometheus(
  targets: Readonly<Record<string, string>>,
  ruleFile: string,
): Promise<Prometheus> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'prometheus-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [ruleFile],
    scrape_configs: Object.entries(targets).map(([job, address]) => ({
      job_name: job,
      static_configs: [{ targets: [address] }],
    })),
  };
  const [configFile, output] = [join(folder, 'prometheus.yml'), join(folder, 'log')];
  // JSON is YAML.
  await writeFile(configFile, JSON.stringify(config));
  const address = `127.0.0.1:${await freePort()}`;
  const program = await startLeashed(
    'prometheus',
    [`--config.file=${configFile}`, `--storage.tsdb.path=${join(folder, 'data')}`, `--web.listen-address=${address}`],
    output,
  );
  stack.defer(() => program.kill());
  const ask = async (path: string) => {
    const response = await fetch(`http://${address}/api/v1/${path}`);
    const answer = (await response.json()) as { status: string; error?: string; data: unknown };
    if (answer.status !== 'success') throw new Error(`${path}: ${answer.error}`);
    return answer.data;
  };
  await eventually(() => ask('status/buildinfo'), 60_000);
  const kept = stack.move();
  return {
    query: async (expression) => {
      const data = (await ask(`query?query=${encodeURIComponent(expression)}`)) as { result: readonly Series[] };
      return data.result;
    },
    rules: () =>
      eventually(async () => {
        const { groups } = (await ask('rules')) as { groups: readonly { readonly rules: readonly Rule[] }[] };
        const rules = groups.flatMap((group) => group.rules);
        return rules.length > 0 && rules.every(({ health }) => health !== 'unknown') ? rules : undefined;
      }, 30_000),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** What `promtool ARGUMENTS` printed, and its exit code. */
export async function promtool(
  args: readonly string[],
  input = '',
): Promise<{ readonly code: number; readonly output: string }> {
  const running = promisify(execFile)('promtool', args);
  running.child.stdin?.end(input);
  return await running.then(
    ({ stdout, stderr }) => ({ code: 0, output: stdout + stderr }),
    (error: { code?: number; stdout?: string; stderr?: string }) => ({
      code: error.code ?? 1,
      output: `${error.stdout}${error.stderr}`,
    }),
  );
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** A file system that really hangs when it is written to, as a network file system does whose server is away. */
export interface Freezer extends AsyncDisposable {
  freeze(): Promise<void>;
  thaw(): Promise<void>;
}

/**
 * Mounts a small ext4 at `folder`; needs the right to mount. A shell thaws it when this process ends, however that happens:
 * what waits for a frozen file system can not even be killed.
 */
export async function mountFreezer(folder: string, image: string): Promise<Freezer> {
  const run = promisify(execFile);
  await run('truncate', ['-s', '64M', image]);
  await run('mkfs.ext4', ['-q', image]);
  await run('mount', ['-o', 'loop', image, folder]);
  const script = 'while read -r way; do fsfreeze "$way" "$0" && echo done; done; fsfreeze -u "$0" 2>/dev/null';
  const shell = spawn('/bin/sh', ['-c', script, folder], { stdio: ['pipe', 'pipe', 'ignore'] });
  const exited = once(shell, 'exit');
  const tell = async (way: string) => {
    const done = once(shell.stdout, 'data');
    shell.stdin.write(`${way}\n`);
    await done;
  };
  return {
    freeze: () => tell('-f'),
    thaw: () => tell('-u'),
    async [Symbol.asyncDispose]() {
      shell.stdin.end();
      await exited;
      await run('umount', ['-l', folder]);
    },
  };
}
