import { desiredRepository } from '../../core/desired-repository.ts';
import type { ObjectKey } from '../../core/names.ts';
import type { Failure, ItemOutcome, Outcome, RepositoryOutcome, VmOutcome } from '../../core/outcome.ts';
import type { DeclaredKind, World } from '../types.ts';
import type { Dirty } from './changes.ts';
import { declared, type Pass } from './pass.ts';

/** What came of the objects that a pass looked at. */
interface Fresh {
  readonly repositories: Map<ObjectKey, RepositoryOutcome>;
  readonly items: Map<ObjectKey, ItemOutcome>;
  readonly vms: Map<ObjectKey, VmOutcome>;
}

interface Leaving {
  readonly metadata: { readonly generation?: number; readonly deletionTimestamp?: string };
}

/**
 * Adds outcomes for the objects that are being deleted and could not be taken out of their datastore: they are held, and
 * somebody waits for them. `failures` are those of the datastores that could not be written.
 */
export function addHeldBack(pass: Pass, dirty: Dirty, failures: ReadonlyMap<string, Failure>, fresh: Fresh): void {
  const { world, ledger } = pass;
  for (const [name, failure] of failures) {
    const snapshot = pass.writers.get(name)?.snapshot;
    for (const key of dirty.repositories) {
      const leaving = snapshot?.repositories.has(key) ? held(world.repositories.get(key), failure) : undefined;
      if (leaving === undefined || fresh.repositories.has(key)) continue;
      fresh.repositories.set(key, { ...leaving, ...ledger.usage(key) });
    }
    for (const key of dirty.items) {
      const claim = ledger.claimOf(key);
      const leaving = claim?.datastore === name ? held(world.items.get(key), failure) : undefined;
      const entry = claim && snapshot?.find(claim.repository, claim.path);
      if (leaving === undefined || claim === undefined || entry === undefined || entry.state === 'retired') continue;
      const { digest, size, sensitive = false } = entry.state === 'stored' ? entry : {};
      const served = digest === undefined || size === undefined ? undefined : { digest, size, sensitive };
      fresh.items.set(key, { ...leaving, ...sourceless, repository: claim.repository, served });
    }
    for (const key of dirty.vms) {
      const row = snapshot?.vm(key);
      const leaving = held(world.vms.get(key), failure);
      if (row === undefined || leaving === undefined) continue;
      const rules = row.ruleSet === null ? undefined : snapshot?.ruleSet(row.ruleSet);
      fresh.vms.set(key, {
        ...leaving,
        repository: row.repository ?? undefined,
        host: row.host,
        enabled: row.enabled,
        ruleSet: row.ruleSet ?? undefined,
        grants: rules?.grant.length ?? 0,
        denies: rules?.deny.length ?? 0,
        policies: [],
        exported: undefined,
      });
    }
  }
  addLeftovers(pass, dirty, fresh);
}

/** Out of the datastore, but for files of the plain trees. */
function addLeftovers({ world, writers, ledger }: Pass, dirty: Dirty, fresh: Fresh): void {
  const failureOf = (kind: 'ContentItem' | 'GuestStoreRepository', key: ObjectKey): Failure | undefined => {
    const message = leftoverOf(world, writers, kind, key);
    return message === undefined ? undefined : { reason: 'StoreUnavailable', message, terminal: false };
  };
  for (const key of dirty.repositories) {
    const failure = fresh.repositories.has(key) ? undefined : failureOf('GuestStoreRepository', key);
    const leaving = failure && held(world.repositories.get(key), failure);
    if (leaving !== undefined) fresh.repositories.set(key, { ...leaving, ...ledger.usage(key) });
  }
  for (const key of dirty.items) {
    const failure = fresh.items.has(key) ? undefined : failureOf('ContentItem', key);
    const leaving = failure && held(world.items.get(key), failure);
    if (leaving === undefined) continue;
    fresh.items.set(key, { ...leaving, ...sourceless, repository: undefined, served: undefined, leftover: true });
  }
}

const sourceless = { fetching: false, sourceRevision: undefined, sourceFailure: undefined } as const;

/** Why a file of an item or repository that is to be deleted still lies in a plain tree; undefined where none does. */
export function leftoverOf(
  { items, repositories }: World,
  writers: Pass['writers'],
  kind: 'ContentItem' | 'GuestStoreRepository',
  key: ObjectKey,
): string | undefined {
  const item = kind === 'ContentItem' ? items.get(key) : undefined;
  const { name, namespace = item?.metadata.namespace } = item?.spec.repositoryRef ?? {};
  const repository = repositories.get(kind === 'ContentItem' ? `${namespace}/${name}` : key);
  if (repository === undefined || declared<Leaving>(item ?? repository) !== undefined) return undefined;
  const { root } = desiredRepository(repository);
  const leftovers = writers.get(repository.spec.datastore)?.leftovers ?? [];
  return leftovers.find((file) => file.root === root && (item === undefined || file.path === item.spec.path))?.reason;
}

/** Items and repositories that are to be deleted. */
export function* leavingIn({ items, repositories }: World): Iterable<readonly [DeclaredKind, ObjectKey]> {
  for (const [key, item] of items) if (declared(item) === undefined) yield ['ContentItem', key];
  for (const [key, repository] of repositories) {
    if (declared(repository) === undefined) yield ['GuestStoreRepository', key];
  }
}

/** Undefined for an object that stays, or is gone already. */
function held(object: Leaving | undefined, failure: Failure): Outcome | undefined {
  if (object === undefined || declared(object) !== undefined) return undefined;
  return {
    generation: object.metadata.generation ?? 1,
    seq: undefined,
    inherited: false,
    failure: {
      reason: failure.reason,
      message: `To be deleted, and not yet out of the datastore: ${failure.message.replace(/\.?$/, '.')} Then it goes by itself.`,
      terminal: false,
    },
    suspended: false,
    handled: undefined,
    notSupported: [],
  };
}
