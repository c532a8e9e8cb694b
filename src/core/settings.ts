import type { Digest } from './digest.ts';
import type { ObjectKey, ObjectRef } from './names.ts';

/** One pattern of a policy with where it came from, as the datastore records it. */
export interface RuleRecord {
  readonly pattern: string;
  /** `Whole`: the pattern must match the whole canonical path. `Search`: anywhere in it. */
  readonly match: 'Whole' | 'Search';
  /** The policy or repository (a `Closed` posture) that it stands in. */
  readonly policy: ObjectRef;
  /** Place in that policy's list, from 0. */
  readonly index: number;
}

/**
 * The effective rules of a VM, in the order in which they are tried: grants, then denies. Stored once by digest, however
 * many VMs share it.
 */
export interface RuleSet {
  readonly grant: readonly RuleRecord[];
  readonly deny: readonly RuleRecord[];
  /** What no rule may open (AccessGuardrail): allowed = not denied by the ceiling, and (granted or not denied). */
  readonly ceiling: { readonly mustDeny: readonly RuleRecord[] } | null;
  readonly critical?: readonly string[];
}

/** How the daemon meets a VM. Kinds that this version cannot serve are recorded and refused, never ignored. */
export type Channel =
  | {
      readonly kind: 'hybridUDS';
      /** Relative to `<run-dir>/<namespace>/`, or absolute below the namespace's socket root. */
      readonly path: string;
      readonly port: number;
      /** Owner of the socket: the VMM's. Absent: the daemon's own. */
      readonly uid?: number;
      readonly gid?: number;
    }
  | { readonly kind: 'vsock' | 'serial' | 'tls' };

/** One VM as the datastore records it: everything that a daemon needs to know of it. */
export interface VmRow {
  /** Host whose daemon serves it. */
  readonly host: string;
  readonly channel: Channel;
  /** The one repository it is served from; null when none or several would fit: then every request is 503. */
  readonly repository: ObjectKey | null;
  /** Null when the rules of this VM could not be compiled and none were good before: then every request is 503. */
  readonly ruleSet: Digest | null;
  /** False: access is switched off, every request is 503. */
  readonly enabled: boolean;
  /** Why the VM must be refused although it is enabled (two VMs on one channel, say); null when it may be served. */
  readonly refused: string | null;
  /** A catalog of its own in place of the repository's (staged rollout). Reserved. */
  readonly catalog?: Digest;
  readonly critical?: readonly string[];
}
