import { compareKeys, keyOf, type ObjectRef } from '../core/names.ts';
import type { RuleRecord, RuleSet } from '../core/settings.ts';
import { GuestStoreError } from '../lib/errors.ts';
import type { Match } from './pattern.ts';

/** Rules of a VM, grants and denies together. */
export const maxRulesPerVm = 2048;

/** What one policy that selects the VM says. A policy without namespace is a cluster policy. */
export interface PolicyRules {
  readonly policy: ObjectRef;
  readonly grant: readonly string[];
  readonly deny: readonly string[];
  readonly match: Match;
  readonly mode: 'Enforce' | 'Audit';
}

/** What becomes of paths that no rule names, and which repository or datastore says so. */
export interface Posture {
  readonly by: ObjectRef;
  readonly posture: 'Open' | 'Closed';
}

/**
 * The rule set of a VM that these policies select. Cluster policies come first, then by namespace and name, then as
 * written; that order decides which rule is named, never what is allowed. A `Closed` posture adds a last deny of `.*`.
 * Policies in `Audit` mode take no part. Throws `TooManyRules`. Patterns are taken as they are: `compileRuleSet` checks them.
 */
export function rulesForVm(policies: readonly PolicyRules[], posture?: Posture): RuleSet {
  const inForce = policies.filter(({ mode }) => mode === 'Enforce').toSorted(byScopeAndName);
  const closing: RuleRecord[] =
    posture?.posture === 'Closed' ? [{ pattern: '.*', match: 'Whole', policy: posture.by, index: 0 }] : [];
  const grant = inForce.flatMap((rules) => recordsOf(rules, rules.grant));
  const deny = [...inForce.flatMap((rules) => recordsOf(rules, rules.deny)), ...closing];
  const count = grant.length + deny.length;
  if (count > maxRulesPerVm) {
    throw new GuestStoreError(
      'TooManyRules',
      `${inForce.length} policies together give ${count} rules, a VM can have ${maxRulesPerVm}; join rules with "|", or let fewer policies select the VM`,
    );
  }
  return { grant, deny, ceiling: null };
}

function recordsOf({ policy, match }: PolicyRules, patterns: readonly string[]): RuleRecord[] {
  return patterns.map((pattern, index) => ({ pattern, match, policy, index }));
}

function byScopeAndName({ policy: a }: PolicyRules, { policy: b }: PolicyRules): number {
  const cluster = Number(a.namespace !== undefined) - Number(b.namespace !== undefined);
  return cluster === 0 ? compareKeys(keyOf(a), keyOf(b)) : cluster;
}
