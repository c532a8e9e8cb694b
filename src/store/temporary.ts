import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type ProcessMark, processMark } from './process-mark.ts';

/** Gives new names below `tmp/`, each telling whose it is. */
export type Temporaries = () => string;

export function createTemporaries(tmp: string): Temporaries {
  // Two of them in one process, or two processes whose numbers mean nothing to each other, must not meet.
  const prefix = join(tmp, `${temporaryPrefix()}${randomBytes(8).toString('hex')}-`);
  let count = 0;
  return () => {
    count += 1;
    return prefix + count;
  };
}

function temporaryPrefix(): string {
  const { pid, process: mark } = processMark();
  return `${pid}@${mark.replaceAll('/', '@')}.`;
}

/** The process that a temporary file belongs to, as `temporaryPrefix` wrote it. */
export function ownerOfTemporary(name: string): ProcessMark | undefined {
  const parts = /^([0-9]{1,10})@([^@]+)@([^@]+)@([^@.]+)\./.exec(name);
  return parts === null ? undefined : { pid: Number(parts[1]), process: `${parts[2]}/${parts[3]}/${parts[4]}` };
}
