import { createHash } from 'node:crypto';
import type { ContentItem } from '../../api/resources.generated.ts';
import type { Egress } from '../../core/bounds.ts';
import type { StoredEntry } from '../../core/catalog.ts';
import { sourceFingerprint } from '../../core/desired-item.ts';
import { type Digest, isDigest } from '../../core/digest.ts';
import { parseDuration } from '../../core/duration.ts';
import { keyOf, type ObjectKey } from '../../core/names.ts';
import { type Failure, failureOf } from '../../core/outcome.ts';
import { asGuestStoreError, GuestStoreError } from '../../lib/errors.ts';
import { configMapBytes, inlineBytes, secretBytes } from '../../sources/inline.ts';
import type { OpenImport } from '../../sources/types.ts';
import type { StoreWriter } from '../../store/types.ts';
import type { World } from '../types.ts';
import type { Fetcher } from './fetcher.ts';

/** What an item's source gave, as far as it is known now. */
export interface Attempt {
  /** In `blobs/`, ready to be named by an entry. */
  readonly content:
    | { readonly digest: Digest; readonly size: number; readonly sensitive: boolean; readonly sourceRevision: string }
    | undefined;
  /** Why there is none. */
  readonly failure: Failure | undefined;
  /** Trouble in asking a source again, whose content is known already. */
  readonly sourceFailure: Failure | undefined;
  readonly fetching: boolean;
  /** Whether the source was asked since it was last requested. */
  readonly answered: boolean;
}

export interface Wanted {
  /** Of the pass. */
  readonly world: World;
  readonly item: ContentItem;
  /** What is published at the item's path, where it holds that path. */
  readonly committed: StoredEntry | undefined;
  /** Bytes that one file may have, and that the repository has left. */
  readonly maxSize: number;
  readonly interval: string;
  /** Where an http source may connect to, or why nowhere. */
  readonly egress: Egress | Failure | undefined;
  readonly writer: StoreWriter;
  /** A request that nobody answered yet: the source is asked now, whatever is known of it. */
  readonly request: string | undefined;
}

/** Turns an item's source into bytes in the datastore: local ones at once, remote ones in the background. */
export interface Contents {
  resolve(wanted: Wanted, signal: AbortSignal): Promise<Attempt>;
  forget(item: ObjectKey): void;
}

export interface ContentsOptions {
  readonly fetcher: Fetcher;
  readonly openImport: OpenImport;
  /** Import folder by namespace; `''` is for all, where a namespace has none of its own. */
  readonly importFolders: ReadonlyMap<string, string>;
  /** Called as bytes of a large file come in: a pass that reads one goes on. */
  readonly onBytes?: () => void;
}

export function createContents(options: ContentsOptions): Contents {
  const { fetcher } = options;

  async function resolve(wanted: Wanted, signal: AbortSignal): Promise<Attempt> {
    const { item } = wanted;
    try {
      if (item.spec.source.http !== undefined) return fetched(wanted, item.spec.source.http.url);
      fetcher.forget(keyOf(item.metadata));
      if (item.spec.source.file !== undefined) {
        return known(await imported(wanted, item.spec.source.file.path, signal));
      }
      const { bytes, sensitive } = await localBytes(item, wanted.world, signal);
      return known(await stored(wanted, bytes, sensitive, signal));
    } catch (thrown) {
      signal.throwIfAborted();
      return {
        content: undefined,
        failure: failureOf(asGuestStoreError(thrown)),
        sourceFailure: undefined,
        fetching: false,
        answered: true,
      };
    }
  }

  function fetched(wanted: Wanted, url: string): Attempt {
    const { item, committed, writer, maxSize } = wanted;
    const { digest } = item.spec;
    if (digest === undefined || !isDigest(digest)) {
      throw new GuestStoreError(
        'InvalidManifest',
        'spec.digest is required for spec.source.http: sha256: and 64 hexadecimal digits',
      );
    }
    const have =
      committed?.digest === digest
        ? { digest, size: committed.size, sourceRevision: item.status.sourceRevision ?? '' }
        : undefined;
    if (wanted.egress !== undefined && 'reason' in wanted.egress) {
      // What came before stays.
      fetcher.forget(keyOf(item.metadata));
      const content = have && { ...have, sensitive: false };
      const failure = content === undefined ? wanted.egress : undefined;
      return { content, failure, sourceFailure: wanted.egress, fetching: false, answered: true };
    }
    const state = fetcher.ensure(keyOf(item.metadata), {
      fingerprint: sourceFingerprint(item),
      url,
      expected: digest,
      maxSize,
      writer,
      interval: parseDuration(wanted.interval),
      egress: wanted.egress,
      have,
      request: wanted.request,
    });
    const content = state.content === undefined ? undefined : { ...state.content, sensitive: false };
    return {
      content,
      failure: content === undefined ? state.failure : undefined,
      sourceFailure: state.failure,
      fetching: content === undefined && state.failure === undefined,
      answered: wanted.request === undefined || state.answered === wanted.request,
    };
  }

  async function imported(wanted: Wanted, path: string, signal: AbortSignal): Promise<Attempt['content']> {
    const { item, committed, writer, maxSize } = wanted;
    const { namespace } = item.metadata;
    const folder = options.importFolders.get(namespace) ?? options.importFolders.get('');
    if (folder === undefined) {
      throw new GuestStoreError(
        'SourceRefused',
        `spec.source.file: namespace ${namespace} has no import folder; start the operator with --import-dir ${namespace}=DIR.`,
      );
    }
    const file = await options.openImport(folder, path, signal);
    const { status } = item;
    const unchanged =
      wanted.request === undefined &&
      committed !== undefined &&
      status.sourceRevision === file.sourceRevision &&
      status.digest === committed.digest &&
      (item.spec.digest ?? committed.digest) === committed.digest;
    if (unchanged) {
      await file.bytes[Symbol.asyncIterator]().return?.();
      return { digest: committed.digest, size: committed.size, sensitive: false, sourceRevision: file.sourceRevision };
    }
    const blob = await writer.putBlob(
      told(file.bytes, options.onBytes),
      { maxSize, expected: expectedOf(item) },
      signal,
    );
    return { ...blob, sensitive: false, sourceRevision: file.sourceRevision };
  }

  return { resolve, forget: (item) => fetcher.forget(item) };
}

