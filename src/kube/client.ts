import { ApiError, isApiError, type StatusBody } from './api-error.ts';
import { linesOf } from './lines.ts';
import type { KubeObject, ObjectMeta, ObjectName, Stored } from './objects.ts';
import { apiVersionOf, pathOf, type Resource } from './resource.ts';
import { type Call, type Transport, whatOf } from './transport.ts';

export interface Selection {
  /** Undefined: all namespaces. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** Only metadata is asked for (PartialObjectMetadata): spec and status are absent. */
  readonly metadataOnly?: boolean | undefined;
}

export interface ListOptions extends Selection {
  /** Objects a page; undefined: all in one. */
  readonly limit?: number | undefined;
  readonly continue?: string | undefined;
  /** A server that has not come as far says 504: then that version is of another history, or it lags behind. */
  readonly notOlderThan?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Page<T extends KubeObject> {
  readonly items: readonly Stored<T>[];
  readonly resourceVersion: string;
  /** Token of the next page; undefined on the last. */
  readonly continue: string | undefined;
}

export interface WatchOptions extends Selection {
  /** Events after this version; undefined: all that is there first, as `ADDED`, until a bookmark says that this was all. */
  readonly resourceVersion: string | undefined;
  /** The server ends the watch then. */
  readonly timeoutSeconds: number;
  readonly signal: AbortSignal;
}

export type WatchEvent<T extends KubeObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: Stored<T> }
  /** Nothing happened up to this version. With `allListed`, what was there at the beginning has all been told. */
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string; readonly allListed: boolean };

