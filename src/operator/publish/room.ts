import type { ContentItem, GuestStoreRepository } from '../../api/resources.generated.ts';
import { type Bounds, boundsOf, type Egress, namespaceOf } from '../../core/bounds.ts';
import type { Entry, StoredEntry } from '../../core/catalog.ts';
import type { ObjectKey } from '../../core/names.ts';
import type { Failure } from '../../core/outcome.ts';
import { parseQuantity } from '../../core/quantity.ts';
import { type Draft, sizeOf } from './draft.ts';
import type { Pass } from './pass.ts';

/** The GuestStore model's ceiling. */
const modelCeiling = 512 * 2 ** 20;

/** Where an item's content is to lie. */
export interface Site {
  readonly item: ContentItem;
  readonly repository: ObjectKey;
  readonly spec: GuestStoreRepository['spec'];
  readonly draft: Draft;
}

/** Bytes that the content may have, and how to say what bounds them. Amounts of other people's content are not told. */
export interface Room {
  readonly bytes: number;
  readonly reason: 'TooLarge' | 'QuotaExceeded';
  readonly bound: string;
  readonly wayOut: string;
}

/** The narrowest bound of one item's size, whatever else lies there. */
function ceilingOf(pass: Pass, site: Site): Room {
  const { repository, spec, item } = site;
  const own: Room = {
    bytes: Math.min(modelCeiling, parseQuantity(String(spec.maxItemSize))),
    reason: 'TooLarge',
    bound: `the spec.maxItemSize (${spec.maxItemSize}) of repository ${repository}`,
    wayOut: 'Raise it, or name a smaller source.',
  };
  const given = [namespaceOf(repository), item.metadata.namespace].flatMap((namespace): Room[] => {
    const bytes = boundsIn(pass, spec, namespace)?.maxItemSize;
    if (bytes === undefined) return [];
    const bound = `the maxItemSize (${bytes.text}) that GuestStoreDatastore ${spec.datastore} gives namespace ${namespace}`;
    return [
      { ...own, bytes: bytes.bytes, bound, wayOut: 'Ask its administrator to raise it, or name a smaller source.' },
    ];
  });
  return narrowest([own, ...given]);
}

interface Quota extends Room {
  /** Bytes in use, the draft's changes included, and without them. */
  readonly used: number;
  readonly committed: number;
}

/** Quotas that the content counts against. */
function quotasOf(pass: Pass, { repository, spec, draft }: Site): Quota[] {
  const namespace = namespaceOf(repository);
  const quotas: Quota[] = [];
  if (spec.quota !== undefined) {
    const committed = pass.ledger.usage(repository).bytes;
    quotas.push({
      bytes: parseQuantity(String(spec.quota)),
      reason: 'QuotaExceeded',
      bound: `spec.quota (${spec.quota}) of repository ${repository}`,
      wayOut: 'Raise the quota, or remove items.',
      committed,
      used: committed + draft.grown(repository),
    });
  }
  const given = boundsIn(pass, spec, namespace)?.quota;
  if (given !== undefined) {
    const committed = pass.ledger.usageIn(spec.datastore, namespace);
    quotas.push({
      bytes: given.bytes,
      reason: 'QuotaExceeded',
      bound: `the quota (${given.text}) that GuestStoreDatastore ${spec.datastore} gives namespace ${namespace}`,
      wayOut: 'Remove items, or ask its administrator to raise it.',
      committed,
      used: committed + draft.grownIn(namespace),
    });
  }
  return quotas;
}

/** What the item may have before it is known how large it is. What it holds already it may go on holding. */
export function roomOf(pass: Pass, site: Site, committed: StoredEntry | undefined): Room {
  const held = committed?.size ?? 0;
  const left = quotasOf(pass, site).map((quota) => ({
    ...quota,
    bytes: Math.max(held, quota.bytes - quota.committed + held),
  }));
  return narrowest([ceilingOf(pass, site), ...left]);
}

/** A transfer knows only how much room it had: here it is said what made the room so small. */
export function roomFailure({ reason, bound, wayOut, bytes }: Room): Failure {
  const more = reason === 'TooLarge' ? `more than ${bytes} bytes, ${bound}` : `more bytes than ${bound} leaves`;
  const message = `The source has ${more}; nothing of it was kept. ${wayOut}`;
  return { reason, message, terminal: reason === 'TooLarge' };
}

/** Bytes that are here already may be more than is allowed since. */
export function ceilingFailure(pass: Pass, site: Site, size: number): Failure | undefined {
  const { bytes, bound, wayOut } = ceilingOf(pass, site);
  if (size <= bytes) return undefined;
  return { reason: 'TooLarge', message: `The source has ${size} bytes, more than ${bound}. ${wayOut}`, terminal: true };
}

/**
 * Items of one pass may each fit and together not: quotas are held again when they are drafted. Only who grows is
 * refused, so that a quota that is lowered changes nothing for what is published already.
 */
export function quotaFailure(pass: Pass, site: Site, size: number, before: Entry | undefined): Failure | undefined {
  const growth = size - sizeOf(before);
  if (growth <= 0) return undefined;
  const full = quotasOf(pass, site).find(({ used, bytes }) => used + growth > bytes);
  if (full === undefined) return undefined;
  const message = `The ${size} bytes of this item do not fit into ${full.bound}. ${full.wayOut}`;
  return { reason: 'QuotaExceeded', message, terminal: false };
}

/** Where an http source of the item may connect to; a failure where nothing says so for its namespace. */
export function egressOf(pass: Pass, { item, spec }: Site): Egress | undefined | Failure {
  const bounds = boundsOf(spec.datastore, item.metadata.namespace, pass.world.datastores, pass.world.namespaces);
  if (!('reason' in bounds)) return bounds.egress;
  const { namespace } = item.metadata;
  const message = `No rule of GuestStoreDatastore ${spec.datastore} fits namespace ${namespace}, so its http sources may connect nowhere. Ask its administrator for a rule, or use another source.`;
  return { reason: 'EgressNotPermitted', message, terminal: true };
}

/** Undefined where no rule fits: what that means is for who asks. */
function boundsIn(pass: Pass, spec: Site['spec'], namespace: string): Bounds | undefined {
  const bounds = boundsOf(spec.datastore, namespace, pass.world.datastores, pass.world.namespaces);
  return 'reason' in bounds ? undefined : bounds;
}

function narrowest<One extends Room>(rooms: readonly One[]): One {
  return rooms.reduce((least, one) => (one.bytes < least.bytes ? one : least));
}
