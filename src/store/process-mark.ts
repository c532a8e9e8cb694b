import { readFileSync, readlinkSync } from 'node:fs';

/** Names a process for as long as the machine is up; what comes after can prove that it is gone. */
export interface ProcessMark {
  readonly pid: number;
  /** Boot of the machine, name space of process numbers, start time: `boot/namespace/start`. */
  readonly process: string;
}

/** This process. */
export function processMark(): ProcessMark {
  return { pid: process.pid, process: `${bootOf()}/${namespaceOf()}/${startOf(process.pid) ?? 'unknown'}` };
}

export type Proof = 'alive' | 'gone' | 'unknown';

/**
 * Whether a process still runs. `gone` is proven: the same machine, boot and name space, and no process of that number and
 * start time. Another boot proves nothing, since two machines may carry one name.
 */
export function proveProcess(mark: ProcessMark): Proof {
  const [boot, namespace, start] = mark.process.split('/');
  const [ownBoot, ownNamespace] = processMark().process.split('/');
  if (boot !== ownBoot || namespace !== ownNamespace || boot === 'unknown') return 'unknown';
  const found = startOf(mark.pid);
  return found !== undefined && found === start ? 'alive' : 'gone';
}

function bootOf(): string {
  return readOr(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
}

function namespaceOf(): string {
  return readOr(() => /[0-9]+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? 'unknown');
}

/** Start time in clock ticks since boot; undefined when no such process runs. */
function startOf(pid: number): string | undefined {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is a name in brackets that may hold blanks and brackets itself.
    return line.slice(line.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

/** Systems without /proc prove nothing. */
function readOr(read: () => string): string {
  try {
    return read();
  } catch {
    return 'unknown';
  }
}
