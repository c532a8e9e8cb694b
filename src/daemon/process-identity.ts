import { readFile } from 'node:fs/promises';

/**
 * What tells this process from every other that this host ever ran: the boot it lives in and its start time in clock
 * ticks since then. Who comes after compares it with `/proc/<pid>/stat` and knows whether this process is gone. On systems
 * without /proc, the start in milliseconds.
 */
export async function processIdentity(): Promise<string> {
  try {
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'latin1');
    const stat = await readFile('/proc/self/stat', 'latin1');
    return `${boot.trim()}:${startTimeOf(stat)}`;
  } catch {
    return `started:${Math.round(performance.timeOrigin)}`;
  }
}

/** Field 22 of `/proc/<pid>/stat`; the command in field 2 may hold blanks and parentheses. */
export function startTimeOf(stat: string): string {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}
