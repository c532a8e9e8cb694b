import type { Digest } from './digest.ts';
import type { ObjectKey } from './names.ts';

/**
 * What a repository says of one content path. Three kinds of absence are told apart, so that "not found" is always a
 * decision: an entry that is not here yet (`pending`), one whose item is gone (`retired`), and no entry at all.
 */
export type Entry = StoredEntry | PendingEntry | RetiredEntry;

interface Claimed {
  /** The ContentItem (`namespace/name`) that holds the path; first come keeps it. */
  readonly claim: ObjectKey;
  /** Extensions that a reader must understand to serve this entry; an unknown name here means 503, not a guess. */
  readonly critical?: readonly string[];
}

export interface StoredEntry extends Claimed {
  readonly state: 'stored';
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** When these bytes were published at this path, RFC 3339 in UTC. */
  readonly since: string;
  /** Came from a Secret: mode 0600, never in the plain tree. */
  readonly sensitive?: true;
}

/** Claimed, and its bytes have never been here: trouble (503), never "not found". */
export interface PendingEntry extends Claimed {
  readonly state: 'pending';
}

/** The item is gone; the old bytes are served until `until`, then the path is not found. */
export interface RetiredEntry extends Claimed {
  readonly state: 'retired';
  readonly digest: Digest;
  readonly size: number;
  readonly since: string;
  /** RFC 3339 in UTC; from then on readers answer 404, also before the operator removed the entry. */
  readonly until: string;
  readonly sensitive?: true;
}

/** One repository as the datastore records it, without its catalog. */
export interface RepositoryRow {
  /** Folder of the plain tree, relative to the datastore, without leading or trailing `/`. */
  readonly root: string;
  readonly plainTree: 'Publish' | 'None';
  /** False: a path without an entry is trouble (503), because the repository does not know its whole tree yet. */
  readonly authoritative: boolean;
  /** Extensions that a reader must understand to serve from this repository. */
  readonly critical?: readonly string[];
}
