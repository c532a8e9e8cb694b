import type { Key } from './objects.ts';

/** Which keys wait for what. */
export interface Dependencies {
  begin(key: Key): void;
  /** From now on `key` waits for `dependency`; true when that came while it was worked on. */
  end(key: Key, dependency: string | undefined): boolean;
  /** Who has waited for it until now. */
  arrived(dependency: string): readonly Key[];
}

/** What comes while a key is worked on has come for it too: it may have looked too early. */
export function createDependencies(): Dependencies {
  const waiting = new Map<Key, string>();
  const during = new Map<Key, Set<string>>();
  return {
    begin(key) {
      waiting.delete(key);
      during.set(key, new Set());
    },
    end(key, dependency) {
      const came = dependency !== undefined && during.get(key)?.has(dependency) === true;
      during.delete(key);
      if (dependency !== undefined && !came) waiting.set(key, dependency);
      return came;
    },
    arrived(dependency) {
      for (const came of during.values()) came.add(dependency);
      const woken = [...waiting].filter(([, wanted]) => wanted === dependency).map(([key]) => key);
      for (const key of woken) waiting.delete(key);
      return woken;
    },
  };
}
