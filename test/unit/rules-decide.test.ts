import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseContentPath } from '../../src/core/content-path.ts';
import type { RuleRecord, RuleSet } from '../../src/core/settings.ts';
import { compileRuleSet, createPatternCache } from '../../src/rules/compile.ts';
import { explainPath } from '../../src/rules/explain.ts';
import { parseRuleStrings } from '../../src/rules/rule-strings.ts';
import { type ModelRule, modelDecision, modelPath, modelRule, patternOf } from '../support/rules-model.ts';

const only11 = '.*/vmtools-11/.*';
const only10 = '.*/vmtools-10/.*';

describe('the five examples of the model', () => {
  test.each([
    { says: 'grant 11, deny the rest: only 11', grant: only11, deny: '.*', v10: 'deny', v11: 'grant', other: 'deny' },
    { says: 'deny 11: all but 11', grant: '', deny: only11, v10: 'grant', v11: 'deny', other: 'grant' },
    { says: 'the same in both: everything', grant: only11, deny: only11, v10: 'grant', v11: 'grant', other: 'grant' },
    { says: 'grant 11, deny 10: all but 10', grant: only11, deny: only10, v10: 'deny', v11: 'grant', other: 'grant' },
    { says: 'grant everything: deny is ignored', grant: '.*', deny: '.*', v10: 'grant', v11: 'grant', other: 'grant' },
  ])('$says', ({ grant, deny, v10, v11, other }) => {
    const rules = compileRuleSet(parseRuleStrings({ grant, deny }));
    const effect = (path: string) => rules.decide(parseContentPath(path)).effect;
    expect({
      v10: effect('/vmware/vmtools-10/setup.exe'),
      v11: effect('/vmware/vmtools-11/setup.exe'),
      other: effect('/config/motd.txt'),
    }).toEqual({ v10, v11, other });
  });

  test('a path that matches grant and deny is granted', () => {
    const rules = compileRuleSet(parseRuleStrings({ grant: only11, deny: only10 }));
    expect(rules.decide(parseContentPath('/vmtools-10/vmtools-11/x')).effect).toBe('grant');
  });
});

test('without rules everything is granted, by no rule', () => {
  const { decide } = compileRuleSet({ grant: [], deny: [], ceiling: null });
  expect(decide(parseContentPath('/a'))).toEqual({ effect: 'grant', rule: undefined });
});

test('the first rule that matches is named, with where it stands', () => {
  const ruleSet: RuleSet = {
    grant: [record('/none', 0), record('/a.*', 1), record('/ab', 2)],
    deny: [record('.*', 0), record('/x', 1)],
    ceiling: null,
  };
  const { decide } = compileRuleSet(ruleSet);
  expect(decide(parseContentPath('/ab'))).toEqual({
    effect: 'grant',
    rule: { ...record('/a.*', 1), effect: 'grant', list: 'grant' },
  });
  expect(decide(parseContentPath('/x')).rule).toMatchObject({ pattern: '.*', index: 0, list: 'deny' });
});

test('each rule is matched as its own policy says', () => {
  const { decide } = compileRuleSet({
    grant: [],
    deny: [record('secret', 0), record('key', 1, 'Search')],
    ceiling: null,
  });
  expect(decide(parseContentPath('/secret')).effect).toBe('grant');
  expect(decide(parseContentPath('/the-key.pem')).effect).toBe('deny');
});

test('what the ceiling must deny, no grant opens', () => {
  const { decide } = compileRuleSet({
    grant: [record('.*', 0)],
    deny: [],
    ceiling: { mustDeny: [record('/secret/.*', 0)] },
  });
  expect(decide(parseContentPath('/secret/a'))).toMatchObject({ effect: 'deny', rule: { list: 'mustDeny' } });
  expect(decide(parseContentPath('/open/a'))).toMatchObject({ effect: 'grant', rule: { list: 'grant' } });
});

test('rules decide what the model says, by the rule that it names', () => {
  const lists = fc.array(modelRule, { maxLength: 6 });
  fc.assert(
    fc.property(lists, lists, fc.array(modelPath, { minLength: 1, maxLength: 6 }), (grants, denies, paths) => {
      const ruleSet: RuleSet = { grant: grants.map(recordOf), deny: denies.map(recordOf), ceiling: null };
      const rules = compileRuleSet(ruleSet);
      for (const path of paths) {
        // Model paths need not be canonical: rules are about any text.
        const { effect, rule } = rules.decide(path as never);
        const expected = modelDecision(grants, denies, path);
        expect({ path, effect, list: rule?.list, index: rule?.index }).toEqual({ path, ...expected });
      }
    }),
    { numRuns: 1000 },
  );
});

