import type { ContentItem, GuestStoreRepository, GuestVM } from '../api/resources.generated.ts';
import { namespaceOf } from './bounds.ts';
import { compareKeys, keyNamedBy, type ObjectKey } from './names.ts';
import type { Failure } from './outcome.ts';
import { ownRepository, referRepository } from './permitted.ts';
import type { Labels } from './selector.ts';

/** Objects by whose references a repository is held, as far as those are permitted. */
export interface Referrers {
  readonly items: readonly ObjectKey[];
  readonly vms: readonly ObjectKey[];
}

/** The part of what is declared that references lead through. */
interface Declarations {
  readonly repositories: ReadonlyMap<ObjectKey, GuestStoreRepository>;
  readonly items: ReadonlyMap<ObjectKey, ContentItem>;
  readonly vms: ReadonlyMap<ObjectKey, GuestVM>;
  readonly namespaces: ReadonlyMap<string, Labels>;
}

/** Names of one namespace that a message gives; the others are counted. */
const maxNamed = 3;

/**
 * Who refers to each of the repositories: items and VMs that are not being deleted themselves, VMs also where they name
 * none and are served from it. A reference that the repository does not permit holds nothing: else anybody could.
 */
export function referrersOf(
  keys: ReadonlySet<ObjectKey>,
  { repositories, items, vms, namespaces }: Declarations,
): ReadonlyMap<ObjectKey, Referrers> {
  const found = new Map([...keys].map((key) => [key, { items: [] as ObjectKey[], vms: [] as ObjectKey[] }]));
  if (keys.size === 0) return found;
  for (const [key, { metadata, spec }] of items) {
    const { namespace, deletionTimestamp } = metadata;
    if (deletionTimestamp !== undefined || !keys.has(keyNamedBy(spec.repositoryRef, namespace))) continue;
    const referred = referRepository(spec.repositoryRef, namespace, 'items', repositories, namespaces);
    if ('key' in referred) found.get(referred.key)?.items.push(key);
  }
  const concerned = new Set([...keys].map(namespaceOf));
  for (const [key, { metadata, spec }] of vms) {
    const { namespace, deletionTimestamp } = metadata;
    const { repositoryRef } = spec;
    const near =
      repositoryRef === undefined ? concerned.has(namespace) : keys.has(keyNamedBy(repositoryRef, namespace));
    if (deletionTimestamp !== undefined || !near) continue;
    const referred =
      repositoryRef === undefined
        ? ownRepository(namespace, repositories)
        : referRepository(repositoryRef, namespace, 'vms', repositories, namespaces);
    if ('key' in referred) found.get(referred.key)?.vms.push(key);
  }
  return found;
}

/** What is said of a repository that is to be deleted and still referred to. Names of other namespaces do not show. */
export function referencesExist(repository: ObjectKey, { items, vms }: Referrers): Failure {
  const namespace = namespaceOf(repository);
  const own = [
    ...items.toSorted(compareKeys).map((key) => ['ContentItem', key] as const),
    ...vms.toSorted(compareKeys).map((key) => ['GuestVM', key] as const),
  ].filter(([, key]) => namespaceOf(key) === namespace);
  const named = own.slice(0, maxNamed).map(([kind, key]) => `${kind} ${key.slice(namespace.length + 1)}`);
  const more = own.length - named.length;
  const others = items.length + vms.length - own.length;
  const who = [
    ...named,
    ...(more > 0 ? [`${more} more of this namespace`] : []),
    ...(others > 0 ? [`${others} of other namespaces`] : []),
  ];
  const list = who.length > 1 ? `${who.slice(0, -1).join(', ')} and ${who.at(-1)}` : who.join('');
  const tighten = others > 0 ? ', or tighten spec.allow' : '';
  return {
    reason: 'ReferencesExist',
    message: `To be deleted, and kept in use while it is referred to: by ${list}. Delete those, or let them name another repository${tighten}; then it goes by itself.`,
    terminal: false,
  };
}