async function* told(bytes: AsyncIterable<Uint8Array>, onBytes = () => {}): AsyncIterable<Uint8Array> {
  for await (const chunk of bytes) {
    onBytes();
    yield chunk;
  }
}

/** Bytes that stand in the item or in an object beside it. Throws what the item's status then says. */
export async function localBytes(item: ContentItem, world: World, signal: AbortSignal) {
  const { inline, configMapKeyRef, secretKeyRef } = item.spec.source;
  const { namespace } = item.metadata;
  if (inline !== undefined) return { bytes: inlineBytes(inline), sensitive: false };
  if (configMapKeyRef !== undefined) {
    const data = await world.configMap(namespace, configMapKeyRef.name, signal);
    if (data === undefined) throw missing('ConfigMap', namespace, configMapKeyRef.name);
    return { bytes: configMapBytes(data, configMapKeyRef.key), sensitive: false };
  }
  if (secretKeyRef !== undefined) {
    const data = await world.secret(namespace, secretKeyRef.name, signal);
    if (data === undefined) throw missing('Secret', namespace, secretKeyRef.name);
    return { bytes: secretBytes(data, secretKeyRef.key), sensitive: true };
  }
  throw new GuestStoreError('InvalidManifest', 'spec.source names no source that is known');
}

/** Writes bytes that are in memory; none where they are what is published already. */
async function stored(wanted: Wanted, bytes: Uint8Array, sensitive: boolean, signal: AbortSignal) {
  const { item, committed, maxSize, writer } = wanted;
  const digest: Digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const same = committed?.digest === digest && (committed.sensitive ?? false) === sensitive;
  const expected = expectedOf(item);
  const fits = bytes.length <= maxSize && (expected === undefined || expected === digest);
  // Bytes may be there without being published, where something keeps them from it: trying again writes nothing.
  const there = fits && (same || (!sensitive && (await writer.hasBlob(digest))));
  // The writer says what is wrong where something is; where all is well and there already, it need not be asked.
  const blob = there
    ? { digest, size: bytes.length }
    : await writer.putBlob([bytes], { maxSize, expected, sensitive }, signal);
  return { ...blob, sensitive, sourceRevision: '' };
}

function expectedOf({ spec }: ContentItem): Digest | undefined {
  return spec.digest !== undefined && isDigest(spec.digest) ? spec.digest : undefined;
}

function known(content: Attempt['content']): Attempt {
  return { content, failure: undefined, sourceFailure: undefined, fetching: false, answered: true };
}

function missing(kind: string, namespace: string, name: string): GuestStoreError {
  return new GuestStoreError('SourceNotFound', `There is no ${kind} ${namespace}/${name}; create it or name another.`);
}
