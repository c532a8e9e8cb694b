/**
 * A map that can be looked at as it was at one moment while it goes on changing. Nothing is copied: what was there before a
 * change is remembered until the next freeze, or until it is thawed, after which the earlier view is good no more.
 */
export class FreezableMap<Key, Value> extends Map<Key, Value> {
  /** What each key that changed since the freeze had then; undefined: nothing. */
  #before: Map<Key, Value | undefined> | undefined;

  override set(key: Key, value: Value): this {
    this.#remember(key);
    return super.set(key, value);
  }

  override delete(key: Key): boolean {
    this.#remember(key);
    return super.delete(key);
  }

  override clear(): void {
    for (const key of this.keys()) this.#remember(key);
    super.clear();
  }

  freeze(): ReadonlyMap<Key, Value> {
    this.#before = new Map();
    return viewOf(this, this.#before);
  }

  thaw(): void {
    this.#before = undefined;
  }

  #remember(key: Key): void {
    if (this.#before !== undefined && !this.#before.has(key)) this.#before.set(key, this.get(key));
  }
}

function viewOf<Key, Value>(
  live: ReadonlyMap<Key, Value>,
  before: ReadonlyMap<Key, Value | undefined>,
): ReadonlyMap<Key, Value> {
  const get = (key: Key) => (before.has(key) ? before.get(key) : live.get(key));
  /** In the order of insertion but for what changed since, which comes last. */
  const whole = () => {
    const entries = new Map<Key, Value>();
    for (const [key, value] of live) if (!before.has(key)) entries.set(key, value);
    for (const [key, value] of before) if (value !== undefined) entries.set(key, value);
    return entries;
  };
  const view: ReadonlyMap<Key, Value> = {
    get,
    has: (key) => get(key) !== undefined,
    get size() {
      return before.size === 0 ? live.size : whole().size;
    },
    forEach: (visit) => {
      for (const [key, value] of whole()) visit(value, key, view);
    },
    entries: () => whole().entries(),
    keys: () => whole().keys(),
    values: () => whole().values(),
    [Symbol.iterator]: () => whole()[Symbol.iterator](),
  };
  return view;
}
