import { compareKeys, type ObjectKey } from '../../core/names.ts';

/** Which VMs claim which socket. */
export interface Addresses {
  /** Records the claim (undefined: none) and returns the others whose situation that changes. */
  claim(vm: ObjectKey, address: string | undefined): readonly ObjectKey[];
  claimants(address: string): readonly ObjectKey[];
}

export function createAddresses(): Addresses {
  const byVm = new Map<ObjectKey, string>();
  const byAddress = new Map<string, Set<ObjectKey>>();
  return {
    claim: (vm, address) => {
      const before = byVm.get(vm);
      if (before === address) return [];
      const concerned = new Set<ObjectKey>();
      if (before !== undefined) {
        const left = byAddress.get(before);
        left?.delete(vm);
        if (left?.size === 0) byAddress.delete(before);
        for (const other of left ?? []) concerned.add(other);
        byVm.delete(vm);
      }
      if (address !== undefined) {
        const joined = byAddress.get(address) ?? new Set<ObjectKey>();
        for (const other of joined) concerned.add(other);
        byAddress.set(address, joined.add(vm));
        byVm.set(vm, address);
      }
      return [...concerned];
    },
    claimants: (address) => [...(byAddress.get(address) ?? [])].toSorted(compareKeys),
  };
}
