import type { World } from '../types.ts';

/**
 * The world as it is now, for one pass: what is observed meanwhile belongs whole to the next, or a revision could hold the
 * new rules of one change with the old content that they were not made for.
 */
export function frozenWorld(world: World): World {
  return {
    ...world,
    repositories: new Map(world.repositories),
    items: new Map(world.items),
    policies: new Map(world.policies),
    clusterPolicies: new Map(world.clusterPolicies),
    vms: new Map(world.vms),
    namespaces: new Map(world.namespaces),
    datastores: new Map(world.datastores),
  };
}
