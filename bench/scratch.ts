import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder for one benchmark, gone afterwards. */
export interface Scratch extends Disposable {
  readonly folder: string;
  /** What it lies on. */
  readonly fileSystem: string;
}

/**
 * A new ext4 in a file where we may mount one, since on ext4 a run is slowed for a minute by files that an earlier run
 * removed (inodes just freed are passed over, one by one); else a plain folder. Nothing in it is removed while it is used.
 */
export function createScratch(): Scratch {
  const base = mkdtempSync(join(tmpdir(), 'gueststore-bench-'));
  const folder = join(base, 'fs');
  mkdirSync(folder);
  const mounted = process.getuid?.() === 0 && mountNew(join(base, 'image'), folder);
  return {
    folder,
    fileSystem: mounted ? 'a new ext4 on a loop device' : `a folder in ${tmpdir()}`,
    [Symbol.dispose]() {
      if (mounted) execFileSync('umount', [folder]);
      rmSync(base, { recursive: true, force: true });
    },
  };
}

function mountNew(image: string, folder: string): boolean {
  try {
    execFileSync('truncate', ['-s', '6G', image]);
    execFileSync('mkfs.ext4', ['-q', '-F', '-N', '600000', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image]);
    execFileSync('mount', ['-o', 'loop', image, folder]);
    return true;
  } catch {
    return false;
  }
}
