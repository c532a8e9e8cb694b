import type { RuleSet } from '../core/settings.ts';

/**
 * A rule set as JSON with sorted keys and without blanks: the bytes whose digest names it. Equal rule sets give equal
 * text, whoever made them.
 */
export function canonicalRuleSet(ruleSet: RuleSet): string {
  return JSON.stringify(ruleSet, (_key, value: unknown) => (isRecord(value) ? sorted(value) : value));
}

function sorted(record: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
