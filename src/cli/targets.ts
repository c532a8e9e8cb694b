import type { Kind } from '../api/resources.generated.ts';
import { kinds } from '../api/resources.generated.ts';
import type { ShownStatus } from '../core/status-faults.ts';
import type { Client } from '../kube/client.ts';
import { type KubeObject, keyOf, type Stored } from '../kube/objects.ts';
import type { Resource } from '../kube/resource.ts';
import { GuestStoreError } from '../lib/errors.ts';
import { resources } from '../operator/world/cluster-resources.ts';
import { kindsNamed } from './kind-words.ts';

/** An object of ours, whichever kind. */
export interface Ours extends KubeObject {
  readonly spec?: { readonly suspend?: boolean } | undefined;
  readonly status?: (ShownStatus & { readonly lastHandledReconcileAt?: string | undefined }) | undefined;
}

/** An object in the cluster that a command is to act on. */
export interface Target {
  readonly kind: Kind;
  readonly resource: Resource<Ours>;
  readonly object: Stored<Ours>;
  /** As messages call it: `contentitem fleet/motd`. */
  readonly shown: string;
}

export interface TargetOptions {
  /** A word of `kindsNamed`. */
  readonly kind: string;
  /** Undefined with `all`. */
  readonly name: string | undefined;
  /** Undefined: every namespace, for `all`. */
  readonly namespace: string | undefined;
  readonly all: boolean;
}

/**
 * The one object that is named, or all of its kind. Throws `InvalidArgument` unless exactly one of name and `all`
 * is given; `SourceNotFound` for an object that is not there.
 */
export async function findTargets(client: Client, options: TargetOptions, signal: AbortSignal): Promise<Target[]> {
  const { kind: word, name, namespace, all } = options;
  if (all === (name !== undefined)) {
    throw new GuestStoreError('InvalidArgument', 'name one object, or give --all and no name');
  }
  const wanted = kindsNamed(word);
  const found: Target[] = [];
  for (const kind of wanted) {
    const resource = resources[kind] as Resource<Ours>;
    const objects =
      name === undefined
        ? await listAll(client, resource, namespace, signal)
        : await client.find(resource, { namespace, name }, signal).then((one) => (one === undefined ? [] : [one]));
    found.push(...objects.map((object) => ({ kind, resource, object, shown: shownAs(kind, object) })));
    // Of two policies of one name the namespace's is meant; the other one has a word of its own.
    if (name !== undefined && found.length > 0) break;
  }
  if (name !== undefined && found.length === 0) {
    const where = wanted.some((kind) => kinds[kind].namespaced) ? ` in namespace ${namespace}` : '';
    throw new GuestStoreError('SourceNotFound', `there is no ${word} "${name}"${where}; -n names another namespace`);
  }
  return found;
}

function shownAs(kind: Kind, object: Stored<Ours>): string {
  return `${kinds[kind].singular} ${keyOf(object)}`;
}

async function listAll(
  client: Client,
  resource: Resource<Ours>,
  namespace: string | undefined,
  signal: AbortSignal,
): Promise<readonly Stored<Ours>[]> {
  const found: Stored<Ours>[] = [];
  let next: string | undefined;
  do {
    const page = await client.list(resource, { namespace, limit: 500, continue: next, signal });
    found.push(...page.items);
    next = page.continue;
  } while (next !== undefined);
  return found;
}
