import type { ContentItem, GuestStoreRepository } from '../api/resources.generated.ts';
import { asGuestStoreError } from '../lib/errors.ts';
import { type ContentPath, parseContentPath } from './content-path.ts';
import type { ObjectKey } from './names.ts';
import { type Failure, failureOf } from './outcome.ts';
import { referRepository } from './permitted.ts';
import type { Labels } from './selector.ts';

/** Where an item's content is to lie, or why it cannot. */
export type ItemTarget =
  | {
      readonly repository: ObjectKey;
      readonly spec: GuestStoreRepository['spec'];
      readonly path: ContentPath;
      /** Why nothing can come there; the path is claimed all the same, since it is declared. */
      readonly unsupported: Failure | undefined;
    }
  | { readonly failure: Failure };

const sourcesOfLater = ['oci', 'git', 's3', 'artifact', 'existing', 'catalog'] as const;

export function itemTarget(
  item: ContentItem,
  repositories: ReadonlyMap<ObjectKey, GuestStoreRepository>,
  namespaces: ReadonlyMap<string, Labels>,
): ItemTarget {
  try {
    const path = parseContentPath(item.spec.path);
    const namespace = item.metadata.namespace;
    const referred = referRepository(item.spec.repositoryRef, namespace, 'items', repositories, namespaces);
    if ('failure' in referred) return referred;
    return { repository: referred.key, spec: referred.repository.spec, path, unsupported: unsupportedOfItem(item) };
  } catch (error) {
    const failure = failureOf(asGuestStoreError(error));
    if (failure.reason !== 'InvalidPath') return { failure };
    return { failure: { ...failure, message: `spec.path: ${failure.message}; correct it.` } };
  }
}

/** Unlike a field that merely adds something, these decide what is published, or whether it may be. */
function unsupportedOfItem({ spec }: ContentItem): Failure | undefined {
  const source = sourcesOfLater.find((kind) => spec.source[kind] !== undefined);
  const fields = [
    ...(source === undefined ? [] : [`spec.source.${source}`]),
    ...(spec.verify !== undefined && spec.verify.length > 0 ? ['spec.verify'] : []),
    ...(spec.extract === undefined ? [] : ['spec.extract']),
  ];
  if (fields.length === 0) return undefined;
  const message = `Not supported by this version: ${fields.join(', ')}. Nothing is published for this item; guests that ask for its path get an error. Leave that out, or use a later version.`;
  return { reason: 'NotSupportedYet', message, terminal: true };
}

/** Changes exactly when the item asks for other bytes: the source and the digest it must have. */
export function sourceFingerprint({ spec }: ContentItem): string {
  return JSON.stringify([spec.source, spec.digest ?? null]);
}
