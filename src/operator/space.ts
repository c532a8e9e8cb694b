import { statfs } from 'node:fs/promises';
import type { Metrics } from '../lib/metrics.ts';

/** Milliseconds. */
const interval = 15_000;

/**
 * Space of each datastore's file system. It is asked beside the scrapes, and never twice at once: one that hangs holds up
 * nobody, and shows nothing new.
 */
export function watchSpace(metrics: Metrics, datastores: ReadonlyMap<string, string>): Disposable {
  const spaces = new Map<string, { readonly free: number; readonly size: number }>();
  const asked = new Set<string>();

  async function look(datastore: string, folder: string): Promise<void> {
    if (asked.has(datastore)) return;
    asked.add(datastore);
    try {
      const { bavail, blocks, bsize } = await statfs(folder);
      spaces.set(datastore, { free: bavail * bsize, size: blocks * bsize });
    } catch {
      // Whoever opens or writes it says why; a size of yesterday would be a lie.
      spaces.delete(datastore);
    } finally {
      asked.delete(datastore);
    }
  }

  const lookAtAll = () => {
    for (const [datastore, folder] of datastores) void look(datastore, folder);
  };
  const series = (read: (space: { readonly free: number; readonly size: number }) => number) => () =>
    spaces.entries().map(([datastore, space]) => [{ datastore }, read(space)] as const);
  metrics.gaugesOf(
    'gueststore_datastore_free_bytes',
    "Bytes free in the datastore's file system.",
    series(({ free }) => free),
  );
  metrics.gaugesOf(
    'gueststore_datastore_size_bytes',
    "Bytes of the datastore's file system.",
    series(({ size }) => size),
  );
  lookAtAll();
  const timer = setInterval(lookAtAll, interval);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
