import type { GuestStoreDatastore } from '../api/resources.generated.ts';
import type { ObjectKey } from './names.ts';
import type { Failure } from './outcome.ts';
import { parseQuantity } from './quantity.ts';
import { type Labels, labelsOfNamespace, selects } from './selector.ts';

/** Where http sources may connect to, besides what is refused to everybody. */
export interface Egress {
  /** Names, a leading `*.` for one or more labels; undefined for any. */
  readonly hosts: readonly string[] | undefined;
  /** Ranges of addresses; undefined for any. */
  readonly cidrs: readonly string[] | undefined;
  readonly loopback: boolean;
}

/** What a namespace may do with a datastore. Fields of its resources only tighten it. */
export interface Bounds {
  /** Folders at or below which roots must lie; undefined for anywhere. */
  readonly roots: readonly string[] | undefined;
  /** Bytes of all that the namespace keeps in the datastore. */
  readonly quota: Amount | undefined;
  /** Bytes of one item. */
  readonly maxItemSize: Amount | undefined;
  readonly leastPosture: 'Open' | 'Closed';
  /** Undefined for anywhere that sources may connect to at all. */
  readonly egress: Egress | undefined;
}

/** Bytes, and how they are written. */
interface Amount {
  readonly bytes: number;
  readonly text: string;
}

type Datastores = ReadonlyMap<string, GuestStoreDatastore>;
type Namespaces = ReadonlyMap<string, Labels>;

/** Of a datastore that no GuestStoreDatastore speaks of: the installation is for a single tenant. */
const unbounded: Bounds = {
  roots: undefined,
  quota: undefined,
  maxItemSize: undefined,
  leastPosture: 'Open',
  egress: undefined,
};

/** What `namespace` may do with the datastore of that name, by the first rule that fits it; or why nothing. */
export function boundsOf(
  datastore: string,
  namespace: string,
  datastores: Datastores,
  namespaces: Namespaces,
): Bounds | Failure {
  const object = datastores.get(datastore);
  if (object === undefined) return unbounded;
  const labels = labelsOfNamespace(namespaces, namespace);
  const rule = object.spec.namespaces.find(({ from, selector }) => from === 'All' || selects(selector ?? {}, labels));
  if (rule === undefined) {
    const message = `No rule of GuestStoreDatastore ${datastore} fits namespace ${namespace}: nothing new is published; what is published stays. Ask its administrator for a rule, or name another datastore.`;
    return { reason: 'DatastoreNotPermitted', message, terminal: true };
  }
  const { hosts, cidrs, loopback } = rule.egress;
  return {
    roots: rule.roots.map((root) => root.replaceAll(placeholder, namespace)),
    quota: amountOf(rule.quota),
    maxItemSize: amountOf(rule.maxItemSize),
    leastPosture: rule.leastPosture,
    egress: { hosts, cidrs, loopback },
  };
}

// biome-ignore lint/suspicious/noTemplateCurlyInString: as people write it in the resource.
const placeholder = '${namespace}';

/** Why a repository may not lie at `root`; undefined where it may. */
export function rootRefusal({ roots }: Bounds, root: string, datastore: string): Failure | undefined {
  if (roots === undefined || roots.some((prefix) => root === prefix || root.startsWith(`${prefix}/`))) return undefined;
  const message = `spec.root "${root}" lies outside of what GuestStoreDatastore ${datastore} gives this namespace: choose a root at or below ${roots.join(', ') || 'nothing'}.`;
  return { reason: 'RootNotPermitted', message, terminal: true };
}

/** Why the repository of that key, which lies at `root`, may publish nothing new; undefined where it may. */
export function useRefusal(
  key: ObjectKey,
  datastore: string,
  root: string,
  datastores: Datastores,
  namespaces: Namespaces,
): Failure | undefined {
  const bounds = boundsOf(datastore, namespaceOf(key), datastores, namespaces);
  return 'reason' in bounds ? bounds : rootRefusal(bounds, root, datastore);
}

export function namespaceOf(key: ObjectKey): string {
  return key.slice(0, key.indexOf('/'));
}

function amountOf(quantity: number | string | undefined): Amount | undefined {
  return quantity === undefined ? undefined : { bytes: parseQuantity(String(quantity)), text: String(quantity) };
}
