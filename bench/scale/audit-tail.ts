import { open } from 'node:fs/promises';
import type { AuditEntry } from '../../test/support/kubernetes/api-server.ts';

/** Counts what one user changes, from the API server's own log of requests. */
export interface AuditTail {
  /** Writes since it was last asked, by verb and resource; Leases, which are renewed for ever, left out. */
  writes(): Promise<ReadonlyMap<string, number>>;
}

const reads: ReadonlySet<string> = new Set(['get', 'list', 'watch']);

/** Begins with what is logged from now on. */
export async function tailAudit(file: string, user: string): Promise<AuditTail> {
  let offset = await sizeOf(file);
  let rest = '';
  return {
    async writes() {
      const size = await sizeOf(file);
      const text = rest + (await readPart(file, offset, size - offset));
      offset = size;
      const lines = text.split('\n');
      rest = lines.pop() ?? '';
      const counts = new Map<string, number>();
      for (const line of lines) {
        // Most lines are of others, and need no parsing.
        if (!line.includes(user)) continue;
        const entry = JSON.parse(line) as AuditEntry;
        const { verb, objectRef, stage } = entry;
        if (entry.user.username !== user || reads.has(verb) || stage !== 'ResponseComplete') continue;
        if (objectRef?.resource === 'leases') continue;
        const name = `${verb} ${objectRef?.resource}${objectRef?.subresource === undefined ? '' : `/${objectRef.subresource}`}`;
        counts.set(name, (counts.get(name) ?? 0) + 1);
      }
      return counts;
    },
  };
}

export function totalOf(counts: ReadonlyMap<string, number>): number {
  return counts.values().reduce((sum, count) => sum + count, 0);
}

async function sizeOf(file: string): Promise<number> {
  await using handle = await open(file);
  return (await handle.stat()).size;
}

async function readPart(file: string, offset: number, length: number): Promise<string> {
  await using handle = await open(file);
  const buffer = Buffer.alloc(length);
  await handle.read(buffer, 0, length, offset);
  return buffer.toString('utf8');
}
