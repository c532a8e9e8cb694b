import type { Metadata } from '../api/metadata.ts';

/** The annotation by which people ask for a look now. Any value that was not there before asks anew. */
export const requestAnnotation = 'gueststore.dev/requestedAt';

/** What the schema takes as `status.lastHandledReconcileAt`; a longer value is cut there, and compared as cut. */
const longest = 64;

/** What the object's annotation asks for, as status will answer it; undefined where nobody asks. */
export function requestOf({ annotations }: Pick<Metadata, 'annotations'>): string | undefined {
  const value = annotations?.[requestAnnotation];
  return value === undefined || value === '' ? undefined : [...value].slice(0, longest).join('');
}
