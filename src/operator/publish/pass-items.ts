import type { ContentItem, GuestStoreRepository } from '../../api/resources.generated.ts';
import { namespaceOf, useRefusal } from '../../core/bounds.ts';
import type { Entry } from '../../core/catalog.ts';
import type { ContentPath } from '../../core/content-path.ts';
import { itemTarget } from '../../core/desired-item.ts';
import { parseDuration } from '../../core/duration.ts';
import type { ObjectKey } from '../../core/names.ts';
import type { Failure, ItemOutcome } from '../../core/outcome.ts';
import { requestOf } from '../../core/reconcile-request.ts';
import { createBreath } from '../../lib/lifecycle.ts';
import type { StoreWriter } from '../../store/types.ts';
import type { Attempt, Contents } from './contents.ts';
import type { Draft } from './draft.ts';
import type { Claim } from './ledger.ts';
import { declared, isSuspended, type Pass } from './pass.ts';
import type { Paths } from './paths.ts';
import { ceilingFailure, egressOf, quotaFailure, type Room, roomFailure, roomOf } from './room.ts';

/** How many local sources are read at once. */
const readers = 16;

interface Ground {
  readonly item: ContentItem;
  readonly repository: ObjectKey;
  readonly spec: GuestStoreRepository['spec'];
  readonly path: ContentPath;
  readonly draft: Draft;
  readonly writer: StoreWriter;
  readonly unsupported: Failure | undefined;
}

interface Resolved extends Ground {
  readonly key: ObjectKey;
  readonly attempt: Attempt;
}

/**
 * Drafts the entries of items: releases the paths that are no longer asked for, lets those that waited for them come in,
 * resolves sources, then settles claims by namespace/name. A failed item keeps what it has and stops no other.
 */
export async function passItems(
  pass: Pass,
  contents: Contents,
  paths: Paths,
  keys: Iterable<ObjectKey>,
  signal: AbortSignal,
): Promise<Map<ObjectKey, ItemOutcome>> {
  const outcomes = new Map<ObjectKey, ItemOutcome>();
  const breathe = createBreath();
  const grounds = new Map<ObjectKey, Ground>();
  const queue = [...keys];
  for (const seen = new Set<ObjectKey>(); queue.length > 0; ) {
    const key = queue.pop();
    if (key === undefined || seen.has(key)) continue;
    seen.add(key);
    const ground = locate(pass, key);
    if (ground !== undefined && 'outcome' in ground) outcomes.set(key, ground.outcome);
    const located = ground !== undefined && 'draft' in ground ? ground : undefined;
    if (located !== undefined) grounds.set(key, located);
    else contents.forget(key);
    paths.want(key, located && { repository: located.repository, path: located.path });
    const claim = pass.ledger.claimOf(key);
    if (claim !== undefined && !holds(pass, key, claim, located, outcomes.get(key)?.failure?.reason)) {
      release(pass, claim, key);
      queue.push(...paths.wanting(claim));
    }
    await breathe();
  }
  const resolved = await resolveAll(pass, contents, grounds, signal);
  for (const one of resolved.toSorted((a, b) => (a.key < b.key ? -1 : 1))) {
    outcomes.set(one.key, settle(pass, one));
    await breathe();
  }
  return outcomes;
}

/** Where the item's content is to lie; or the outcome when that cannot be said; or undefined when it is gone. */
function locate(pass: Pass, key: ObjectKey): Ground | { readonly outcome: ItemOutcome } | undefined {
  const { world } = pass;
  const item = declared(world.items.get(key));
  if (item === undefined) return undefined;
  const suspended = item.spec.suspend;
  // One that was never published still says that something belongs there: guests are told of trouble, not of absence.
  if (suspended && pass.ledger.claimOf(key) !== undefined) return { outcome: outcomeOf(pass, item, { suspended }) };
  const target = itemTarget(item, world.repositories, world.namespaces);
  if ('failure' in target) return { outcome: outcomeOf(pass, item, { suspended, failure: target.failure }) };
  const { repository, spec, path, unsupported } = target;
  if (isSuspended(world, spec)) return { outcome: outcomeOf(pass, item, { repository, suspended: true }) };
  const draft = pass.drafts.get(spec.datastore);
  const writer = pass.writers.get(spec.datastore);
  const row = draft?.repository(repository);
  if (draft === undefined || row === undefined || writer === undefined) {
    const message = `Repository ${repository} is not published itself; see its status.`;
    const failure: Failure = { reason: 'RepositoryNotReady', message, terminal: false };
    return { outcome: outcomeOf(pass, item, { repository, suspended, failure }) };
  }
  const { root } = row;
  const refusal = useRefusal(repository, spec.datastore, root, world.datastores, world.namespaces);
  if (refusal !== undefined) {
    const message = `Repository ${repository} may publish nothing new; see its status.`;
    const failure: Failure = { ...refusal, message };
    return { outcome: outcomeOf(pass, item, { repository, suspended, failure }) };
  }
  return { item, repository, spec, path, draft, writer, unsupported };
}

