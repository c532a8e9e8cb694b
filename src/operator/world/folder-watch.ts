import { type FSWatcher, watch } from 'node:fs';
import { pause } from '../../lib/lifecycle.ts';
import type { Log } from '../../lib/log.ts';
import { createQuietWindow } from '../publish/quiet-window.ts';

/** Milliseconds that a folder must be quiet before it is read, and after which it is read all the same. */
const quiet = 50;
const longest = 250;
/** Milliseconds between looks where nothing tells of a change: files behind links, network file systems. */
const poll = 2_000;

/**
 * Calls `scan` when something in the folders it last returned changes, and from time to time, until the signal aborts.
 * `scan` is never called twice at once.
 */
export async function watchFolders(
  scan: () => Promise<readonly string[]>,
  first: readonly string[],
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const watchers = new Map<string, FSWatcher>();
  const window = createQuietWindow(quiet, longest);
  signal.addEventListener('abort', () => {
    for (const watcher of watchers.values()) watcher.close();
  });

  function follow(folders: readonly string[]): void {
    const wanted = new Set(folders);
    for (const [folder, watcher] of watchers) {
      if (wanted.has(folder)) continue;
      watcher.close();
      watchers.delete(folder);
    }
    for (const folder of wanted) {
      if (watchers.has(folder) || signal.aborted) continue;
      try {
        const watcher = watch(folder, () => window.touch());
        watcher.on('error', () => {
          watcher.close();
          watchers.delete(folder);
        });
        watchers.set(folder, watcher);
      } catch {
        // Out of watches, or gone: the poll sees what happens there.
      }
    }
  }

  follow(first);
  void (async () => {
    while (await pause(poll, signal)) window.touch();
  })();
  while (!signal.aborted) {
    await window.next(signal);
    if (signal.aborted) return;
    try {
      follow(await scan());
    } catch (error) {
      // The datastore may be full or away; the folder is read again in a moment.
      log.error({ err: error }, 'manifests not taken');
    }
  }
}
