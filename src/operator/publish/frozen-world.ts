import type { World } from '../types.ts';
import { FreezableMap } from './freezable-map.ts';

const views = [
  'repositories',
  'items',
  'policies',
  'clusterPolicies',
  'vms',
  'namespaces',
  'datastores',
] as const satisfies (keyof World)[];

/**
 * The world as it is now, for one pass: what is observed meanwhile belongs whole to the next, or a revision could hold the
 * new rules of one change with the old content that they were not made for. Good until `thaw`, or until it is frozen again.
 */
export function frozenWorld(world: World): World {
  return {
    ...world,
    leavingNamespaces: new Set(world.leavingNamespaces),
    ...Object.fromEntries(views.map((view) => [view, frozen<unknown>(world[view])])),
  };
}

/** After the pass: what was there before is let go. */
export function thaw(world: World): void {
  for (const view of views) {
    const map: ReadonlyMap<string, unknown> = world[view];
    if (map instanceof FreezableMap) map.thaw();
  }
}

function frozen<Value>(map: ReadonlyMap<string, Value>): ReadonlyMap<string, Value> {
  return map instanceof FreezableMap ? map.freeze() : new Map(map);
}
