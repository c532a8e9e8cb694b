import { describe, expect, test } from 'vitest';
import { parseContentPath } from '../../src/core/content-path.ts';
import type { Digest } from '../../src/core/digest.ts';
import type { RuleSet } from '../../src/core/settings.ts';
import { createDecider } from '../../src/rules/decision-cache.ts';
import { createGenerations } from '../../src/rules/generations.ts';
import { parseRuleStrings } from '../../src/rules/rule-strings.ts';

const closed = parseRuleStrings({ grant: '/open/.*', deny: '.*' });
const open = parseRuleStrings({ grant: '', deny: '' });
const broken = parseRuleStrings({ grant: '', deny: '/a(' });
const unexpected = (digest: Digest) => expect.unreachable(`${digest} should compile`);

describe('a decider', () => {
  test('decides as the rule set does, the first time and later', () => {
    const decider = createDecider(unexpected);
    const path = parseContentPath('/open/a');
    const first = decider.decide(digestOf(1), closed, path);
    expect(first).toMatchObject({ effect: 'grant', rule: { pattern: '/open/.*' } });
    expect(decider.decide(digestOf(1), closed, path)).toBe(first);
    expect(decider.decide(digestOf(1), closed, parseContentPath('/a'))?.effect).toBe('deny');
  });

  test('keeps rule sets apart: the same path under another digest is decided anew', () => {
    const decider = createDecider(unexpected);
    const path = parseContentPath('/a');
    expect(decider.decide(digestOf(1), closed, path)?.effect).toBe('deny');
    expect(decider.decide(digestOf(2), open, path)?.effect).toBe('grant');
    expect(decider.decide(digestOf(1), closed, path)?.effect).toBe('deny');
  });

  test('does not grow with the paths that are asked for', () => {
    const decider = createDecider(unexpected, { characters: 10_000, rules: 64 });
    let most = 0;
    for (let index = 0; index < 3000; index++) {
      const path = parseContentPath(`/open/x${'x'.repeat(index % 200)}/${index}`);
      expect(decider.decide(digestOf(index % 7), closed, path)?.effect).toBe('grant');
      most = Math.max(most, decider.remembered);
    }
    expect(most).toBeGreaterThan(9_000);
    expect(most).toBeLessThanOrEqual(20_000);
  });

  test('nor with the rule sets', () => {
    const decider = createDecider(unexpected, { characters: 10_000, rules: 16 });
    for (let round = 0; round < 2; round++) {
      for (let index = 0; index < 40; index++) {
        const rules: RuleSet = index % 2 === 0 ? closed : open;
        expect(decider.decide(digestOf(index), rules, parseContentPath('/a'))?.effect).toBe(
          index % 2 === 0 ? 'deny' : 'grant',
        );
      }
    }
  });

  test('has no decision where the rules do not compile, and says so once', () => {
    const told: string[] = [];
    const decider = createDecider((digest, error) => told.push(`${digest} ${error.code}`));
    for (const path of ['/a', '/b', '/a']) {
      expect(decider.decide(digestOf(1), broken, parseContentPath(path))).toBeUndefined();
    }
    expect(told).toEqual([`${digestOf(1)} InvalidRule`]);
  });
});

describe('generations', () => {
  test('hold what was used lately and forget the rest', () => {
    const kept = createGenerations<number>(3);
    for (const [key, value] of Object.entries({ a: 1, b: 2, c: 3 })) kept.set(key, value, 1);
    kept.set('d', 4, 1);
    expect(kept.get('a')).toBe(1);
    kept.set('e', 5, 1);
    kept.set('f', 6, 1);
    expect(['a', 'b', 'c', 'd', 'e', 'f'].map((key) => kept.get(key))).toEqual([1, undefined, undefined, 4, 5, 6]);
    expect(kept.weight).toBeLessThanOrEqual(6);
  });

  test('replace a value, its weight too', () => {
    const kept = createGenerations<string>(10);
    kept.set('a', 'light', 1);
    kept.set('a', 'heavy', 9);
    expect([kept.get('a'), kept.weight]).toEqual(['heavy', 9]);
    kept.set('a', 'light', 1);
    expect([kept.get('a'), kept.weight]).toEqual(['light', 1]);
  });

  test('do not keep what alone is heavier than the bound', () => {
    const kept = createGenerations<string>(10);
    kept.set('a', 'x', 11);
    expect([kept.get('a'), kept.weight]).toEqual([undefined, 0]);
  });
});

function digestOf(number: number): Digest {
  return `sha256:${number.toString(16).padStart(64, '0')}`;
}
