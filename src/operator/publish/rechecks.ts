import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDuration } from '../../core/duration.ts';
import type { ObjectKey } from '../../core/names.ts';
import { errnoOf } from '../../lib/errors.ts';
import { createBreath, pause } from '../../lib/lifecycle.ts';
import { importRevision } from '../../sources/import-file.ts';
import type { World } from '../types.ts';
import type { Outcomes } from './pass.ts';

/** Milliseconds between looks at import folders, and for each file there. */
const rounds = 2_000;
const perFile = 1;
/** Milliseconds after which an item whose source failed is tried again, doubling. */
const firstRetry = 5_000;
const lastRetry = 300_000;
/** The same for what is near: looking costs little, and whoever mended it is watching. */
const firstLocalRetry = 1_000;
const lastLocalRetry = 30_000;
const local: ReadonlySet<string> = new Set(['StoreUnavailable', 'ForeignFile', 'QuotaExceeded', 'ApiUnavailable']);

/**
 * Looks again at items whose source tells nobody that it changed: import files by their attributes, Secrets (which may
 * not be watched) by the repository's interval, and whatever failed for a reason that may pass.
 */
export async function runRechecks(
  world: World,
  outcomes: Outcomes,
  importFolders: ReadonlyMap<string, string>,
  touch: (item: ObjectKey) => void,
  /** Its status may say more now, of a transfer under way. */
  tell: (item: ObjectKey) => void,
  signal: AbortSignal,
): Promise<void> {
  const seen = new Map<ObjectKey, string>();
  const due = new Map<ObjectKey, number>();
  const retries = new Map<ObjectKey, { readonly at: number; readonly wait: number }>();
  let files = 0;
  const breathe = createBreath();
  do {
    const now = performance.now();
    files = 0;
    for (const [key, { metadata, spec }] of world.items) {
      const { file, secretKeyRef } = spec.source;
      const folder = importFolders.get(metadata.namespace) ?? importFolders.get('');
      if (file !== undefined && folder !== undefined) {
        files += 1;
        const { signature, revision } = await lookAt(join(folder, file.path));
        const known = outcomes.items.get(key)?.sourceRevision;
        // Seen for the first time it may have changed since it was read.
        const changed = seen.has(key) ? seen.get(key) !== signature : known !== undefined && known !== revision;
        if (changed) touch(key);
        seen.set(key, signature);
      }
      if (secretKeyRef !== undefined) {
        const { namespace = metadata.namespace, name } = spec.repositoryRef;
        const interval = spec.interval ?? world.repositories.get(`${namespace}/${name}`)?.spec.interval ?? '5m';
        if ((due.get(key) ?? Number.POSITIVE_INFINITY) <= now) touch(key);
        if ((due.get(key) ?? 0) <= now) due.set(key, now + parseDuration(interval));
      }
      if (outcomes.items.get(key)?.fetching === true) tell(key);
      retry(key, now);
      await breathe();
    }
    for (const known of [seen, due, retries])
      for (const key of known.keys()) if (!world.items.has(key)) known.delete(key);
  } while (await pause(Math.max(rounds, files * perFile), signal));

  function retry(key: ObjectKey, now: number): void {
    const failure = outcomes.items.get(key)?.failure;
    // A Secret that is granted later tells nobody either.
    if (failure === undefined || (failure.terminal && failure.reason !== 'SecretNotGranted')) {
      retries.delete(key);
      return;
    }
    const known = retries.get(key);
    const near = local.has(failure.reason) || world.items.get(key)?.spec.source.file !== undefined;
    if (known === undefined) {
      const wait = near ? firstLocalRetry : firstRetry;
      retries.set(key, { at: now + wait, wait });
    } else if (known.at <= now) {
      const wait = Math.min(known.wait * 2, near ? lastLocalRetry : lastRetry);
      retries.set(key, { at: now + wait, wait });
      touch(key);
    }
  }
}

/** What changes with any write, and the source revision that reading it would give. */
async function lookAt(path: string): Promise<{ readonly signature: string; readonly revision: string | undefined }> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return {
      signature: `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`,
      revision: importRevision({ ino, size, mtimeNs }),
    };
  } catch (error) {
    return { signature: errnoOf(error) ?? 'unreadable', revision: undefined };
  }
}
