import type { ObjectKey } from '../../core/names.ts';
import type { DeclaredKind } from '../types.ts';

/** An object whose status is to be looked at. A later touch makes another one of it. */
export interface Due {
  readonly name: string;
  readonly kind: DeclaredKind;
  readonly key: ObjectKey;
  /** performance.now() when it was touched. */
  readonly at: number;
  /** One of few that changed together: somebody's edit, which goes before what concerns everything. */
  readonly urgent: boolean;
}

/**
 * What is left to say. Objects touched in one moment are a batch: small ones go first, whole fleets when there is time. An
 * object is with one hand at a time; what cannot be settled yet waits aside until it is called again.
 */
export interface DueList {
  /** All that is due, also what is in hand or aside. */
  readonly size: number;
  /** Objects that wait aside. */
  readonly aside: number;
  touch(kind: DeclaredKind, key: ObjectKey): void;
  /** The next one in hand; `patient` hands take from the large batches first, so that those never starve. */
  take(patient: boolean): Due | undefined;
  /** Gives one back: settled, or to wait aside until `recall`, until `until` (performance.now()) at the latest. */
  settle(due: Due): void;
  setAside(due: Due, until: number): void;
  /** Everything aside that waits for hosts is due again; else only whose time has come. */
  recall(everything: boolean): void;
  /** Resolves when something is to be taken, or the list was closed. */
  filled(): Promise<void>;
  close(): void;
}

/** Objects: a batch that is larger is no single edit. */
const large = 32;

export function createDueList(now: () => number = () => performance.now()): DueList {
  const incoming = new Map<string, Due>();
  const urgent = new Map<string, Due>();
  const bulk = new Map<string, Due>();
  const aside = new Map<string, { readonly due: Due; readonly until: number }>();
  const inHand = new Set<string>();
  /** All that is due, by name: the latest touch. */
  const latest = new Map<string, Due>();
  let closed = false;
  let fill: PromiseWithResolvers<void> | undefined;

  function wake(): void {
    fill?.resolve();
    fill = undefined;
  }

  function queue(due: Due): void {
    bulk.delete(due.name);
    (due.urgent ? urgent : bulk).set(due.name, due);
    wake();
  }

  /** A batch ends with the turn of the event loop's microtasks that began it. */
  function seal(): void {
    const few = incoming.size <= large;
    for (const { name, kind, key, at } of incoming.values()) {
      const due: Due = { name, kind, key, at, urgent: few || urgent.has(name) };
      latest.set(name, due);
      aside.delete(name);
      queue(due);
    }
    incoming.clear();
  }

  function firstOf(waiting: Map<string, Due>): Due | undefined {
    for (const [name, due] of waiting) {
      if (inHand.has(name)) continue;
      waiting.delete(name);
      inHand.add(name);
      return due;
    }
    return undefined;
  }

  function putDown({ name }: Due): void {
    inHand.delete(name);
    if (urgent.has(name) || bulk.has(name)) wake();
  }

  return {
    get size() {
      return latest.size;
    },
    get aside() {
      return aside.size;
    },
    touch(kind, key) {
      const name = `${kind} ${key}`;
      if (incoming.size === 0) queueMicrotask(seal);
      const due: Due = { name, kind, key, at: now(), urgent: false };
      incoming.set(name, due);
      latest.set(name, due);
    },
    take: (patient) => (patient ? (firstOf(bulk) ?? firstOf(urgent)) : (firstOf(urgent) ?? firstOf(bulk))),
    settle(due) {
      // Touched again meanwhile: then another one stands there.
      if (latest.get(due.name) === due) latest.delete(due.name);
      putDown(due);
    },
    setAside(due, until) {
      if (latest.get(due.name) === due) aside.set(due.name, { due, until });
      putDown(due);
    },
    recall(everything) {
      for (const [name, { due, until }] of aside) {
        if (!everything && until > now()) continue;
        aside.delete(name);
        queue(due);
      }
    },
    filled() {
      const free = (name: string) => !inHand.has(name);
      if (closed || urgent.keys().some(free) || bulk.keys().some(free)) return Promise.resolve();
      fill ??= Promise.withResolvers();
      return fill.promise;
    },
    close() {
      closed = true;
      wake();
    },
  };
}