/** Whether an item may keep the path that it holds: it asks for it still, or cannot be judged now. */
function holds(
  pass: Pass,
  key: ObjectKey,
  claim: Claim,
  ground: Ground | undefined,
  refused: Failure['reason'] | undefined,
): boolean {
  const item = declared(pass.world.items.get(key));
  if (item === undefined) return false;
  if (ground === undefined) return refused !== 'ReferenceNotPermitted';
  return (
    ground.repository === claim.repository && ground.path === claim.path && ground.spec.datastore === claim.datastore
  );
}

function release(pass: Pass, claim: Claim, key: ObjectKey): void {
  const draft = pass.drafts.get(claim.datastore);
  const entry = draft?.entry(claim.repository, claim.path);
  if (draft === undefined || entry === undefined || entry.claim !== key) return;
  draft.setEntry(claim.repository, claim.path, retired(pass, claim.repository, entry));
}

/** A deleted item's bytes are served for the repository's grace, then the path is not found. */
function retired(pass: Pass, repository: ObjectKey, entry: Entry): Entry | undefined {
  const grace = parseDuration(pass.world.repositories.get(repository)?.spec.removalGrace ?? '0s');
  if (entry.state === 'pending') return undefined;
  if (entry.state === 'retired') return Date.parse(entry.until) > pass.now.getTime() ? entry : undefined;
  if (grace === 0) return undefined;
  return { ...entry, state: 'retired', until: new Date(pass.now.getTime() + grace).toISOString() };
}

async function resolveAll(
  pass: Pass,
  contents: Contents,
  grounds: ReadonlyMap<ObjectKey, Ground>,
  signal: AbortSignal,
): Promise<Resolved[]> {
  const resolved: Resolved[] = [];
  const waiting = grounds.entries();
  const breathe = createBreath();
  const read = async () => {
    for (const [key, ground] of waiting) {
      const { item, repository, spec, path, draft, writer } = ground;
      const entry = draft.entry(repository, path);
      const committed = entry?.state === 'stored' && entry.claim === key ? entry : undefined;
      const interval = item.spec.interval ?? spec.interval;
      const room = roomOf(pass, ground, committed);
      const egress = egressOf(pass, ground);
      const wanted = {
        world: pass.world,
        item,
        committed,
        writer,
        maxSize: room.bytes,
        interval,
        request: unanswered(item),
        egress,
      };
      const blocked = blockedBy(pass, key, ground);
      if (blocked !== undefined) contents.forget(key);
      const attempt = blocked ?? (await contents.resolve(wanted, signal));
      resolved.push({ ...ground, key, attempt: namedBound(attempt, room) });
      await breathe();
    }
  };
  await Promise.all(Array.from({ length: readers }, read));
  return resolved;
}

/** An item that waits for another's path fetches nothing, nor does a suspended one, or one that asks for what this version cannot do. */
function blockedBy(pass: Pass, key: ObjectKey, ground: Ground): Attempt | undefined {
  const failure = conflict(pass, key, ground) ?? ground.unsupported;
  if (failure === undefined && !ground.item.spec.suspend) return undefined;
  return { content: undefined, failure, sourceFailure: undefined, fetching: false, answered: true };
}

