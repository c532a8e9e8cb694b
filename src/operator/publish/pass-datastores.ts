import { namespaceOf } from '../../core/bounds.ts';
import type { DatastoreOutcome, Failure, RepositoryOutcome } from '../../core/outcome.ts';
import { requestOf } from '../../core/reconcile-request.ts';
import { declared, type Pass } from './pass.ts';
import { datastoreNotFound } from './pass-repositories.ts';

const refusals: ReadonlySet<string> = new Set(['DatastoreNotPermitted', 'RootNotPermitted']);

/** What came of GuestStoreDatastores, told from the repositories that name them; call after those have outcomes. */
export function passDatastores(
  { world, ledger, drafts }: Pass,
  names: Iterable<string>,
  repositories: ReadonlyMap<string, RepositoryOutcome>,
): Map<string, DatastoreOutcome> {
  const outcomes = new Map<string, DatastoreOutcome>();
  for (const name of names) {
    const object = declared(world.datastores.get(name));
    if (object === undefined) continue;
    const naming = [...world.repositories].filter(([, { spec }]) => spec.datastore === name).map(([key]) => key);
    const refused = naming.filter((key) => refusals.has(repositories.get(key)?.failure?.reason ?? ''));
    const failure: Failure | undefined = drafts.has(name)
      ? undefined
      : datastoreNotFound('metadata.name', name, drafts.keys());
    outcomes.set(name, {
      generation: object.metadata.generation ?? 1,
      seq: undefined,
      inherited: false,
      failure,
      suspended: object.spec.suspend,
      handled: requestOf(object.metadata),
      notSupported: [],
      namespaces: new Set(naming.map(namespaceOf)).size,
      repositories: naming.length,
      refused: refused.length,
      bytes: ledger.usageOf(name),
    });
  }
  return outcomes;
}
