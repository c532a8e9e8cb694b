import { keyOf, type ObjectKey } from '../../core/names.ts';
import type { Policy } from '../types.ts';

/** Which policies select which VMs, both ways, as of the last pass over each VM. */
export interface Selected {
  /** Records the policies of a VM. */
  set(vm: ObjectKey, policies: readonly Policy[]): void;
  forget(vm: ObjectKey): void;
  policiesOf(vm: ObjectKey): readonly PolicyKey[];
  vmsOf(kind: Policy['kind'], policy: ObjectKey): ReadonlySet<ObjectKey>;
  /** Policies whose set of VMs changed since this was last asked. */
  takeChanged(): readonly PolicyKey[];
}

interface PolicyKey {
  readonly kind: Policy['kind'];
  readonly key: ObjectKey;
}

/** From `kind namespace/name`. */
function policyKey(name: string): PolicyKey {
  const [kind, key] = name.split(' ');
  return { kind: kind === 'ClusterVMAccessPolicy' ? kind : 'VMAccessPolicy', key: key ?? '' };
}

export function createSelected(): Selected {
  const policiesOf = new Map<ObjectKey, ReadonlySet<string>>();
  const vmsOf = new Map<string, Set<ObjectKey>>();
  const changed = new Set<string>();
  const nameOf = (kind: string, key: ObjectKey) => `${kind} ${key}`;

  function replace(vm: ObjectKey, names: ReadonlySet<string>): void {
    const before = policiesOf.get(vm) ?? new Set<string>();
    for (const name of before.difference(names)) {
      vmsOf.get(name)?.delete(vm);
      changed.add(name);
    }
    for (const name of names.difference(before)) {
      vmsOf.set(name, (vmsOf.get(name) ?? new Set()).add(vm));
      changed.add(name);
    }
    if (names.size === 0) policiesOf.delete(vm);
    else policiesOf.set(vm, names);
  }

  return {
    set: (vm, policies) => replace(vm, new Set(policies.map(({ kind, metadata }) => nameOf(kind, keyOf(metadata))))),
    forget: (vm) => replace(vm, new Set()),
    vmsOf: (kind, policy) => vmsOf.get(nameOf(kind, policy)) ?? new Set(),
    policiesOf: (vm) => [...(policiesOf.get(vm) ?? [])].map(policyKey),
    takeChanged: () => {
      const names = [...changed];
      changed.clear();
      return names.map(policyKey);
    },
  };
}