/** A request for a look that no status has answered yet. */
function unanswered({ metadata, status }: ContentItem): string | undefined {
  const request = requestOf(metadata);
  return request === status.lastHandledReconcileAt ? undefined : request;
}

/** A transfer knows only how much room it had: here it is said what made the room so small. */
function namedBound(attempt: Attempt, room: Room): Attempt {
  return attempt.failure?.reason === 'TooLarge' ? { ...attempt, failure: roomFailure(room) } : attempt;
}

/** The first claimant keeps a path for as long as it is declared and asks for it. */
function conflict(pass: Pass, key: ObjectKey, { draft, repository, path }: Ground): Failure | undefined {
  const entry = draft.entry(repository, path);
  if (entry === undefined || entry.claim === key || entry.state === 'retired') return undefined;
  if (declared(pass.world.items.get(entry.claim)) === undefined) return undefined;
  const neighbour = namespaceOf(entry.claim) === namespaceOf(key);
  const who = neighbour ? `ContentItem ${entry.claim}` : 'a ContentItem of another namespace';
  const wayOut = neighbour ? 'choose another path, or delete that item' : 'choose another path';
  const message = `spec.path ${path} in repository ${repository} belongs to ${who}, which claimed it first: ${wayOut}.`;
  return { reason: 'PathConflict', message, terminal: true };
}

/** Claims the path and drafts its entry; what is there stays until better is here. */
function settle(pass: Pass, resolved: Resolved): ItemOutcome {
  const { key, item, repository, path, draft, attempt } = resolved;
  const size = attempt.content?.size ?? 0;
  const failure =
    conflict(pass, key, resolved) ??
    attempt.failure ??
    ceilingFailure(pass, resolved, size) ??
    quotaFailure(pass, resolved, size, draft.entry(repository, path));
  const { fetching, sourceFailure } = attempt;
  const suspended = item.spec.suspend;
  const handled = attempt.answered && !suspended ? requestOf(item.metadata) : undefined;
  const facts = { repository, failure, suspended, handled, fetching, sourceFailure };
  if (failure?.reason === 'PathConflict') return outcomeOf(pass, item, facts);
  const before = draft.entry(repository, path);
  draft.setEntry(repository, path, failure === undefined ? entryOf(pass, resolved, before) : kept(key, before));
  const sourceRevision = failure === undefined ? attempt.content?.sourceRevision : undefined;
  return { ...outcomeOf(pass, item, facts), sourceRevision, served: servedOf(draft.entry(repository, path)) };
}

function entryOf(pass: Pass, { key, attempt }: Resolved, before: Entry | undefined): Entry {
  const { content } = attempt;
  if (content === undefined) return kept(key, before);
  const same = before?.state === 'stored' && before.digest === content.digest && before.claim === key;
  return {
    state: 'stored',
    claim: key,
    digest: content.digest,
    size: content.size,
    since: same ? before.since : pass.now.toISOString(),
    ...(content.sensitive ? { sensitive: true as const } : {}),
  };
}

function kept(key: ObjectKey, before: Entry | undefined): Entry {
  return before?.state === 'stored' && before.claim === key ? before : { state: 'pending', claim: key };
}

function servedOf(entry: Entry | undefined): ItemOutcome['served'] {
  if (entry === undefined || entry.state === 'pending') return undefined;
  return { digest: entry.digest, size: entry.size, sensitive: entry.sensitive ?? false };
}

function outcomeOf(pass: Pass, item: ContentItem, facts: Partial<ItemOutcome>): ItemOutcome {
  const claim = pass.ledger.claimOf(`${item.metadata.namespace}/${item.metadata.name}`);
  const entry = claim && pass.drafts.get(claim.datastore)?.entry(claim.repository, claim.path);
  return {
    generation: item.metadata.generation ?? 1,
    seq: undefined,
    inherited: false,
    failure: undefined,
    suspended: false,
    // Whoever knows that the item cannot or may not be looked at further has looked.
    handled: facts.suspended === true ? undefined : requestOf(item.metadata),
    notSupported: [],
    repository: claim?.repository,
    fetching: false,
    served: servedOf(entry),
    sourceRevision: undefined,
    sourceFailure: undefined,
    ...facts,
  };
}
