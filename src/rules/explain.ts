import type { ContentPath } from '../core/content-path.ts';
import type { RuleSet } from '../core/settings.ts';
import { compileRules, type DecidingRule, type Decision, rulesInOrder } from './compile.ts';

export interface Explanation {
  readonly decision: Decision;
  /** The rules that were tried and did not match, in order, up to the one that decided or all of them. */
  readonly tried: readonly DecidingRule[];
  /** What would be decided if the deciding rule were not there; undefined when no rule decided. */
  readonly without: Decision | undefined;
}

/** Why the rules decide as they do on one path, by the same engine that decides for guests. Throws as `compileRuleSet`. */
export function explainPath(ruleSet: RuleSet, path: ContentPath): Explanation {
  const rules = rulesInOrder(ruleSet);
  const decision = compileRules(rules).decide(path);
  const { rule } = decision;
  if (rule === undefined) return { decision, tried: rules, without: undefined };
  const place = rules.indexOf(rule);
  // Those before it did not match, and would not without it.
  const without = compileRules(rules.slice(place + 1)).decide(path);
  return { decision, tried: rules.slice(0, place), without };
}
