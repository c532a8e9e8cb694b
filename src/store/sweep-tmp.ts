import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { attempt, unlessMissing } from './failure.ts';
import type { Layout } from './layout.ts';
import { proveProcess } from './process-mark.ts';
import { ownerOfTemporary } from './temporary.ts';

/** Milliseconds: what nobody can be asked about is left alone for so long, since another host may be writing it. */
const grace = 3_600_000;

/** Removes what writers that are gone have left in `tmp/`. */
export async function sweepTemporary(layout: Layout, now: Date): Promise<void> {
  const names = await attempt('read', layout.tmp, () => readdir(layout.tmp));
  for (const name of names) {
    const path = join(layout.tmp, name);
    if (await isAbandoned(path, name, now))
      await attempt('remove', path, () => rm(path, { recursive: true, force: true }));
  }
}

async function isAbandoned(path: string, name: string, now: Date): Promise<boolean> {
  const owner = ownerOfTemporary(name);
  const proof = owner === undefined ? 'unknown' : proveProcess(owner);
  if (proof !== 'unknown') return proof === 'gone';
  const found = await attempt('look at', path, () => unlessMissing(() => stat(path)));
  return found !== undefined && now.getTime() - found.mtimeMs > grace;
}
