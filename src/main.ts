#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { commands } from './cli/commands.ts';
import { readFlags } from './cli/flags.ts';
import type { ExitCode } from './cli/io.ts';
import { commandUsage, usage } from './cli/usage.ts';
import { GuestStoreError, messageOf } from './lib/errors.ts';
import { exitAtOnce } from './lib/lifecycle.ts';

/** Wrong usage of the guest's command has a code beside those of VMware's client library. */
const wrongUsage: Readonly<Record<string, ExitCode>> = { getcontent: 64 };

/** The first major version of Node that has what this program is written in. */
const leastNode = 24;

const stopping = new AbortController();

/** argv and environment in, exit code out; nothing else reads either. */
async function main(args: readonly string[]): Promise<ExitCode> {
  if (Number.parseInt(process.versions.node, 10) < leastNode) {
    const found = `this is Node ${process.versions.node}`;
    process.stderr.write(
      `gueststore needs Node >= ${leastNode}, ${found}; put node_modules/.bin of the checkout first on PATH.\n`,
    );
    return 1;
  }
  const [name = 'help', ...rest] = args;
  if (name === 'help' || name === '--help' || name === '-h') {
    process.stdout.write(usage());
    return args.length === 0 ? 2 : 0;
  }
  if (name === '--version' || name === 'version') {
    process.stdout.write(`gueststore ${version()}\n`);
    return 0;
  }
  const command = commands[name];
  if (command === undefined) {
    process.stderr.write(`gueststore: there is no command "${name}"; "gueststore help" lists them.\n`);
    return 2;
  }
  const usageCode = wrongUsage[name] ?? 2;
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(commandUsage(name, command));
    return 0;
  }
  try {
    const values = readFlags(command.flags, rest, process.env);
    checkPositionals(command.positionals, values.positionals);
    const io = { stdout: process.stdout, stderr: process.stderr, signal: stopSignal() };
    const log = async (level: string) => (await import('./lib/log.ts')).createLog(level);
    return await command.run(values, { io, environment: process.env, version: version(), log });
  } catch (error) {
    process.stderr.write(`gueststore ${name}: ${messageOf(error)}\n`);
    if (!(error instanceof GuestStoreError)) process.stderr.write(`${error instanceof Error ? error.stack : ''}\n`);
    const misused = error instanceof GuestStoreError && error.code === 'InvalidArgument';
    return misused ? usageCode : 1;
  }
}

function checkPositionals(wanted: readonly string[], given: readonly string[]): void {
  const many = wanted.at(-1)?.endsWith('...') === true;
  const least = wanted.filter((word) => !word.startsWith('[')).length;
  if (given.length >= least && (many || given.length <= wanted.length)) return;
  const words = wanted.length === 0 ? 'no words besides flags' : wanted.join(' ');
  throw new GuestStoreError('InvalidArgument', `takes ${words}, not ${JSON.stringify(given)}`);
}

/** Aborts `stopping` at the first SIGTERM or SIGINT; the second one ends the process at once. */
function stopSignal(): AbortSignal {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping.signal.aborted) exitAtOnce(signal === 'SIGINT' ? 130 : 143);
      stopping.abort();
    });
  }
  return stopping.signal;
}

function version(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

// Files that the command still holds open have been closed by then; what is left are timers and idle connections.
const exitCode = await main(process.argv.slice(2));
process.exitCode = exitCode;
// Who was told to stop is not kept by a system call that hangs.
if (stopping.signal.aborted) setTimeout(() => exitAtOnce(exitCode), 2_000).unref();
