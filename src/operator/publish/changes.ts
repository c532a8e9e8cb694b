import type { ContentItem, GuestVM } from '../../api/resources.generated.ts';
import { namespaceOf } from '../../core/bounds.ts';
import { keyNamedBy, type ObjectKey } from '../../core/names.ts';
import type { StoreWriter } from '../../store/types.ts';
import type { DeclaredKind, ObservedKind, Policy, World } from '../types.ts';
import type { Ledger } from './ledger.ts';
import { declared, heldRepositories } from './pass.ts';
import type { Selected } from './selected.ts';
import { selectsVm } from './vm-rules.ts';

/** Objects that the next pass must look at. */
export interface Dirty {
  readonly repositories: ReadonlySet<ObjectKey>;
  readonly items: ReadonlySet<ObjectKey>;
  readonly vms: ReadonlySet<ObjectKey>;
  readonly policies: ReadonlySet<ObjectKey>;
  readonly clusterPolicies: ReadonlySet<ObjectKey>;
  readonly datastores: ReadonlySet<string>;
}

export interface Changes {
  readonly size: number;
  add(kind: ObservedKind, key: ObjectKey): void;
  /** Puts back what a pass could not finish. */
  restore(dirty: Dirty): void;
  /** Everything declared, and everything that the datastore holds. */
  addAll(): void;
  /** What changed, widened to all that depends on it; starts anew. */
  take(): Dirty;
}

/** Remembers what changed; who depends on it is asked when a pass begins, of the world as it is then. */
export function createChanges(
  world: World,
  ledger: Ledger,
  writers: ReadonlyMap<string, StoreWriter>,
  selected: Selected,
  /** Repositories that could not be published: another one's change may be what they wait for. */
  unpublished: () => Iterable<ObjectKey>,
): Changes {
  const changed = new Map<ObservedKind, Set<ObjectKey>>();
  let all = false;

  const of = (kind: ObservedKind): ReadonlySet<ObjectKey> => changed.get(kind) ?? new Set();
  const add = (kind: ObservedKind, key: ObjectKey) => {
    changed.set(kind, (changed.get(kind) ?? new Set()).add(key));
  };

  function take(): Dirty {
    const dirty = all ? everything(world, ledger, writers) : widened();
    changed.clear();
    all = false;
    return dirty;
  }

  function widened(): Dirty {
    const items = new Set(of('ContentItem'));
    const vms = new Set(of('GuestVM'));
    const repositories = new Set(of('GuestStoreRepository'));
    const namespaces = of('Namespace');
    const datastores = of('GuestStoreDatastore');
    if (datastores.size > 0 || (namespaces.size > 0 && world.datastores.size > 0)) {
      for (const [key, { spec }] of world.repositories) {
        if (datastores.has(spec.datastore) || namespaces.has(namespaceOf(key))) repositories.add(key);
      }
    }
    // What held one that is to be deleted may be gone; then all that knows it is looked at too.
    const held = heldRepositories(world);
    for (const [key, repository] of world.repositories) {
      if (declared(repository) === undefined && !held.has(key)) repositories.add(key);
    }
    if (repositories.size > 0) for (const key of unpublished()) repositories.add(key);
    const policies = of('VMAccessPolicy');
    if (repositories.size + namespaces.size + of('ConfigMap').size + of('Secret').size > 0) {
      for (const [key, item] of world.items) {
        if (itemDepends(item, repositories, namespaces, of('ConfigMap'), of('Secret'))) items.add(key);
      }
    }
    const clusterPolicies = of('ClusterVMAccessPolicy');
    if (repositories.size + namespaces.size + policies.size + clusterPolicies.size > 0) {
      const touched = new Set([...namespaces, ...[...repositories].map(namespaceOf)]);
      const concerns = policyConcerns(world, selected, policies, clusterPolicies);
      for (const [key, vm] of world.vms) {
        if (touched.has(vm.metadata.namespace) || repositories.has(repositoryOf(vm)) || concerns(key, vm)) vms.add(key);
      }
    }
    for (const key of held.keys()) repositories.add(key);
    return { repositories, items, vms, policies, clusterPolicies: of('ClusterVMAccessPolicy'), datastores };
  }

  return {
    get size() {
      return all ? Number.POSITIVE_INFINITY : changed.values().reduce((sum, keys) => sum + keys.size, 0);
    },
    add,
    addAll: () => {
      all = true;
    },
    restore: (dirty) => {
      for (const kind of Object.keys(kindOf) as (keyof Dirty)[]) for (const key of dirty[kind]) add(kindOf[kind], key);
    },
    take,
  };
}

const kindOf: Readonly<Record<keyof Dirty, DeclaredKind>> = {
  repositories: 'GuestStoreRepository',
  items: 'ContentItem',
  vms: 'GuestVM',
  policies: 'VMAccessPolicy',
  clusterPolicies: 'ClusterVMAccessPolicy',
  datastores: 'GuestStoreDatastore',
};

function everything(world: World, ledger: Ledger, writers: ReadonlyMap<string, StoreWriter>): Dirty {
  const published = [...writers.values()].flatMap(({ snapshot }) => [...snapshot.repositories.keys()]);
  return {
    repositories: new Set([...world.repositories.keys(), ...published]),
    items: new Set([...world.items.keys(), ...ledger.claimants()]),
    vms: new Set([...world.vms.keys(), ...ledger.vms()]),
    policies: new Set(world.policies.keys()),
    clusterPolicies: new Set(world.clusterPolicies.keys()),
    datastores: new Set(world.datastores.keys()),
  };
}

function itemDepends(
  { metadata, spec }: ContentItem,
  repositories: ReadonlySet<ObjectKey>,
  namespaces: ReadonlySet<string>,
  configMaps: ReadonlySet<ObjectKey>,
  secrets: ReadonlySet<ObjectKey>,
): boolean {
  const { namespace } = metadata;
  const { configMapKeyRef, secretKeyRef } = spec.source;
  return (
    namespaces.has(namespace) ||
    repositories.has(keyNamedBy(spec.repositoryRef, namespace)) ||
    (configMapKeyRef !== undefined && configMaps.has(`${namespace}/${configMapKeyRef.name}`)) ||
    (secretKeyRef !== undefined && secrets.has(`${namespace}/${secretKeyRef.name}`))
  );
}

/** Whether one of the policies selected a VM when that was last looked at, or does so now. */
function policyConcerns(
  world: World,
  selected: Selected,
  policies: ReadonlySet<ObjectKey>,
  clusterPolicies: ReadonlySet<ObjectKey>,
): (key: ObjectKey, vm: GuestVM) => boolean {
  const changed = [
    ...[...policies].map((key) => ['VMAccessPolicy', key, world.policies.get(key)] as const),
    ...[...clusterPolicies].map((key) => ['ClusterVMAccessPolicy', key, world.clusterPolicies.get(key)] as const),
  ].map(([kind, key, policy]) => ({ policy, before: selected.vmsOf(kind, key) }));
  return (key, vm) =>
    changed.some(({ policy, before }) => before.has(key) || (policy !== undefined && maySelect(policy, vm, world)));
}

/** A selector that cannot be understood might select any VM. */
function maySelect(policy: Policy, vm: GuestVM, world: World): boolean {
  try {
    return selectsVm(policy, vm, world);
  } catch {
    return true;
  }
}

function repositoryOf({ metadata, spec }: GuestVM): ObjectKey {
  return `${spec.repositoryRef?.namespace ?? metadata.namespace}/${spec.repositoryRef?.name ?? ''}`;
}
