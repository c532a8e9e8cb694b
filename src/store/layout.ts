import { join } from 'node:path';
import { type Digest, hexOf } from '../core/digest.ts';
import { GuestStoreError } from '../lib/errors.ts';
import { createTemporaries } from './temporary.ts';

/** Where everything lies in one datastore. Docs: datastore.md, "Files". */
export interface Layout {
  /** The datastore itself: plain trees lie directly below it. */
  readonly folder: string;
  readonly store: string;
  readonly identity: string;
  readonly commits: string;
  commit(seq: number): string;
  readonly head: string;
  readonly objects: string;
  object(digest: Digest): string;
  readonly blobs: string;
  blob(digest: Digest): string;
  readonly hosts: string;
  readonly documents: string;
  readonly quarantine: string;
  readonly tmp: string;
  /** A new name in `tmp`. */
  temporary(): string;
  /** How far the plain trees have come. */
  readonly tree: string;
  /** Space kept for settings. */
  readonly reserve: string;
}

export function layoutOf(folder: string): Layout {
  const store = join(folder, '.gueststore');
  const objects = join(store, 'objects');
  const blobs = join(store, 'blobs', 'sha256');
  const commits = join(store, 'commits');
  const tmp = join(store, 'tmp');
  return {
    folder,
    store,
    identity: join(store, 'store.json'),
    commits,
    commit: (seq) => join(commits, String(seq)),
    head: join(store, 'HEAD'),
    objects,
    object: (digest) => `${objects}/${hexOf(digest).slice(0, 2)}/${hexOf(digest)}`,
    blobs,
    blob: (digest) => `${blobs}/${hexOf(digest).slice(0, 2)}/${hexOf(digest).slice(2)}`,
    hosts: join(store, 'hosts'),
    documents: join(store, 'status'),
    quarantine: join(store, 'quarantine'),
    tmp,
    temporary: createTemporaries(tmp),
    tree: join(store, 'tree.json'),
    reserve: join(store, 'reserve'),
  };
}

/** One segment of a file's name that we form from words of others (hosts, instances, documents), or `InvalidArgument`. */
export function safeName(name: string, what: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$/.test(name)) return name;
  const rule = 'letters, digits, ".", "_" and "-", beginning with a letter or digit, at most 253';
  throw new GuestStoreError('InvalidArgument', `${what} ${JSON.stringify(name)} cannot name a file: use ${rule}`);
}