export interface WriteOptions {
  readonly fieldManager?: string | undefined;
  readonly dryRun?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ApplyOptions extends WriteOptions {
  readonly fieldManager: string;
  /** Take fields that another manager holds; else that is a `Conflict`. */
  readonly force?: boolean | undefined;
}

export interface PatchOptions extends WriteOptions {
  readonly subresource?: 'status' | undefined;
}

export interface DeleteOptions {
  /** Only this very object, not another one of the same name: else `Conflict`. */
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly propagationPolicy?: 'Foreground' | 'Background' | 'Orphan' | undefined;
  readonly dryRun?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface JsonPatchOperation {
  readonly op: 'add' | 'remove' | 'replace' | 'test';
  readonly path: string;
  readonly value?: unknown;
}

export type Patch =
  | { readonly type: 'json'; readonly operations: readonly JsonPatchOperation[] }
  | { readonly type: 'merge'; readonly value: unknown };

/** What server-side apply sends: the fields that one manager owns, all of them each time. */
export type Applied<T extends KubeObject> = { readonly metadata: ObjectMeta } & Partial<Omit<T, 'metadata' | 'status'>>;

export type StatusOf<T extends KubeObject> = T extends { readonly status?: infer S } ? NonNullable<S> : never;

/**
 * A thin typed layer over the API server's REST. Every method throws `ApiError` for what the server refused or did not
 * answer, and `GuestStoreError` with code `Aborted` when its signal aborts. Writes are validated strictly: an unknown field is an error.
 */
export interface Client extends AsyncDisposable {
  get<T extends KubeObject>(resource: Resource<T>, name: ObjectName, signal?: AbortSignal): Promise<Stored<T>>;
  /** As `get`, but undefined where there is none. */
  find<T extends KubeObject>(
    resource: Resource<T>,
    name: ObjectName,
    signal?: AbortSignal,
  ): Promise<Stored<T> | undefined>;
  list<T extends KubeObject>(resource: Resource<T>, options?: ListOptions): Promise<Page<T>>;
  /** Ends when the server ends the watch. An ERROR event is thrown as `ApiError`, and so is a line that is no event (`Undecodable`). */
  watch<T extends KubeObject>(resource: Resource<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>>;
  create<T extends KubeObject>(resource: Resource<T>, object: T, options?: WriteOptions): Promise<Stored<T>>;
  /** Replaces the whole object; with `metadata.resourceVersion`, only if nobody else has written since. */
  replace<T extends KubeObject>(resource: Resource<T>, object: T, options?: WriteOptions): Promise<Stored<T>>;
  /** Server-side apply: creates what is not there. With `metadata.uid`, only to this very object, else `Invalid` or `Conflict`. */
  apply<T extends KubeObject>(resource: Resource<T>, object: Applied<T>, options: ApplyOptions): Promise<Stored<T>>;
  /**
   * Server-side apply to `/status`: `NotFound` where there is no such object. The server does not look at a uid here: the
   * answer's tells whose status it was.
   */
  applyStatus<T extends KubeObject>(
    resource: Resource<T>,
    name: ObjectName,
    status: StatusOf<T>,
    options: ApplyOptions,
  ): Promise<Stored<T>>;
  patch<T extends KubeObject>(
    resource: Resource<T>,
    name: ObjectName,
    patch: Patch,
    options?: PatchOptions,
  ): Promise<Stored<T>>;
  /** False when it was gone already. True also when finalizers still hold it. */
  delete<T extends KubeObject>(resource: Resource<T>, name: ObjectName, options?: DeleteOptions): Promise<boolean>;
  /** Anything else, such as `/version`; the answer's body. */
  raw(call: Call, signal?: AbortSignal): Promise<string>;
  /**
   * A signal that aborts when the server next answers any request of this client after it has answered none for some
   * seconds: whoever waits to try again need not wait longer.
   */
  backAgain(): AbortSignal;
  close(): Promise<void>;
}

const metadataAccept = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
const metadataListAccept = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';

export function createClient(transport: Transport): Client {
  async function one<T extends KubeObject>(
    resource: Resource<T>,
    call: Call,
    signal?: AbortSignal,
  ): Promise<Stored<T>> {
    const body = parseAnswer(call, await transport.call(call, signal));
    if (!isRecord(body.metadata)) throw undecodable(whatOf(call), 'the answer is no object of the API');
    return stored(resource, body as unknown as Stored<T>);
  }

  const client: Client = {
    get: (resource, name, signal) =>
      one(resource, { method: 'GET', path: pathOf(resource, name), idempotent: true }, signal),

    async find(resource, name, signal) {
      try {
        return await client.get(resource, name, signal);
      } catch (error) {
        if (isApiError(error, 'NotFound')) return undefined;
        throw error;
      }
    },

    async list(resource, options = {}) {
      const call: Call = {
        method: 'GET',
        path: pathOf(resource, { namespace: options.namespace }),
        query: {
          ...selectors(options),
          limit: options.limit,
          continue: options.continue,
          resourceVersion: options.notOlderThan,
          resourceVersionMatch: options.notOlderThan === undefined ? undefined : 'NotOlderThan',
        },
        ...(options.metadataOnly === true ? { accept: metadataListAccept } : {}),
        idempotent: true,
      };
      return pageOf(resource, call, parseAnswer(call, await transport.call(call, options.signal)));
    },

    watch: (resource, options) => watch(transport, resource, options),

    create: (resource, object, options = {}) =>
      one(
        resource,
        {
          method: 'POST',
          path: pathOf(resource, { namespace: object.metadata.namespace }),
          query: writing(options),
          body: typed(resource, object),
          idempotent: false,
        },
        options.signal,
      ),

    replace: (resource, object, options = {}) =>
      one(
        resource,
        {
          method: 'PUT',
          path: pathOf(resource, object.metadata),
          query: writing(options),
          body: typed(resource, object),
          idempotent: false,
        },
        options.signal,
      ),

    apply: (resource, object, options) =>
      one(resource, applyCall(resource, object.metadata, typed(resource, object), options), options.signal),

    applyStatus: (resource, { namespace, name }, status, options) => {
      const body = typed(resource, { metadata: { namespace, name }, status });
      return one(resource, applyCall(resource, { namespace, name }, body, options, 'status'), options.signal);
    },

    patch: (resource, name, patch, options = {}) =>
      one(
        resource,
        {
          method: 'PATCH',
          path: pathOf(resource, name, options.subresource),
          query: writing(options),
          body: patch.type === 'json' ? patch.operations : patch.value,
          contentType: patch.type === 'json' ? 'application/json-patch+json' : 'application/merge-patch+json',
          idempotent: false,
        },
        options.signal,
      ),

    async delete(resource, name, options = {}) {
      const { uid, resourceVersion, propagationPolicy, dryRun, signal } = options;
      const body = {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        preconditions: { uid, resourceVersion },
        propagationPolicy,
        ...(dryRun === true ? { dryRun: ['All'] } : {}),
      };
      try {
        // With a uid a second delete cannot hit a successor of the same name.
        const idempotent = uid !== undefined;
        await transport.call({ method: 'DELETE', path: pathOf(resource, name), body, idempotent }, signal);
        return true;
      } catch (error) {
        if (isApiError(error, 'NotFound')) return false;
        throw error;
      }
    },

    raw: (call, signal) => transport.call(call, signal),
    backAgain: () => transport.backAgain(),
    close: () => transport.close(),
    [Symbol.asyncDispose]: () => transport.close(),
  };
  return client;
}

function applyCall<T extends KubeObject>(
  resource: Resource<T>,
  name: ObjectName,
  body: unknown,
  options: ApplyOptions,
  subresource?: string,
): Call {
  return {
    method: 'PATCH',
    path: pathOf(resource, name, subresource),
    query: { ...writing(options), force: options.force },
    body,
    contentType: 'application/apply-patch+yaml',
    // The whole owned set each time: a second one changes nothing.
    idempotent: true,
  };
}

async function* watch<T extends KubeObject>(
  transport: Transport,
  resource: Resource<T>,
  options: WatchOptions,
): AsyncIterable<WatchEvent<T>> {
  const call: Call = {
    method: 'GET',
    path: pathOf(resource, { namespace: options.namespace }),
    query: {
      ...selectors(options),
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion: options.resourceVersion,
      ...(options.resourceVersion === undefined
        ? { sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' }
        : {}),
      timeoutSeconds: options.timeoutSeconds,
    },
    ...(options.metadataOnly === true ? { accept: metadataAccept } : {}),
    idempotent: true,
  };
  for await (const line of linesOf(await transport.stream(call, options.signal))) yield eventOf(resource, call, line);
}

function eventOf<T extends KubeObject>(resource: Resource<T>, call: Call, line: string): WatchEvent<T> {
  const what = `watch of ${call.path}`;
  const { type, object } = decode(line, what);
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type, object: stored(resource, object as Stored<T>) };
    case 'BOOKMARK': {
      const { resourceVersion, annotations = {} } = (object as Stored<T>).metadata;
      return { type, resourceVersion, allListed: annotations['k8s.io/initial-events-end'] === 'true' };
    }
    case 'ERROR': {
      const status = object as StatusBody;
      throw new ApiError(status.code ?? 500, status, what);
    }
    default:
      throw undecodable(what, `event type ${JSON.stringify(type)}`);
  }
}

function decode(line: string, what: string): { readonly type: unknown; readonly object: unknown } {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch (error) {
    throw undecodable(what, `a line of ${line.length} characters is no JSON`, { cause: error });
  }
  if (typeof event !== 'object' || event === null || !('type' in event) || !('object' in event))
    throw undecodable(what, 'a line is no event');
  return event;
}

/** A load balancer's page, or half of an answer, is no answer of the API server; waiting may help. */
function parseAnswer(call: Call, text: string): Record<string, unknown> {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    const begin = JSON.stringify(text.slice(0, 60));
    throw undecodable(whatOf(call), `the answer is no JSON but begins with ${begin}: is this the API server?`, {
      cause: error,
    });
  }
  if (!isRecord(body)) throw undecodable(whatOf(call), 'the answer is no object of the API');
  return body;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function undecodable(what: string, message: string, options?: ErrorOptions): ApiError {
  return new ApiError(0, { reason: 'Undecodable', message }, what, undefined, options);
}

function selectors({ labelSelector, fieldSelector }: Selection): NonNullable<Call['query']> {
  return { labelSelector, fieldSelector };
}

function writing({ fieldManager, dryRun }: WriteOptions): NonNullable<Call['query']> {
  return { fieldManager, fieldValidation: 'Strict', dryRun: dryRun === true ? 'All' : undefined };
}

function typed<T extends KubeObject>(resource: Resource<T>, object: object): object {
  return { ...object, apiVersion: apiVersionOf(resource), kind: resource.kind };
}

/** Items of a list come without their kind; PartialObjectMetadata come with another one. */
function stored<T extends KubeObject>(resource: Resource<T>, object: Stored<T>): Stored<T> {
  return Object.assign(object, { apiVersion: apiVersionOf(resource), kind: resource.kind });
}

function pageOf<T extends KubeObject>(resource: Resource<T>, call: Call, body: Record<string, unknown>): Page<T> {
  const { metadata, items } = body as {
    readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
    readonly items?: readonly Stored<T>[] | null;
  };
  if (metadata?.resourceVersion === undefined) throw undecodable(whatOf(call), 'the answer is no list of the API');
  return {
    items: (items ?? []).map((item) => stored(resource, item)),
    resourceVersion: metadata.resourceVersion,
    continue: metadata.continue === '' ? undefined : metadata.continue,
  };
}
