import type { ContentItem, GuestStoreRepository } from '../api/resources.generated.ts';
import { asGuestStoreError } from '../lib/errors.ts';
import { type ContentPath, parseContentPath } from './content-path.ts';
import type { ObjectKey } from './names.ts';
import { type Failure, failureOf } from './outcome.ts';
import { referRepository } from './permitted.ts';
import type { Labels } from './selector.ts';

/** Where an item's content is to lie, or why it cannot. */
export type ItemTarget =
  | { readonly repository: ObjectKey; readonly spec: GuestStoreRepository['spec']; readonly path: ContentPath }
  | { readonly failure: Failure };

const sourcesOfLater = ['oci', 'git', 's3', 'artifact', 'existing', 'catalog'] as const;

export function itemTarget(
  item: ContentItem,
  repositories: ReadonlyMap<ObjectKey, GuestStoreRepository>,
  namespaces: ReadonlyMap<string, Labels>,
): ItemTarget {
  const unsupported = unsupportedOfItem(item);
  if (unsupported !== undefined) {
    // Unlike a field that merely adds something, these decide what is published, or whether it may be.
    const message = `${unsupported} is not supported by this version; nothing is published for this item.`;
    return { failure: { reason: 'NotSupportedYet', message, terminal: true } };
  }
  try {
    const path = parseContentPath(item.spec.path);
    const namespace = item.metadata.namespace;
    const referred = referRepository(item.spec.repositoryRef, namespace, 'items', repositories, namespaces);
    if ('failure' in referred) return referred;
    return { repository: referred.key, spec: referred.repository.spec, path };
  } catch (error) {
    return { failure: failureOf(asGuestStoreError(error)) };
  }
}

function unsupportedOfItem({ spec }: ContentItem): string | undefined {
  const source = sourcesOfLater.find((kind) => spec.source[kind] !== undefined);
  if (source !== undefined) return `spec.source.${source}`;
  if (spec.verify !== undefined && spec.verify.length > 0) return 'spec.verify';
  if (spec.extract !== undefined) return 'spec.extract';
  return undefined;
}

/** Changes exactly when the item asks for other bytes: the source and the digest it must have. */
export function sourceFingerprint({ spec }: ContentItem): string {
  return JSON.stringify([spec.source, spec.digest ?? null]);
}
