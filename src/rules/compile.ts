import type { ContentPath } from '../core/content-path.ts';
import { keyOf } from '../core/names.ts';
import type { RuleRecord, RuleSet } from '../core/settings.ts';
import { GuestStoreError, messageOf } from '../lib/errors.ts';
import { createAutomata } from './automata.ts';
import { createGenerations, type Generations } from './generations.ts';
import { compileRule } from './pattern.ts';
import type { Program } from './program.ts';

/** Steps that all rules of a VM may compile to, which bounds the time of a decision; some 100 a rule on average. */
export const maxRuleSetSteps = 200_000;

/** A rule as it takes part in decisions. */
export interface DecidingRule extends RuleRecord {
  readonly effect: 'grant' | 'deny';
  readonly list: 'mustDeny' | 'grant' | 'deny';
}

/** What the rules say of one path; `rule` is the one that settled it, undefined when none matched. */
export interface Decision {
  readonly effect: 'grant' | 'deny';
  readonly rule: DecidingRule | undefined;
}

export interface CompiledRules {
  /** All rules in the order in which they are tried. */
  readonly rules: readonly DecidingRule[];
  /** Linear in the length of the path. */
  decide(path: ContentPath): Decision;
  /** Bytes that what was learned from earlier paths occupies; bounded. */
  readonly stateBytes: number;
}

const unmatched: Decision = { effect: 'grant', rule: undefined };

/** Programs of patterns that were compiled before, since rule sets of one fleet share most of them. Bounded. */
export type PatternCache = Generations<Program>;

/** Keeps programs of up to twice `maxSteps` steps (about 20 bytes each). */
export function createPatternCache(maxSteps = 400_000): PatternCache {
  return createGenerations(maxSteps);
}

/**
 * The rules in the order in which they are tried: what the ceiling must deny, grants, denies, each in the order written.
 * The first that matches decides; no match grants. So a grant beats every deny, and the ceiling beats all.
 */
export function rulesInOrder({ ceiling, grant, deny }: RuleSet): DecidingRule[] {
  return [
    ...(ceiling?.mustDeny ?? []).map((rule) => ({ ...rule, effect: 'deny', list: 'mustDeny' }) as const),
    ...grant.map((rule) => ({ ...rule, effect: 'grant', list: 'grant' }) as const),
    ...deny.map((rule) => ({ ...rule, effect: 'deny', list: 'deny' }) as const),
  ];
}

/**
 * Compiles a VM's rules for deciding. Throws `InvalidRule` that names policy, list and index of a rule that does not
 * compile by itself (a rule is never left out: a deny that is missing opens), `TooManyRules` when they compile to too much.
 */
export function compileRuleSet(ruleSet: RuleSet, patterns?: PatternCache): CompiledRules {
  return compileRules(rulesInOrder(ruleSet), patterns);
}

export function compileRules(rules: readonly DecidingRule[], patterns?: PatternCache): CompiledRules {
  const programs = rules.map((rule) => programOfRule(rule, patterns));
  const steps = programs.reduce((sum, { ops }) => sum + ops.length, 0);
  if (steps > maxRuleSetSteps) {
    throw new GuestStoreError(
      'TooManyRules',
      `the rules compile to ${steps} steps, ${maxRuleSetSteps} are allowed for a VM; use fewer or shorter rules, or smaller repeat counts`,
    );
  }
  // Made once: deciding allocates nothing.
  const decisions = rules.map((rule): Decision => ({ effect: rule.effect, rule }));
  const automata = createAutomata(programs);
  return {
    rules,
    decide: (path) => decisions[automata.firstMatch(path)] ?? unmatched,
    get stateBytes() {
      return automata.stateBytes;
    },
  };
}

function programOfRule(rule: DecidingRule, patterns: PatternCache | undefined): Program {
  const key = `${rule.match} ${rule.pattern}`;
  const known = patterns?.get(key);
  if (known !== undefined) return known;
  try {
    const program = compileRule(rule.pattern, rule.match);
    patterns?.set(key, program, program.ops.length);
    return program;
  } catch (thrown) {
    const { kind, ...policy } = rule.policy;
    throw new GuestStoreError(
      'InvalidRule',
      `${kind} ${keyOf(policy)}, ${rule.list}[${rule.index}]: ${messageOf(thrown)}`,
      { cause: thrown },
    );
  }
}
