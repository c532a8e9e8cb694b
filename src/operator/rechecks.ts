import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDuration } from '../core/duration.ts';
import type { ObjectKey } from '../core/names.ts';
import { errnoOf } from '../lib/errors.ts';
import { pause } from '../lib/lifecycle.ts';
import type { Outcomes } from './pass.ts';
import type { World } from './types.ts';

/** Milliseconds between looks at import folders, and for each file there. */
const rounds = 2_000;
const perFile = 1;
/** Milliseconds after which an item whose source failed is tried again, doubling. */
const firstRetry = 5_000;
const lastRetry = 300_000;

/**
 * Looks again at items whose source tells nobody that it changed: import files by their attributes, Secrets (which may
 * not be watched) by the repository's interval, and whatever failed for a reason that may pass.
 */
export async function runRechecks(
  world: World,
  outcomes: Outcomes,
  importFolders: ReadonlyMap<string, string>,
  touch: (item: ObjectKey) => void,
  signal: AbortSignal,
): Promise<void> {
  const seen = new Map<ObjectKey, string>();
  const due = new Map<ObjectKey, number>();
  const retries = new Map<ObjectKey, { readonly at: number; readonly wait: number }>();
  let files = 0;
  while (await pause(Math.max(rounds, files * perFile), signal)) {
    const now = performance.now();
    files = 0;
    for (const [key, { metadata, spec }] of world.items) {
      const { file, secretKeyRef } = spec.source;
      const folder = importFolders.get(metadata.namespace) ?? importFolders.get('');
      if (file !== undefined && folder !== undefined) {
        files += 1;
        const signature = await signatureOf(join(folder, file.path));
        if (seen.has(key) && seen.get(key) !== signature) touch(key);
        seen.set(key, signature);
      }
      if (secretKeyRef !== undefined) {
        const { namespace = metadata.namespace, name } = spec.repositoryRef;
        const interval = spec.interval ?? world.repositories.get(`${namespace}/${name}`)?.spec.interval ?? '5m';
        if ((due.get(key) ?? Number.POSITIVE_INFINITY) <= now) touch(key);
        if ((due.get(key) ?? 0) <= now) due.set(key, now + parseDuration(interval));
      }
      retry(key, now);
    }
    for (const known of [seen, due, retries])
      for (const key of known.keys()) if (!world.items.has(key)) known.delete(key);
  }

  function retry(key: ObjectKey, now: number): void {
    const failure = outcomes.items.get(key)?.failure;
    // A Secret that is granted later tells nobody either.
    if (failure === undefined || (failure.terminal && failure.reason !== 'SecretNotGranted')) {
      retries.delete(key);
      return;
    }
    const known = retries.get(key);
    if (known === undefined) retries.set(key, { at: now + firstRetry, wait: firstRetry });
    else if (known.at <= now) {
      const wait = Math.min(known.wait * 2, lastRetry);
      retries.set(key, { at: now + wait, wait });
      touch(key);
    }
  }
}

async function signatureOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch (error) {
    return errnoOf(error) ?? 'unreadable';
  }
}
