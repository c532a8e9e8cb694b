import type { ContentPath } from '../../core/content-path.ts';
import type { ObjectKey } from '../../core/names.ts';

interface Place {
  readonly repository: ObjectKey;
  readonly path: ContentPath;
}

/** Which items ask for which path: who must be looked at again when a path becomes free. */
export interface Paths {
  want(item: ObjectKey, place: Place | undefined): void;
  wanting(place: Place): Iterable<ObjectKey>;
}

export function createPaths(): Paths {
  const byItem = new Map<ObjectKey, string>();
  const byPlace = new Map<string, Set<ObjectKey>>();
  // A content path has no line feed.
  const name = ({ repository, path }: Place) => `${repository}\n${path}`;
  return {
    want: (item, place) => {
      const before = byItem.get(item);
      const after = place && name(place);
      if (before === after) return;
      if (before !== undefined) {
        const items = byPlace.get(before);
        items?.delete(item);
        if (items?.size === 0) byPlace.delete(before);
        byItem.delete(item);
      }
      if (after === undefined) return;
      byItem.set(item, after);
      const items = byPlace.get(after) ?? new Set<ObjectKey>();
      byPlace.set(after, items.add(item));
    },
    wanting: (place) => byPlace.get(name(place)) ?? [],
  };
}
