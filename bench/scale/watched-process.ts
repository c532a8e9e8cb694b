import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Program, Runtime } from '../../test/support/programs.ts';
import type { ProbeAnswer } from './probe.ts';

const probe = fileURLToPath(new URL('probe.ts', import.meta.url));
/** Of the kernel's accounts: hundredths of a second on every Linux. */
const ticksPerSecond = 100;

/** A process of ours with what it costs. */
export interface Watched {
  readonly program: Program;
  /** Seconds of CPU, user and system, since it started. */
  cpu(): number;
  /** Open descriptors. */
  descriptors(): number;
  /** Open sockets of any kind. */
  sockets(): number;
  /** Established TCP connections to a port. */
  connections(port: number): number;
  /** Memory and loop delay since the last answer. `collected`: after a full garbage collection. */
  ask(collected?: boolean): Promise<ProbeAnswer>;
}

/** How a program is started to be watched; `name` is good for one process at a time. */
export function watchedRuntime(folder: string, name: string, node: readonly string[] = []): Runtime {
  return {
    node: ['--expose-gc', '--import', probe, ...node],
    environment: { BENCH_PROBE: socketOf(folder, name) },
  };
}

export function watched(folder: string, name: string, program: Program): Watched {
  const proc = (file: string) => join('/proc', `${program.pid}`, file);
  const descriptors = () => readdirSync(proc('fd'));
  return {
    program,
    cpu() {
      // After the name, which may hold blanks: utime and stime are the 12th and 13th field.
      const fields = readFileSync(proc('stat'), 'utf8').split(') ').at(-1)?.split(' ') ?? [];
      return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
    },
    descriptors: () => descriptors().length,
    sockets: () => descriptors().filter((fd) => linkOf(join(proc('fd'), fd)).startsWith('socket:')).length,
    connections(port) {
      const own = new Set(descriptors().map((fd) => linkOf(join(proc('fd'), fd))));
      const remote = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
      const lines = readFileSync(proc('net/tcp'), 'utf8').trim().split('\n').slice(1);
      return lines.filter((line) => {
        const [, , to, state, , , , , , inode] = line.trim().split(/\s+/);
        return to?.endsWith(remote) === true && state === '01' && own.has(`socket:[${inode}]`);
      }).length;
    },
    ask: (collected = false) => ask(socketOf(folder, name), collected ? '/collected' : '/'),
  };
}

function socketOf(folder: string, name: string): string {
  return join(folder, `${name}.probe`);
}

/** Empty for a descriptor that was closed meanwhile. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function ask(socketPath: string, path: string): Promise<ProbeAnswer> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve(JSON.parse(text) as ProbeAnswer));
    });
    asked.on('error', reject).end();
  });
}
