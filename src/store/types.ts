import type { Entry, RepositoryRow } from '../core/catalog.ts';
import type { ContentPath } from '../core/content-path.ts';
import type { Digest } from '../core/digest.ts';
import type { ObjectKey } from '../core/names.ts';
import type { RuleSet, VmRow } from '../core/settings.ts';

/** `.gueststore/store.json`. */
export interface StoreIdentity {
  readonly format: number;
  /** Random; tells this datastore from an empty disk that took its place. */
  readonly id: string;
  /** The installation that may write here. */
  readonly installation: string;
}

/** `.gueststore/commits/<seq>`: one revision. */
export interface Commit {
  readonly format: number;
  readonly seq: number;
  /** Digest of the parent commit's bytes; null for the first. */
  readonly parent: Digest | null;
  readonly epoch: number;
  /** Who wrote it, for people: the name under which the operator stood for its Lease. Empty where that is not known. */
  readonly by: string;
  /** Digest of the index object; equal to the parent's for a commit that only claims an epoch. */
  readonly index: Digest;
  readonly cause: Cause;
  /** RFC 3339 in UTC. */
  readonly at: string;
  readonly critical: readonly string[];
  /** Ed25519 over the commit without this field; null: unsigned. */
  readonly signature: string | null;
}

/** Why a revision was made, for people. */
export interface Cause {
  /** `observed` for a pass over manifests, `epoch` for a claim. */
  readonly kind: 'observed' | 'epoch';
  readonly summary: string;
}

/** A revision's difference from the one before. Undefined removes; what is not named stays as it is. */
export interface StoreChange {
  readonly repositories: ReadonlyMap<ObjectKey, RepositoryRow | undefined>;
  readonly entries: ReadonlyMap<ObjectKey, ReadonlyMap<ContentPath, Entry | undefined>>;
  readonly vms: ReadonlyMap<ObjectKey, VmRow | undefined>;
  /** Those that the VM rows of this change name; ones the store has already are not written again. */
  readonly ruleSets: ReadonlyMap<Digest, RuleSet>;
}

/** One revision, whole, for reading. Immutable: a request that holds one sees nothing of later ones. */
export interface Snapshot {
  readonly seq: number;
  readonly commit: Commit;
  readonly repositories: ReadonlyMap<ObjectKey, RepositoryRow>;
  find(repository: ObjectKey, path: ContentPath): Entry | undefined;
  entries(repository: ObjectKey): Iterable<readonly [ContentPath, Entry]>;
  /** Digest of a repository's catalog: equal digests, equal content. */
  catalogDigest(repository: ObjectKey): Digest | undefined;
  vm(key: ObjectKey): VmRow | undefined;
  vms(): Iterable<readonly [ObjectKey, VmRow]>;
  /** The same in groups: a reader's next revision has the very same map where nothing in it changed. */
  vmGroups(): Iterable<ReadonlyMap<ObjectKey, VmRow>>;
  ruleSet(digest: Digest): RuleSet | undefined;
}

/** Bytes that lie in `blobs/`, complete and hashed. */
export interface Blob {
  readonly digest: Digest;
  readonly size: number;
}

/** Bounds on bytes that are on their way in; crossing one ends the transfer at once and keeps nothing. */
export interface Limits {
  /** Bytes. */
  readonly maxSize: number;
  /** Refused with DigestMismatch when the bytes turn out otherwise. */
  readonly expected?: Digest | undefined;
  readonly sensitive?: boolean | undefined;
}

/** `hosts/<host>/<instance>.json`: what one daemon process says of itself. */
export interface Acknowledgement {
  readonly host: string;
  readonly instance: string;
  /** Highest seq that this daemon serves; 0 while it has none. */
  readonly seq: number;
  /** RFC 3339 in UTC; written every 5 s, fresh for 20 s. */
  readonly heartbeat: string;
  readonly startedAt: string;
  readonly pid: number;
  /** Machine boot and start time of the process, so that who comes after can prove that it is gone. */
  readonly process: string;
  /** Store formats that it can read. */
  readonly formats: readonly number[];
  readonly version: string;
  /** Bytes free where it keeps content. */
  readonly space: { readonly free: number; readonly total: number } | null;
  /** VMs that it cannot serve as asked, and why: reason and message, keyed by `namespace/name`. */
  readonly refused: Readonly<Record<string, { readonly reason: string; readonly message: string }>>;
  /** Trouble with the store itself: the last unreadable seq, digest mismatches. */
  readonly errors: readonly { readonly code: string; readonly message: string }[];
}

/** Writes one datastore. One at a time owns an epoch; a writer that finds a higher one throws `Superseded`. */
export interface StoreWriter {
  readonly identity: StoreIdentity;
  /** What was last committed, as this writer knows it. */
  readonly snapshot: Snapshot;
  /**
   * Paths of the last revision that the plain tree could not be given, with the reason for people. Guests are served all
   * the same. Tried again with each publication, also one that changes nothing.
   */
  readonly blocked: ReadonlyMap<ObjectKey, ReadonlyMap<ContentPath, string>>;
  /** Files of ours in the plain trees that no revision holds any more and that could not be removed, and why. */
  readonly leftovers: readonly { readonly root: string; readonly path: ContentPath; readonly reason: string }[];
  /** Why the plain trees as a whole lag behind the last revision; undefined when they do not. */
  readonly treeTrouble: Error | undefined;
  /**
   * Hashes while writing to `tmp/`, then moves to `blobs/`. Throws `TooLarge` or `DigestMismatch` and keeps nothing;
   * `StoreUnavailable` (errno name in the message) for trouble with the file system.
   */
  putBlob(source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>, limits: Limits, signal: AbortSignal): Promise<Blob>;
  hasBlob(digest: Digest): Promise<boolean>;
  /** Files of somebody else at paths that this change would write to in the plain tree. Reads only. */
  findForeign(change: StoreChange): Promise<ReadonlyMap<ObjectKey, ReadonlyMap<ContentPath, string>>>;
  /**
   * Makes the change the next revision; returns undefined, having written nothing, when it changes nothing. Throws
   * `Superseded` (for good), `StoreUnavailable` or `StoreCorrupt`; then `snapshot` still says what the store holds, which
   * is the new revision if only the last step, forcing it onto disk, failed.
   */
  publish(change: StoreChange, cause: Cause, signal: AbortSignal): Promise<Commit | undefined>;
  acknowledgements(): Promise<readonly Acknowledgement[]>;
  /** Removes what silent daemons of a host left; what a living one says stays. */
  forgetHost(host: string): Promise<void>;
  /** Small documents that `up` keeps (`status/`): replaced whole, durable. */
  readDocument(name: string): Promise<Uint8Array | undefined>;
  writeDocument(name: string, bytes: Uint8Array): Promise<void>;
  removeDocument(name: string): Promise<void>;
  documents(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** Reads one datastore, follows its commits, and keeps the last good revision when the next cannot be read. */
export interface StoreReader {
  readonly current: Snapshot | undefined;
  /** Why the newest commit is not `current`; undefined when it is. */
  readonly trouble: Error | undefined;
  /** Looks at once; resolves when what lies there is loaded or refused. */
  refresh(): Promise<void>;
  /** Called after each change of `current`, with the new one. */
  onChange(listener: (snapshot: Snapshot) => void): void;
  /** Where a blob's bytes lie. */
  blobPath(digest: Digest): string;
  acknowledge(acknowledgement: Acknowledgement): Promise<void>;
  withdraw(host: string, instance: string): Promise<void>;
  close(): Promise<void>;
}
