import type { Egress } from '../core/bounds.ts';

/**
 * A source meets hostile bytes. It gets a job and gives bytes; it sees no token, key or datastore, so that it can live
 * in a process of its own. Whoever asked hashes and bounds what comes.
 */
export interface Fetched {
  /** What the source calls this version (an ETag, a file's time and size), for status and the next interval; never secret. */
  readonly sourceRevision: string;
  /** Bytes announced by the source, where it says so. */
  readonly size: number | undefined;
  /** The content, in order, once. Ends in a GuestStoreError when the source fails for good. */
  readonly bytes: AsyncIterable<Uint8Array>;
}

export interface HttpJob {
  readonly url: string;
  /** `sourceRevision` of what the caller has; the answer may then be `unchanged`. */
  readonly known: string | undefined;
  /** Bytes; an announced size above it is refused before a byte of the body is read, more bytes end the transfer. */
  readonly maxSize: number;
  /** Where it may connect to besides; undefined: wherever any source may. */
  readonly egress?: Egress | undefined;
}

export type HttpAnswer = { readonly outcome: 'unchanged' } | ({ readonly outcome: 'fetched' } & Fetched);

/** Fetches over http or https. Throws GuestStoreError: SourceNotFound, SourceRefused, SourceUnavailable, SourceStalled, TooLarge. */
export type FetchHttp = (job: HttpJob, signal: AbortSignal) => Promise<HttpAnswer>;

/** Opens a file below an import folder. Throws SourceNotFound, SourceRefused (outside the folder, not a regular file), SourceUnavailable. */
export type OpenImport = (folder: string, path: string, signal: AbortSignal) => Promise<Fetched>;
