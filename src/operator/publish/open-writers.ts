import { dated } from '../../core/conditions.ts';
import { requestOf } from '../../core/reconcile-request.ts';
import { asGuestStoreError, type GuestStoreError } from '../../lib/errors.ts';
import { pause } from '../../lib/lifecycle.ts';
import type { Log } from '../../lib/log.ts';
import type { StoreWriter } from '../../store/types.ts';
import type { StatusSink, World } from '../types.ts';

/** Milliseconds. */
const retryAfter = 5_000;

/**
 * Opens every datastore, and waits for those that cannot be opened: meanwhile their repositories say why. Undefined when
 * the signal aborts first.
 */
export async function openWriters(
  folders: ReadonlyMap<string, string>,
  open: (folder: string, name: string) => Promise<StoreWriter>,
  world: World,
  sink: StatusSink,
  now: () => Date,
  log: Log,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, StoreWriter> | undefined> {
  const writers = new Map<string, StoreWriter>();
  const told = new Map<string, string>();
  for (;;) {
    let outrun = false;
    for (const [name, folder] of folders) {
      if (writers.has(name)) continue;
      try {
        writers.set(name, await open(folder, name));
      } catch (thrown) {
        const error = asGuestStoreError(thrown, 'StoreUnavailable');
        // The leader before us committed once more while we looked: the next look begins from there.
        outrun ||= error.code === 'Superseded';
        if (error.code === 'Superseded') continue;
        if (told.get(name) === error.message) continue;
        told.set(name, error.message);
        log.error({ datastore: name, code: error.code, err: error }, 'datastore cannot be opened, will be tried again');
        await tell(name, error, world, sink, now, log, signal);
      }
    }
    if (writers.size === folders.size) return writers;
    if (!(await pause(outrun ? 0 : retryAfter, signal))) {
      await Promise.all([...writers.values()].map((writer) => writer.close()));
      return undefined;
    }
  }
}

async function tell(
  datastore: string,
  error: GuestStoreError,
  world: World,
  sink: StatusSink,
  now: () => Date,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  for (const [key, { metadata, spec, status }] of world.repositories) {
    if (spec.datastore !== datastore) continue;
    const generation = metadata.generation ?? 1;
    const facts = [
      { type: 'Ready', status: 'False', reason: error.code, message: error.message },
      {
        type: 'Reconciling',
        status: 'True',
        reason: error.code,
        message: 'It is tried again by itself, every few seconds.',
      },
    ] as const;
    const conditions = dated(facts, status.conditions ?? [], generation, now());
    const handled = requestOf(metadata) ?? status.lastHandledReconcileAt;
    const answer = handled === undefined ? {} : { lastHandledReconcileAt: handled };
    const said = { observedGeneration: generation, ...answer, conditions };
    try {
      await sink.writeStatus('GuestStoreRepository', key, said, signal);
    } catch (thrown) {
      log.warn({ object: `GuestStoreRepository ${key}`, err: thrown }, 'status not written');
    }
  }
}
