import type { RuleRecord, RuleSet } from '../core/settings.ts';
import { GuestStoreError } from '../lib/errors.ts';

/** The settings `guestStore.access.grant` and `.deny` of a VM. */
export interface RuleStrings {
  readonly grant: string;
  readonly deny: string;
}

/**
 * A rule set as those two strings: rules joined with `;`, no blanks, nothing left out or cut. A rule that searches is
 * written so that it decides the same where rules are matched against the whole path. Throws `NotSupportedYet` when there
 * is a ceiling, which the strings cannot express.
 */
export function exportRules({ grant, deny, ceiling }: RuleSet): RuleStrings {
  if (ceiling !== null) {
    throw new GuestStoreError(
      'NotSupportedYet',
      'rules under a guardrail cannot be written as guestStore.access.grant and .deny, where a grant beats every deny',
    );
  }
  return { grant: grant.map(asWhole).join(';'), deny: deny.map(asWhole).join(';') };
}

/**
 * Reads the two strings as the model does: each rule against the whole path, in the order written. Blanks are part of a
 * rule. Throws `InvalidRule` for an empty entry, which may be a rule that was lost.
 */
export function parseRuleStrings({ grant, deny }: RuleStrings): RuleSet {
  return {
    grant: parseList('guestStore.access.grant', grant),
    deny: parseList('guestStore.access.deny', deny),
    ceiling: null,
  };
}

function parseList(name: string, list: string): RuleRecord[] {
  if (list === '') return [];
  return list.split(';').map((pattern, index) => {
    if (pattern === '') {
      throw new GuestStoreError('InvalidRule', `${name}: rule ${index + 1} is empty; remove the ";" too many`);
    }
    return { pattern, match: 'Whole', policy: { kind: 'VMSettings', name }, index };
  });
}

function asWhole({ pattern, match }: RuleRecord): string {
  if (match === 'Whole' || isOpenAtBothEnds(pattern)) return pattern;
  return `.*(?:${pattern}${endsQuoted(pattern) ? String.raw`\E` : ''}).*`;
}

/**
 * Whether a pattern plainly begins and ends with `.*`, as nearly all do, so that matching the whole path and searching it
 * are one. Alternatives, flags and quoting (which may hide an end) count as not plain.
 */
function isOpenAtBothEnds(pattern: string): boolean {
  return /^\.\*/.test(pattern) && /(^|[^\\])(\\\\)*\.\*$/.test(pattern) && !/\||\(\?|\\Q/.test(pattern);
}

/** Whether a `\Q` is still open at the end: what is written behind it would be taken literally. */
function endsQuoted(pattern: string): boolean {
  let at = 0;
  while (at < pattern.length) {
    if (pattern[at] !== '\\') at += 1;
    else if (pattern[at + 1] !== 'Q') at += 2;
    else {
      const end = pattern.indexOf(String.raw`\E`, at + 2);
      if (end < 0) return true;
      at = end + 2;
    }
  }
  return false;
}
