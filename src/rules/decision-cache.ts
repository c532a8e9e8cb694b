import type { ContentPath } from '../core/content-path.ts';
import type { Digest } from '../core/digest.ts';
import type { RuleSet } from '../core/settings.ts';
import { asGuestStoreError, type GuestStoreError } from '../lib/errors.ts';
import { type CompiledRules, compileRuleSet, createPatternCache, type Decision } from './compile.ts';
import { createGenerations } from './generations.ts';

/** Decisions by rule set and path, for the one who serves. */
export interface Decider {
  /**
   * What the rule set that `digest` names says of `path`; undefined when its rules do not compile here, which is trouble
   * and never "no rules". `ruleSet` is looked at only when the digest is new.
   */
  decide(digest: Digest, ruleSet: RuleSet, path: ContentPath): Decision | undefined;
  /** Characters of paths that are remembered, with what else an entry occupies counted as such. */
  readonly remembered: number;
}

export interface DeciderLimits {
  /** Characters of remembered paths in each of two generations. */
  readonly characters: number;
  /** Rules of compiled rule sets in each of two generations; one with few counts as 8. */
  readonly rules: number;
}

const defaults: DeciderLimits = { characters: 1 << 20, rules: 16_384 };
/** Weight of the smallest rule set. */
const least = 8;
/** What an entry costs beside its characters. */
const overhead = 64;

type Compiled = CompiledRules | 'unreadable';

/**
 * Remembers rule sets as compiled, and decisions as made. Both memories are bounded and shared by all VMs: a guest that
 * asks for ever new paths can only make others' decisions be made again. A rule set's digest is part of the key, so a new
 * revision's rules never meet an old decision. `unreadable` is told once of rules that do not compile, while they are
 * remembered.
 */
export function createDecider(
  unreadable: (digest: Digest, error: GuestStoreError) => void,
  limits: DeciderLimits = defaults,
): Decider {
  const patterns = createPatternCache();
  const ruleSets = createGenerations<Compiled>(limits.rules);
  // By path first: its text is hashed once, and no joined key is made for a look-up.
  const decisions = createGenerations<Map<Digest, Decision>>(limits.characters);

  function compiledOf(digest: Digest, ruleSet: RuleSet): Compiled {
    const known = ruleSets.get(digest);
    if (known !== undefined) return known;
    let compiled: Compiled;
    try {
      compiled = compileRuleSet(ruleSet, patterns);
    } catch (thrown) {
      // The operator compiled it before it was published: what fails here was written by another version, or damaged.
      compiled = 'unreadable';
      unreadable(digest, asGuestStoreError(thrown));
    }
    ruleSets.set(digest, compiled, compiled === 'unreadable' ? least : Math.max(least, compiled.rules.length));
    return compiled;
  }

  return {
    decide(digest, ruleSet, path) {
      const ofPath = decisions.get(path);
      const known = ofPath?.get(digest);
      if (known !== undefined) return known;
      const compiled = compiledOf(digest, ruleSet);
      if (compiled === 'unreadable') return undefined;
      const decision = compiled.decide(path);
      const grown = (ofPath ?? new Map<Digest, Decision>()).set(digest, decision);
      decisions.set(path, grown, path.length + overhead * (1 + grown.size));
      return decision;
    },
    get remembered() {
      return decisions.weight;
    },
  };
}
