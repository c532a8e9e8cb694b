import type { Entry, RetiredEntry, StoredEntry } from '../core/catalog.ts';
import { type ContentPath, resolveRequestPath } from '../core/content-path.ts';
import { servable } from '../core/critical.ts';
import type { Digest } from '../core/digest.ts';
import type { ObjectKey } from '../core/names.ts';
import type { RuleSet, VmRow } from '../core/settings.ts';
import { GuestStoreError } from '../lib/errors.ts';
import type { Decision } from '../rules/compile.ts';
import type { Snapshot } from '../store/types.ts';

/**
 * Decides by one rule set; `digest` names it, so that what was compiled or decided can be kept. Undefined when the rules
 * cannot be understood, which is not the same as no rules.
 */
export type Decide = (digest: Digest, rules: RuleSet, path: ContentPath) => Decision | undefined;

/** Why a request cannot be answered as rules and catalog would have it: always 503, whatever the word. */
export type Unavailable =
  | 'NoRevision'
  | 'NotUnderstood'
  | 'UnknownVM'
  | 'AccessDisabled'
  | 'ChannelConflict'
  | 'VMRefused'
  | 'NoRepository'
  | 'RulesUnreadable'
  | 'ContentPending'
  | 'NotAuthoritative'
  | 'DigestMismatch'
  | 'ContentUnreadable'
  | 'Overloaded'
  | 'Internal';

export type Answer =
  | {
      readonly kind: 'content';
      readonly path: ContentPath;
      readonly decision: Decision;
      readonly entry: StoredEntry | RetiredEntry;
    }
  | { readonly kind: 'denied' | 'not-found'; readonly path: ContentPath; readonly decision: Decision }
  | {
      readonly kind: 'unavailable';
      readonly reason: Unavailable;
      readonly path: ContentPath | undefined;
      readonly decision: Decision | undefined;
    }
  | { readonly kind: 'bad'; readonly status: 400 | 414; readonly reason: string };

/** What an answer is drawn from beside the revision. */
export interface Grounds {
  /** The name under which this daemon serves. */
  readonly host: string;
  readonly decide: Decide;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/**
 * What VM `vm` is told when it asks for `requested` at this revision. Canonical path first, then who asks, then the
 * rules, then the catalog: a path that is denied is denied whether or not it exists, and whatever is missing or cannot be
 * understood on the way is trouble, never a verdict: VMware Tools delete a guest's configuration on 403 and 404.
 */
export function answerRequest(
  snapshot: Snapshot | undefined,
  vm: ObjectKey,
  requested: string,
  grounds: Grounds,
): Answer {
  const row = snapshot?.vm(vm);
  // What is a key of a catalog was parsed when the catalog was read, which spares most requests from being parsed again.
  const known = findAsAsked(snapshot, row, requested);
  const path = known === undefined ? canonicalPath(requested) : (requested as ContentPath);
  if (typeof path !== 'string') return path;
  const unavailable = (reason: Unavailable, decision?: Decision): Answer => ({
    kind: 'unavailable',
    reason,
    path,
    decision,
  });

  if (snapshot === undefined) return unavailable('NoRevision');
  if (row === undefined || row.host !== grounds.host) return unavailable('UnknownVM');
  if (!servable(snapshot.commit) || !servable(row)) return unavailable('NotUnderstood');
  if (!row.enabled) return unavailable('AccessDisabled');
  if (row.refused !== null) return unavailable('VMRefused');
  // A catalog of its own is reserved for staged rollouts: serving the repository's instead would be a guess.
  if (row.catalog !== undefined) return unavailable('NotUnderstood');
  if (row.repository === null) return unavailable('NoRepository');
  const repository = snapshot.repositories.get(row.repository);
  if (repository === undefined) return unavailable('NoRepository');
  if (!servable(repository)) return unavailable('NotUnderstood');

  const decision = decideBy(row.ruleSet, snapshot, path, grounds.decide);
  if (typeof decision === 'string') return unavailable(decision);
  if (decision.effect === 'deny') return { kind: 'denied', path, decision };

  const entry = known ?? snapshot.find(row.repository, path);
  if (entry === undefined) {
    return repository.authoritative ? { kind: 'not-found', path, decision } : unavailable('NotAuthoritative', decision);
  }
  if (!servable(entry)) return unavailable('NotUnderstood', decision);
  return answerEntry(entry, path, decision, grounds.now);
}

function findAsAsked(snapshot: Snapshot | undefined, row: VmRow | undefined, requested: string): Entry | undefined {
  if (snapshot === undefined || row === undefined || row.repository === null) return undefined;
  return snapshot.find(row.repository, requested as ContentPath);
}

function answerEntry(entry: Entry, path: ContentPath, decision: Decision, now: number): Answer {
  switch (entry.state) {
    case 'stored':
      return { kind: 'content', path, decision, entry };
    case 'pending':
      return { kind: 'unavailable', reason: 'ContentPending', path, decision };
    case 'retired': {
      const until = Date.parse(entry.until);
      if (Number.isNaN(until)) return { kind: 'unavailable', reason: 'NotUnderstood', path, decision };
      return now < until ? { kind: 'content', path, decision, entry } : { kind: 'not-found', path, decision };
    }
    default:
      // A state that a later format brings.
      return { kind: 'unavailable', reason: 'NotUnderstood', path, decision };
  }
}

function canonicalPath(requested: string): ContentPath | Answer {
  try {
    return resolveRequestPath(requested);
  } catch (error) {
    if (!(error instanceof GuestStoreError)) throw error;
    return { kind: 'bad', status: 400, reason: 'path is not canonical' };
  }
}

/** No rule set, one that is not there, and one that does not compile are all trouble: never "no rules". */
function decideBy(
  digest: Digest | null,
  snapshot: Snapshot,
  path: ContentPath,
  decide: Decide,
): Decision | 'RulesUnreadable' | 'NotUnderstood' {
  const rules = digest === null ? undefined : snapshot.ruleSet(digest);
  if (digest === null || rules === undefined) return 'RulesUnreadable';
  if (!servable(rules)) return 'NotUnderstood';
  return decide(digest, rules, path) ?? 'RulesUnreadable';
}
