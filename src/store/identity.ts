import { randomUUID } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { errnoOf, GuestStoreError } from '../lib/errors.ts';
import { canonicalJson } from './canonical.ts';
import { createDurable, syncFolder } from './durable.ts';
import { attempt, storeFailure, unlessMissing } from './failure.ts';
import { corrupt } from './fields.ts';
import { readableFormats, storeFormat } from './format.ts';
import type { Layout } from './layout.ts';
import { parseIdentity } from './records.ts';
import type { StoreIdentity } from './types.ts';

/** Bytes: no record about the store as a whole is longer. */
const maxBytes = 65_536;

/** Undefined where no store lies (yet). Throws `FormatNotSupported` for the store of a newer version. */
export async function readIdentity(layout: Layout): Promise<StoreIdentity | undefined> {
  const { identity: path } = layout;
  const text = await attempt('read', path, () => unlessMissing(() => readFile(path, 'utf8')));
  if (text === undefined) return undefined;
  if (text.length > maxBytes) throw corrupt(`datastore: ${path} is too long to be a store's identity`);
  const identity = parseIdentity(text, `datastore: ${path}`);
  if (readableFormats.includes(identity.format)) return identity;
  const message = `datastore: ${path} has format ${identity.format}, this version knows ${readableFormats.join(', ')}; upgrade it`;
  throw new GuestStoreError('FormatNotSupported', message);
}

/** A store that was found, or made by this very call: then nobody else can have written to it yet. */
export interface ClaimedStore {
  readonly identity: StoreIdentity;
  readonly made: boolean;
}

/**
 * The store's identity, made now if the folder holds none. Throws `ForeignStore` when another installation owns it, and
 * `StoreUnavailable` when the folder is missing (it is made only when `create` says so).
 */
export async function claimIdentity(layout: Layout, installation: string, create: boolean): Promise<ClaimedStore> {
  await requireFolder(layout.folder, create);
  const found = await readIdentity(layout);
  const { identity, made } =
    found === undefined ? await initialise(layout, installation) : { identity: found, made: false };
  if (identity.installation === installation) return { identity, made };
  const message =
    `datastore: ${layout.folder} belongs to installation "${identity.installation}", this is "${installation}"; ` +
    'use a folder of its own for each installation';
  throw new GuestStoreError('ForeignStore', message);
}

/** Throws `StoreUnavailable` unless the store that was opened still lies there: nothing is re-created on another disk. */
export async function confirmIdentity(layout: Layout, expected: StoreIdentity): Promise<void> {
  const found = await readIdentity(layout);
  if (found?.id === expected.id && found.installation === expected.installation) return;
  const what = found === undefined ? 'holds no store any more' : `holds another store (${found.id})`;
  const message = `datastore: ${layout.folder} ${what}, expected ${expected.id}; see that the right file system is mounted there`;
  throw new GuestStoreError('StoreUnavailable', message);
}

async function requireFolder(folder: string, create: boolean): Promise<void> {
  if (create) await attempt('make', folder, () => mkdir(folder, { recursive: true }));
  const found = await attempt('open', folder, () => stat(folder));
  if (!found.isDirectory())
    throw new GuestStoreError('StoreUnavailable', `datastore: ${folder} is not a folder; name one`);
}

async function initialise(layout: Layout, installation: string): Promise<ClaimedStore> {
  const commits = await attempt('read', layout.commits, () => unlessMissing(() => readdir(layout.commits)));
  if (commits !== undefined && commits.length > 0) {
    const message = `datastore: ${layout.identity} is missing, though revisions lie beside it; restore it from a backup`;
    throw new GuestStoreError('StoreCorrupt', message);
  }
  await makeFolders(layout);
  const identity: StoreIdentity = { format: storeFormat, id: randomUUID(), installation };
  const created = await createDurable(layout, layout.identity, `${canonicalJson(identity)}\n`);
  await attempt('write to disk', layout.store, () => syncFolder(layout.store));
  if (created) return { identity, made: true };
  // Somebody else was quicker: theirs counts.
  const found = await readIdentity(layout);
  if (found === undefined) throw corrupt(`datastore: ${layout.identity} vanished while it was read; try again`);
  return { identity: found, made: false };
}

async function makeFolders(layout: Layout): Promise<void> {
  const { store, commits, objects, blobs, hosts, documents, quarantine, tmp } = layout;
  try {
    for (const folder of [store, commits, objects, `${store}/blobs`, blobs, hosts, documents, quarantine, tmp])
      await mkdir(folder, { mode: 0o700 }).catch(ignoreExisting);
    chmodSync(store, 0o700);
    await syncFolder(store);
    await syncFolder(layout.folder);
  } catch (thrown) {
    throw storeFailure(thrown, 'make the store in', layout.folder);
  }
}

function ignoreExisting(thrown: unknown): void {
  if (errnoOf(thrown) !== 'EEXIST') throw thrown;
}
