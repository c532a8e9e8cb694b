import type { ObjectKey } from '../../core/names.ts';
import { requestOf } from '../../core/reconcile-request.ts';
import type { Client } from '../../kube/client.ts';
import type { EventRecorder } from '../../kube/events.ts';
import { addFinalizer, removeFinalizer } from '../../kube/finalizers.ts';
import { createStatusWriter, type StatusWriter } from '../../kube/status-writer.ts';
import type { DeclaredKind, StatusSink } from '../types.ts';
import { resources } from './cluster-resources.ts';
import type { ClusterWorld } from './cluster-world.ts';

/** Name under which the operator owns the fields that it writes. */
export const fieldManager = 'gueststore-operator';
const finalizer = 'gueststore.dev/published';
/** Kinds that leave traces in the datastore. */
const held: ReadonlySet<DeclaredKind> = new Set(['ContentItem', 'GuestStoreRepository', 'GuestVM']);

/** Writes status and events to the API server, and holds what is to be deleted until its traces are gone. */
export function createClusterSink(
  client: Client,
  world: ClusterWorld,
  recorder: EventRecorder,
  now: () => Date,
  /** While true, `world` may not show yet what an earlier leader wrote. */
  mayLag: () => boolean,
): StatusSink {
  const writers = new Map<string, StatusWriter<never>>();
  const writerOf = (kind: keyof typeof resources) => {
    const known = writers.get(kind);
    if (known !== undefined) return known;
    const made = createStatusWriter<never>({ client, resource: resources[kind] as never, fieldManager, now, mayLag });
    writers.set(kind, made);
    return made;
  };

  async function write(kind: keyof typeof resources, key: ObjectKey, status: unknown, signal: AbortSignal) {
    const object = world.stored(kind, key);
    if (object !== undefined) await writerOf(kind).write(object as never, status as never, signal);
  }

  return {
    writeStatus: write,
    hostStatuses: function* () {
      for (const { metadata, status } of world.hosts()) {
        const { observedGeneration = -1, conditions = [] } = status;
        yield [metadata.name, { ...status, observedGeneration, conditions }] as const;
      }
    },
    hostAsks: (name) => {
      const host = world.host(name);
      if (host === undefined) return undefined;
      const { metadata, spec } = host;
      return { generation: metadata.generation ?? 1, suspended: spec.suspend, request: requestOf(metadata) };
    },
    writeHost: async (name, status, signal) => {
      if (world.stored('GuestStoreHost', name) !== undefined) return write('GuestStoreHost', name, status, signal);
      // First seen: the object is made, and its status in the same breath, for the watch has not shown it yet.
      await client.apply(
        resources.GuestStoreHost,
        { metadata: { name }, spec: { suspend: false } },
        { fieldManager, force: true, signal },
      );
      await client.applyStatus(resources.GuestStoreHost, { name }, status as never, {
        fieldManager,
        force: true,
        signal,
      });
    },
    removeHost: async (name, signal) => {
      // Whoever made another one of that name meanwhile keeps it. One that was made a moment ago is not seen yet.
      const uid = world.stored('GuestStoreHost', name)?.metadata.uid;
      await client.delete(resources.GuestStoreHost, { name }, { uid, signal });
    },
    hold: async (kind, key, signal) => {
      const object = world.stored(kind, key);
      if (object === undefined || !held.has(kind) || object.metadata.deletionTimestamp !== undefined) return;
      await addFinalizer(client, resources[kind] as never, object as never, finalizer, signal);
    },
    release: async (kind, key, signal) => {
      const object = world.stored(kind, key);
      if (object === undefined) return;
      await removeFinalizer(client, resources[kind] as never, object as never, finalizer, signal);
      writers.get(kind)?.forget(object.metadata.uid);
    },
    event: (kind, key, { type, reason, message }) => {
      const object = world.stored(kind, key);
      if (object !== undefined)
        recorder.record({ ...object, kind }, { type, reason, action: 'Reconcile', note: message });
    },
    flush: async () => {},
  };
}
