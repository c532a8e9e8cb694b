import type { FileHandle } from 'node:fs/promises';
import type { HeadRefusal, RequestHead } from '../wire/request-head.ts';

/**
 * The core's side of one VM: a request head in, a reply out. A transport knows only bytes and never who asks, since each
 * address has its own service. A reply that needs no waiting comes back at once, without a promise; it never rejects.
 */
export interface Service {
  answer(asked: Asked): Reply | Promise<Reply>;
  /** A connection ended without a whole head, or before its turn came. */
  lost(why: 'late' | 'gone' | 'stopped'): void;
}

/** What came in. `line`: the request line as far as it goes, printable. `overloaded`: too many wait; nothing was read. */
export type Asked =
  | { readonly request: RequestHead }
  | { readonly refusal: HeadRefusal; readonly line: string }
  | { readonly overloaded: true };

export interface Reply {
  /** Head, and the whole body unless it comes from `file`. Never written to after it was handed out. */
  readonly first: Buffer;
  /** The body, when it is too large for memory. The transport closes it. */
  readonly file: ReplyFile | undefined;
  /** Of the body, in bytes. */
  readonly length: number;
  /** Called exactly once, with what became of it. */
  readonly over: (end: ReplyEnd) => void;
}

export interface ReplyFile {
  readonly handle: FileHandle;
  /** Asked before the last piece leaves: false ends the stream short, so that no guest takes a mix for the whole. */
  unchanged(): boolean;
}

/**
 * `sent`: handed to the kernel whole. `gone`: the client left. `stalled`: it took nothing for too long. `failed`: the file
 * could not be read to its end, or changed. `stopped`: the daemon stopped first.
 */
export interface ReplyEnd {
  readonly result: 'sent' | 'gone' | 'stalled' | 'failed' | 'stopped';
  /** Of the body, as far as it went. */
  readonly bytes: number;
}

/** What guests may take up. Milliseconds and counts. */
export interface TransportLimits {
  /** From accept to the end of the head, however it drips. */
  readonly headTimeout: number;
  /** Without a byte leaving. */
  readonly stallTimeout: number;
  /** Connections of one VM beside the one that is served. */
  readonly waiting: number;
  /** What a stop gives to replies that are under way. */
  readonly drainTimeout: number;
}

export const transportLimits: TransportLimits = {
  headTimeout: 10_000,
  stallTimeout: 60_000,
  waiting: 16,
  drainTimeout: 5_000,
};

/** One address that is listened at: one VM. */
export interface Door {
  /** Accepts no more. What is under way goes on; what waits is still answered. */
  close(): Promise<void>;
}

/** Accepts at Unix sockets and carries exchanges: for each door one at a time, in the order in which heads were whole. */
export interface Transport {
  readonly name: 'node' | 'fast';
  /** Binds a new socket at `path`, which must not exist. Removing it is the caller's. */
  listen(path: string, service: Service): Promise<Door>;
  /** Connections that are open. */
  readonly connections: number;
  /** Lets what is under way end within `drainTimeout`, then ends it. Doors are closed before. */
  close(): Promise<void>;
}
