import { isDeepStrictEqual } from 'node:util';
import { ApiError, isApiError } from './api-error.ts';
import type { Client, StatusOf } from './client.ts';
import type { Condition, KubeObject, Stored } from './objects.ts';
import type { Resource } from './resource.ts';

/** An object whose status has conditions. */
export interface WithStatus extends KubeObject {
  readonly status?: { readonly conditions?: readonly Condition[] | undefined } | undefined;
}

export interface StatusWriterOptions<T extends WithStatus> {
  readonly client: Client;
  readonly resource: Resource<T>;
  readonly fieldManager: string;
  readonly now: () => Date;
  /** Told of each write, so that the next run can wait for it: an informer's `wrote`. */
  readonly wrote?: (object: Stored<T>) => void;
  /**
   * While true, an object is looked up on the server before it is first written: a leader of a moment ago may have written
   * what our cache has not shown yet.
   */
  readonly mayLag?: () => boolean;
}

export interface StatusWriter<T extends WithStatus> {
  /**
   * Makes `status`, the whole of what we own there, the object's status; true when that needed a write. Transition times
   * are kept while a condition's status stays, and never cause a write. An object that is gone is left.
   */
  write(object: Stored<T>, status: StatusOf<T>, signal: AbortSignal): Promise<boolean>;
  /** Forget what was written to an object that no longer exists. */
  forget(uid: string): void;
}

interface Written {
  readonly status: unknown;
  /** As they were written, with their times. */
  readonly conditions: readonly Condition[];
  /** Version of the object that the write was decided on. */
  readonly seenVersion: string;
}

export function createStatusWriter<T extends WithStatus>(options: StatusWriterOptions<T>): StatusWriter<T> {
  const { client, resource, fieldManager, now } = options;
  const lastWritten = new Map<string, Written>();
  /** Objects of which nobody knows whether the last write arrived: its answer was lost. */
  const unsure = new Set<string>();

  function needed(object: Stored<T>, status: unknown): boolean {
    const written = lastWritten.get(object.metadata.uid);
    const shown = plain(object.status);
    if (written === undefined) return !isDeepStrictEqual(shown, status);
    if (!isDeepStrictEqual(written.status, status)) return true;
    // A cache that has not moved since our write shows the status before it. Otherwise somebody may have changed what is ours;
    // what others have added is theirs.
    return written.seenVersion !== object.metadata.resourceVersion && !covers(shown, status);
  }

  /** The object as it is, or as the cache has it where nobody else can have written it; undefined when it is gone. */
  async function current(cached: Stored<T>, signal: AbortSignal): Promise<Stored<T> | undefined> {
    const { namespace, name, uid } = cached.metadata;
    if (!unsure.has(uid) && (lastWritten.has(uid) || options.mayLag?.() !== true)) return cached;
    // A list of one, for which the right to list is enough.
    const { items } = await client.list(resource, { namespace, fieldSelector: `metadata.name=${name}`, signal });
    return items.find(({ metadata }) => metadata.uid === uid);
  }

  function remember(uid: string, status: unknown, written: object, seenVersion: string): void {
    lastWritten.set(uid, { status, conditions: conditionsOf(written), seenVersion });
    unsure.delete(uid);
  }

  function forget(uid: string): void {
    lastWritten.delete(uid);
    unsure.delete(uid);
  }

  return {
    async write(cached, status, signal) {
      const desired = plain(status);
      if (!needed(cached, desired)) return false;
      const object = await current(cached, signal);
      if (object === undefined) return false;
      const { namespace, name, uid, resourceVersion } = object.metadata;
      if (isDeepStrictEqual(plain(object.status), desired)) {
        remember(uid, desired, object.status ?? {}, cached.metadata.resourceVersion);
        return false;
      }
      const before = newest(lastWritten.get(uid)?.conditions ?? [], object.status?.conditions ?? []);
      const body = withTransitionTimes(status, before, now);
      try {
        const written = { namespace, name };
        const answer = await client.applyStatus(resource, written, body as StatusOf<T>, {
          fieldManager,
          force: true,
          signal,
        });
        // A successor of the same name has got it: its own run, for which this is no write of ours, puts that right.
        if (answer.metadata.uid !== uid) return true;
        remember(uid, desired, body, resourceVersion);
        options.wrote?.(answer);
        return true;
      } catch (error) {
        // Deleted meanwhile.
        if (isApiError(error, 'NotFound')) {
          forget(uid);
          return false;
        }
        if (!isRefusal(error)) unsure.add(uid);
        throw error;
      }
    },
    forget,
  };
}

/** The server has answered, and has not done it. */
function isRefusal(error: unknown): boolean {
  return error instanceof ApiError && error.status >= 400 && error.status < 500;
}

/** As JSON carries it, without the times: what two statuses are compared by. */
function plain(status: unknown): unknown {
  return JSON.parse(JSON.stringify(status ?? {}, (name, value) => (name === 'lastTransitionTime' ? undefined : value)));
}

/** Whether everything in `part` stands in `whole`. Conditions are found by type, other lists compared as they are. */
function covers(whole: unknown, part: unknown): boolean {
  if (isConditions(part) && isConditions(whole))
    return part.every((wanted) => whole.some((has) => isDeepStrictEqual(has, wanted)));
  if (Array.isArray(part) || !isRecord(part) || !isRecord(whole)) return isDeepStrictEqual(whole, part);
  return Object.entries(part).every(([name, value]) => covers(whole[name], value));
}

/**
 * Each condition as it was last: a cache may lag behind our own write, and that behind somebody else's. Of one second, ours
 * is the later.
 */
function newest(own: readonly Condition[], cached: readonly Condition[]): readonly Condition[] {
  const time = (condition: Condition | undefined) => Date.parse(condition?.lastTransitionTime ?? '') || 0;
  const types = new Set([...own, ...cached].map(({ type }) => type));
  return [...types].flatMap((type) => {
    const [ours, theirs] = [own, cached].map((all) => all.find((condition) => condition.type === type));
    return (time(ours) >= time(theirs) ? (ours ?? theirs) : theirs) ?? [];
  });
}

function conditionsOf(status: object): readonly Condition[] {
  return 'conditions' in status && isConditions(status.conditions) ? status.conditions : [];
}

function withTransitionTimes(status: object, before: readonly Condition[], now: () => Date): object {
  if (!('conditions' in status) || !isConditions(status.conditions)) return status;
  const conditions = status.conditions.map((condition) => {
    const known = before.find(({ type }) => type === condition.type);
    const kept = known?.status === condition.status ? known.lastTransitionTime : undefined;
    return { ...condition, lastTransitionTime: kept ?? `${now().toISOString().slice(0, 19)}Z` };
  });
  return { ...status, conditions };
}

function isConditions(value: unknown): value is readonly Condition[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((item) => isRecord(item) && 'type' in item && 'status' in item)
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
