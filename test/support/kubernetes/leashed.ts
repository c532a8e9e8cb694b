import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';

/**
 * A program that cannot outlive this process, however this process ends: a shell holds a pipe from us, and kills the
 * program when the pipe closes. In a group of its own, so that Ctrl+C in a terminal reaches us and not it.
 */
const leash = `
"$@" </dev/null 3<&- & program=$!
(while read -r _; do :; done; kill -9 $program 2>/dev/null) <&3 & watcher=$!
exec 3<&-
wait $program; code=$?
kill $watcher 2>/dev/null
exit $code`;

export interface LeashedProgram {
  readonly exited: Promise<unknown>;
  /** SIGKILL; resolves when the program is gone and its ports are free. */
  kill(): Promise<void>;
  /** SIGKILL without waiting, for a process that is about to exit. */
  killNow(): void;
  /** SIGSTOP and SIGCONT: a server that is there and says nothing. */
  freeze(): void;
  thaw(): void;
}

/** Starts `command` with its output going to the file `output`. */
export async function startLeashed(command: string, args: readonly string[], output: string): Promise<LeashedProgram> {
  await using file = await open(output, 'a');
  const shell = spawn('/bin/sh', ['-c', leash, 'leash', command, ...args], {
    stdio: ['ignore', file.fd, file.fd, 'pipe'],
    detached: true,
  });
  await once(shell, 'spawn');
  const pid = shell.pid;
  if (pid === undefined) throw new Error(`${command} did not start`);
  const exited = once(shell, 'exit');
  const pipe = shell.stdio[3];
  const signal = (name: NodeJS.Signals) => {
    if (shell.exitCode === null && shell.signalCode === null) process.kill(-pid, name);
  };
  return {
    exited,
    async kill() {
      signal('SIGCONT');
      pipe?.destroy();
      await exited;
    },
    killNow: () => signal('SIGKILL'),
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
  };
}
