import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RuleRecord, RuleSet } from '../../src/core/settings.ts';
import { compileRuleSet } from '../../src/rules/compile.ts';
import { compilePattern } from '../../src/rules/pattern.ts';
import { exportRules, parseRuleStrings } from '../../src/rules/rule-strings.ts';
import { modelPath, modelRule, patternOf } from '../support/rules-model.ts';

test('rules are joined with ";" and nothing else', () => {
  expect(exportRules({ grant: [whole('.*/a/.*'), whole('/b c')], deny: [whole('.*')], ceiling: null })).toEqual({
    grant: '.*/a/.*;/b c',
    deny: '.*',
  });
  expect(exportRules({ grant: [], deny: [], ceiling: null })).toEqual({ grant: '', deny: '' });
});

test('no number or length of rules is cut', () => {
  const long = Array.from({ length: 2048 }, (_, index) => whole(`/${index}${'a'.repeat(1000)}`));
  const { deny } = exportRules({ grant: [], deny: long, ceiling: null });
  expect(deny.split(';')).toEqual(long.map(({ pattern }) => pattern));
});

describe('a rule that searches is written for a reader who matches the whole path', () => {
  test.each([
    { pattern: '/secret/', exported: '.*(?:/secret/).*' },
    { pattern: 'a|b', exported: '.*(?:a|b).*' },
    { pattern: '^/a$', exported: '.*(?:^/a$).*' },
    { pattern: '.*/a/.*', exported: '.*/a/.*' },
    { pattern: '.*', exported: '.*' },
    { pattern: '.*a\\.*', exported: '.*(?:.*a\\.*).*' },
    { pattern: '.*\\\\.*', exported: '.*\\\\.*' },
    { pattern: '.*a|b.*', exported: '.*(?:.*a|b.*).*' },
    { pattern: '.*\\Qa.*', exported: '.*(?:.*\\Qa.*\\E).*' },
    { pattern: '.*(?-s)a.*', exported: '.*(?:.*(?-s)a.*).*' },
    { pattern: '\\Qa\\Eb', exported: '.*(?:\\Qa\\Eb).*' },
    { pattern: '\\\\Qa', exported: '.*(?:\\\\Qa).*' },
    { pattern: '\\Qa\\Eb\\Q)', exported: '.*(?:\\Qa\\Eb\\Q)\\E).*' },
  ])('$pattern', ({ pattern, exported }) => {
    const { grant } = exportRules({ grant: [{ ...whole(pattern), match: 'Search' }], deny: [], ceiling: null });
    expect(grant).toBe(exported);
    const search = compilePattern(pattern, 'Search');
    const read = compilePattern(grant, 'Whole');
    for (const path of ['/a', '/secret/x', '/b/a/c', 'a.*', '/x/a).b', '.', '/\\Qa', '/abz)', 'a\nb']) {
      expect([path, read.matches(path)]).toEqual([path, search.matches(path)]);
    }
  });

  test('also when it is as long as a rule can be', () => {
    const ruleSet: RuleSet = { grant: [], deny: [{ ...whole('a'.repeat(1024)), match: 'Search' }], ceiling: null };
    const read = compileRuleSet(parseRuleStrings(exportRules(ruleSet)));
    expect(read.decide(`/${'a'.repeat(1024)}` as never).effect).toBe('deny');
  });
});

test('the two strings, read again, decide the same', () => {
  const lists = fc.array(modelRule, { maxLength: 5 });
  fc.assert(
    fc.property(lists, lists, fc.array(modelPath, { minLength: 1, maxLength: 6 }), (grants, denies, paths) => {
      const recordOf = ({ shape, match }: (typeof grants)[number], index: number): RuleRecord => ({
        ...whole(patternOf(shape)),
        match,
        index,
      });
      const ruleSet: RuleSet = { grant: grants.map(recordOf), deny: denies.map(recordOf), ceiling: null };
      const written = compileRuleSet(ruleSet);
      const read = compileRuleSet(parseRuleStrings(exportRules(ruleSet)));
      for (const path of paths) {
        const [a, b] = [written, read].map((rules) => rules.decide(path as never));
        expect([path, b?.effect, b?.rule?.list, b?.rule?.index]).toEqual([
          path,
          a?.effect,
          a?.rule?.list,
          a?.rule?.index,
        ]);
      }
    }),
    { numRuns: 1000 },
  );
});

describe('strings are read exactly', () => {
  test('blanks are part of a rule, and rules keep their order and place', () => {
    const { grant, deny } = parseRuleStrings({ grant: ' /a; /b', deny: '' });
    expect(grant).toMatchObject([
      { pattern: ' /a', match: 'Whole', index: 0, policy: { kind: 'VMSettings', name: 'guestStore.access.grant' } },
      { pattern: ' /b', index: 1 },
    ]);
    expect(deny).toEqual([]);
  });

  test.each([';', '/a;', ';/a', '/a;;/b'])('an empty rule in %j is refused', (deny) => {
    expect(() => parseRuleStrings({ grant: '', deny })).toThrowError(
      expect.objectContaining({
        code: 'InvalidRule',
        message: expect.stringContaining('guestStore.access.deny: rule'),
      }),
    );
  });
});

test('a ceiling cannot be said in strings, so nothing is exported', () => {
  expect(() => exportRules({ grant: [], deny: [], ceiling: { mustDeny: [] } })).toThrowError(
    expect.objectContaining({ code: 'NotSupportedYet' }),
  );
});

function whole(pattern: string): RuleRecord {
  return { pattern, match: 'Whole', policy: { kind: 'VMAccessPolicy', namespace: 'n', name: 'p' }, index: 0 };
}
