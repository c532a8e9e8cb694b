import type { Resource } from '../../api/resources.generated.ts';
import type { HostStatus, WrittenStatus } from '../types.ts';
import { type KeptFile, type ManifestTrouble, withMetadata } from './folder-world.ts';
import { identityOf } from './manifest-objects.ts';
import { type Documents, openShelf } from './shelf.ts';

/** What `up` last said of everything, as the datastore keeps it. */
export interface KeptStatus {
  readonly objects: readonly Resource[];
  readonly hosts: ReadonlyMap<string, HostStatus>;
  /** Files that could not be taken. */
  readonly trouble: ReadonlyMap<string, ManifestTrouble>;
}

/** Reads only. Throws `StoreUnavailable`; a document that cannot be understood is told to `onUnreadable` and left out. */
export async function readKeptStatus(
  documents: Documents,
  onUnreadable: (document: string, error: unknown) => void,
): Promise<KeptStatus> {
  const kept = await openShelf<KeptFile>(documents, 'manifests', onUnreadable);
  const statuses = await openShelf<WrittenStatus>(documents, 'status', onUnreadable);
  const hosts = await openShelf<HostStatus>(documents, 'hosts', onUnreadable);
  const trouble = await openShelf<ManifestTrouble>(documents, 'trouble', onUnreadable);
  const objects = new Map<string, Resource>();
  for (const [, file] of [...kept.records].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    for (const { object, generation } of file.objects) {
      const identity = identityOf(object);
      if (!('spec' in object) || objects.has(identity)) continue;
      objects.set(identity, withMetadata(object, generation, statuses.records.get(identity)) as Resource);
    }
  }
  return { objects: [...objects.values()], hosts: hosts.records, trouble: trouble.records };
}