test('a thousand rules name the right one, wherever it stands', () => {
  const rules = compileRuleSet({
    grant: Array.from({ length: 1000 }, (_, index) => record(`.*/tool-${index}/[^/]+`, index)),
    deny: [record('.*', 0)],
    ceiling: null,
  });
  for (const index of [0, 1, 127, 128, 129, 500, 999]) {
    expect(rules.decide(parseContentPath(`/apps/tool-${index}/setup.exe`)).rule).toMatchObject({
      index,
      list: 'grant',
    });
  }
  expect(rules.decide(parseContentPath('/apps/tool-1000/setup.exe')).rule).toMatchObject({ list: 'deny' });
  expect(rules.rules.length).toBe(1001);
  expect(rules.stateBytes).toBeGreaterThan(0);
});

describe('a rule set is refused as a whole', () => {
  test('when one rule does not compile, which it names', () => {
    const ruleSet: RuleSet = { grant: [record('.*', 0)], deny: [record('/a', 0), record('/b(', 1)], ceiling: null };
    expect(() => compileRuleSet(ruleSet)).toThrowError(
      expect.objectContaining({
        code: 'InvalidRule',
        message: expect.stringContaining('VMAccessPolicy fleet/p, deny[1]: pattern "/b(": "(" is not closed'),
      }),
    );
  });

  test('when it compiles to more than can be decided quickly', () => {
    const deny = Array.from({ length: 210 }, (_, index) => record(`/${index}/[ab]{1000}`, index));
    expect(() => compileRuleSet({ grant: [], deny, ceiling: null })).toThrowError(
      expect.objectContaining({
        code: 'TooManyRules',
        message: expect.stringMatching(/compile to \d+ steps, 200000 are allowed/),
      }),
    );
  });
});

test('compiled patterns are shared between rule sets, also when one searches and one does not', () => {
  const patterns = createPatternCache();
  const first = compileRuleSet({ grant: [], deny: [record('a', 0)], ceiling: null }, patterns);
  const second = compileRuleSet({ grant: [], deny: [record('a', 0, 'Search')], ceiling: null }, patterns);
  const third = compileRuleSet({ grant: [], deny: [record('a', 0)], ceiling: null }, patterns);
  expect([first, second, third].map(({ decide }) => decide(parseContentPath('/a')).effect)).toEqual([
    'grant',
    'deny',
    'grant',
  ]);
  expect(patterns.weight).toBeGreaterThan(0);
});

describe('explain', () => {
  const ruleSet: RuleSet = {
    grant: [record('/a/.*', 0), record('/b/.*', 1)],
    deny: [record('/b/secret', 0), record('.*', 1)],
    ceiling: null,
  };

  test('says which rule decided, which were tried before it, and what would be without it', () => {
    const { decision, tried, without } = explainPath(ruleSet, parseContentPath('/b/secret'));
    expect(decision).toMatchObject({ effect: 'grant', rule: { pattern: '/b/.*', list: 'grant', index: 1 } });
    expect(tried.map(({ pattern }) => pattern)).toEqual(['/a/.*']);
    expect(without).toMatchObject({ effect: 'deny', rule: { pattern: '/b/secret' } });
  });

  test('where no rule matched, all were tried and nothing can be left out', () => {
    const { decision, tried, without } = explainPath({ ...ruleSet, deny: [] }, parseContentPath('/c'));
    expect(decision).toEqual({ effect: 'grant', rule: undefined });
    expect(tried.map(({ pattern }) => pattern)).toEqual(['/a/.*', '/b/.*']);
    expect(without).toBeUndefined();
  });

  test('decides as the rules do, and as they would without the rule', () => {
    const lists = fc.array(modelRule, { maxLength: 4 });
    fc.assert(
      fc.property(lists, lists, modelPath, (grants, denies, path) => {
        const grant = grants.map(recordOf);
        const deny = denies.map(recordOf);
        const { decision, without } = explainPath({ grant, deny, ceiling: null }, path as never);
        expect(decision.effect).toBe(modelDecision(grants, denies, path).effect);
        const { rule } = decision;
        if (rule === undefined) return;
        const rest = (list: string, rules: ModelRule[]) =>
          rules.filter((_, index) => !(rule.list === list && rule.index === index));
        expect(without?.effect).toBe(modelDecision(rest('grant', grants), rest('deny', denies), path).effect);
      }),
      { numRuns: 300 },
    );
  });
});

function record(pattern: string, index: number, match: 'Whole' | 'Search' = 'Whole'): RuleRecord {
  return { pattern, match, policy: { kind: 'VMAccessPolicy', namespace: 'fleet', name: 'p' }, index };
}

function recordOf({ shape, match }: ModelRule, index: number): RuleRecord {
  return record(patternOf(shape), index, match);
}
