import { type Key, type KubeObject, keyOf, type Stored } from './objects.ts';

/** What became of one object. Handlers get both sides, because what an object *was* decides whom its change concerns. */
export type Change<T extends KubeObject> =
  | { readonly type: 'added'; readonly key: Key; readonly object: Stored<T> }
  | { readonly type: 'updated'; readonly key: Key; readonly old: Stored<T>; readonly object: Stored<T> }
  /** `old` is the last that was seen; with `finalStateUnknown` the deletion itself was missed, and more may have changed. */
  | { readonly type: 'deleted'; readonly key: Key; readonly old: Stored<T>; readonly finalStateUnknown: boolean };

/** Values under which an index finds an object: its owners, what it refers to, a label. */
export type IndexBy<T extends KubeObject> = (object: Stored<T>) => Iterable<string>;

export interface Cache<T extends KubeObject> {
  readonly size: number;
  get(key: Key): Stored<T> | undefined;
  keys(): Iterable<Key>;
  values(): Iterable<Stored<T>>;
  /** Objects that `index` filed under `value`, in no particular order. */
  byIndex(index: string, value: string): readonly Stored<T>[];
}

export interface WritableCache<T extends KubeObject> extends Cache<T> {
  /** Both return what changed. An object under a known name with another uid is a deletion and an addition. */
  put(object: Stored<T>): readonly Change<T>[];
  remove(object: Stored<T>): readonly Change<T>[];
  /** The whole truth from a list: what is not in it is gone. */
  replace(objects: readonly Stored<T>[]): readonly Change<T>[];
}

export function createCache<T extends KubeObject>(
  indices: Readonly<Record<string, IndexBy<T>>> = {},
): WritableCache<T> {
  const objects = new Map<Key, Stored<T>>();
  const indexed = Object.entries(indices).map(([name, by]) => ({ name, by, keys: new Map<string, Set<Key>>() }));

  function unfile(key: Key, object: Stored<T>): void {
    for (const { by, keys } of indexed)
      for (const value of by(object)) {
        const filed = keys.get(value);
        filed?.delete(key);
        if (filed?.size === 0) keys.delete(value);
      }
  }

  function file(key: Key, object: Stored<T>): void {
    for (const { by, keys } of indexed)
      for (const value of by(object)) {
        const filed = keys.get(value) ?? new Set();
        keys.set(value, filed.add(key));
      }
  }

  function set(key: Key, object: Stored<T>): void {
    const old = objects.get(key);
    if (old !== undefined) unfile(key, old);
    objects.set(key, object);
    file(key, object);
  }

  function drop(key: Key, finalStateUnknown: boolean): readonly Change<T>[] {
    const old = objects.get(key);
    if (old === undefined) return [];
    unfile(key, old);
    objects.delete(key);
    return [{ type: 'deleted', key, old, finalStateUnknown }];
  }

  function put(object: Stored<T>): readonly Change<T>[] {
    const key = keyOf(object);
    const old = objects.get(key);
    if (old?.metadata.uid === object.metadata.uid) {
      // Equal versions are the same state, sent twice. Which of two others is newer, only the server knows.
      if (old.metadata.resourceVersion === object.metadata.resourceVersion) return [];
      set(key, object);
      return [{ type: 'updated', key, old, object }];
    }
    const gone = drop(key, true);
    set(key, object);
    return [...gone, { type: 'added', key, object }];
  }

  return {
    get size() {
      return objects.size;
    },
    get: (key) => objects.get(key),
    keys: () => objects.keys(),
    values: () => objects.values(),
    byIndex(index, value) {
      const keys = indexed.find(({ name }) => name === index)?.keys.get(value) ?? [];
      return Array.from(keys, (key) => objects.get(key)).filter((object) => object !== undefined);
    },
    put,
    remove(object) {
      const key = keyOf(object);
      // A successor of the same name is another object.
      if (objects.get(key)?.metadata.uid !== object.metadata.uid) return [];
      // Handlers are told the last state before the deletion, as labels may have changed with it.
      set(key, object);
      return drop(key, false);
    },
    replace(listed) {
      const present = new Set(listed.map(keyOf));
      const gone = [...objects.keys()].filter((key) => !present.has(key)).flatMap((key) => drop(key, true));
      return [...gone, ...listed.flatMap(put)];
    },
  };
}
