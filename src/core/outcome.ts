import { type ErrorCode, errorCodes, type GuestStoreError } from '../lib/errors.ts';
import type { Digest } from './digest.ts';
import type { ObjectKey, ObjectRef } from './names.ts';

/** Reasons of conditions that are no error's code. */
export const ownReasons = [
  'Served',
  'Published',
  'Suspended',
  'Fetching',
  'Publishing',
  'WaitingForHosts',
  'DatastoreNotFound',
  'DatastoreNotPermitted',
  'RootNotPermitted',
  'RepositoryNotFound',
  'RepositoryNotReady',
  'RepositoryAmbiguous',
  'ReferenceNotPermitted',
  'ReferencesExist',
  'Effective',
  'Programmed',
  'Disabled',
  'Heartbeat',
  'HeartbeatMissing',
] as const;

/** Reasons of conditions, a closed set. Each is explained in docs/reasons.md. */
export type Reason = ErrorCode | (typeof ownReasons)[number];

const reasons: ReadonlySet<string> = new Set([...errorCodes, ...ownReasons]);

export function isReason(word: string): word is Reason {
  return reasons.has(word);
}

/**
 * What a daemon says of itself, in words that a status may bear: what lies in the datastore may come from anybody, and the
 * API server would refuse the whole status for one reason that is no word.
 */
export function heard({ reason, message }: { readonly reason: string; readonly message: string }, otherwise: Reason) {
  return {
    reason: isReason(reason) ? reason : otherwise,
    message: message.trim() === '' ? 'The daemon does not say why; read its log.' : message.trim(),
  };
}

/** Why an object's desired state is not the published one. */
export interface Failure {
  readonly reason: Reason;
  readonly message: string;
  /** True: only a change by the user helps. */
  readonly terminal: boolean;
}

export function failureOf(error: GuestStoreError): Failure {
  return { reason: error.code, message: error.message, terminal: error.terminal };
}

/** What came of one object in the publisher's last pass over it. */
export interface Outcome {
  readonly generation: number;
  /** The revision since which everything that this generation asks for is published; undefined while it is not. */
  readonly seq: number | undefined;
  /** It was published already when this operator started. */
  readonly inherited: boolean;
  readonly failure: Failure | undefined;
  readonly suspended: boolean;
  /** The request for a look (`requestOf`) that this outcome answers; undefined while it is not answered. */
  readonly handled: string | undefined;
  /** Fields that this version accepts but does not act on yet. */
  readonly notSupported: readonly string[];
}

export interface ItemOutcome extends Outcome {
  readonly repository: ObjectKey | undefined;
  /** Bytes that are on their way, where something is being fetched. */
  readonly fetching: boolean;
  /** What guests get at the path now, whichever generation it came from. */
  readonly served: { readonly digest: Digest; readonly size: number; readonly sensitive: boolean } | undefined;
  /** What the source gave for this generation, and trouble in asking it again. */
  readonly sourceRevision: string | undefined;
  readonly sourceFailure: Failure | undefined;
  /** It is to be deleted and guests get it no more; only its file in the plain tree is still there. */
  readonly leftover?: true;
}

export interface RepositoryOutcome extends Outcome {
  readonly items: number;
  readonly bytes: number;
}

export interface DatastoreOutcome extends Outcome {
  /** Namespaces with repositories in it. */
  readonly namespaces: number;
  readonly repositories: number;
  /** Repositories among them that ask for more than they may have. */
  readonly refused: number;
  readonly bytes: number;
}

export interface PolicyOutcome extends Outcome {
  /** How many VMs it selects. */
  readonly matched: number;
}

export interface VmOutcome extends Outcome {
  readonly repository: ObjectKey | undefined;
  readonly host: string;
  readonly enabled: boolean;
  readonly ruleSet: Digest | undefined;
  readonly grants: number;
  readonly denies: number;
  readonly policies: readonly (ObjectRef & { readonly generation: number })[];
  readonly exported: { readonly grant: string; readonly deny: string } | undefined;
}
