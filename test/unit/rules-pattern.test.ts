import { RE2JS } from '@bufbuild/re2';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createAutomata } from '../../src/rules/automata.ts';
import { createAutomaton } from '../../src/rules/automaton.ts';
import { compilePattern } from '../../src/rules/pattern.ts';
import { programOf } from '../../src/rules/program.ts';
import { modelMatches, modelPath, modelRule, patternOf } from '../support/rules-model.ts';

describe('a pattern matches as RE2 has it', () => {
  test.each([
    // The whole path, or a part of it.
    { pattern: 'a|ab', text: 'ab', whole: true, search: true },
    { pattern: 'a|b', text: 'ab', whole: false, search: true },
    { pattern: 'vmtools', text: '/vmtools/', whole: false, search: true },
    { pattern: '^/a', text: '/ab', whole: false, search: true },
    { pattern: '^b', text: '/ab', whole: false, search: false },
    { pattern: '/a$', text: '/b/a', whole: false, search: true },
    { pattern: '^/a$', text: '/a', whole: true, search: true },
    { pattern: '()', text: '', whole: true, search: true },
    { pattern: '()', text: 'a', whole: false, search: true },
    // Every character, a line break too; code points, not UTF-16 units.
    { pattern: '.', text: '\n', whole: true, search: true },
    { pattern: '(?-s).', text: '\n', whole: false, search: false },
    { pattern: '.', text: '😀', whole: true, search: true },
    { pattern: '..', text: '😀', whole: false, search: false },
    { pattern: '[😀-😂]', text: '😁', whole: true, search: true },
    { pattern: '.', text: '\ud800', whole: true, search: true },
    { pattern: '(?m)^b$', text: 'a\nb\nc', whole: false, search: true },
    { pattern: String.raw`a(?m)$\n(?m)^b`, text: 'a\nb', whole: true, search: true },
    { pattern: String.raw`\Ab\z`, text: 'b', whole: true, search: true },
    // Classes.
    { pattern: String.raw`\pL+`, text: 'aÉд日', whole: true, search: true },
    { pattern: String.raw`\p{Greek}`, text: 'α', whole: true, search: true },
    { pattern: String.raw`\PL`, text: 'a', whole: false, search: false },
    { pattern: String.raw`[\d\W]+`, text: '1-2', whole: true, search: true },
    { pattern: String.raw`\d`, text: '٣', whole: false, search: false },
    { pattern: String.raw`\w`, text: 'é', whole: false, search: false },
    { pattern: '[[:upper:]]', text: 'A', whole: true, search: true },
    { pattern: '[^a]', text: '\n', whole: true, search: true },
    { pattern: String.raw`[^\x00-\x{10FFFF}]`, text: 'a', whole: false, search: false },
    { pattern: String.raw`[^\x00-\x{10FFFF}]|a`, text: 'a', whole: true, search: true },
    // Case: simple folding, with its odd members.
    { pattern: '(?i)vmtools', text: 'VMTools', whole: true, search: true },
    { pattern: '(?i)k', text: '\u212a', whole: true, search: true },
    { pattern: '(?i)s', text: 'ſ', whole: true, search: true },
    { pattern: '(?i)ß', text: 'ẞ', whole: true, search: true },
    { pattern: '(?i)é', text: 'É', whole: true, search: true },
    { pattern: '(?i)[a-c]x', text: 'BX', whole: true, search: true },
    { pattern: '(?i)1', text: '1', whole: true, search: true },
    { pattern: '(?i:a)b', text: 'AB', whole: false, search: false },
    // Word edges are those of ASCII.
    { pattern: String.raw`\bvm\b`, text: '/vm/', whole: false, search: true },
    { pattern: String.raw`/\bvm\b/`, text: '/vm/', whole: true, search: true },
    { pattern: String.raw`\Bm`, text: 'vm', whole: false, search: true },
    { pattern: String.raw`\bé`, text: 'é', whole: false, search: false },
    { pattern: String.raw`(?:^|\b|$)*a`, text: 'a', whole: true, search: true },
    // Quoting, lazy and counted repetition.
    { pattern: String.raw`\Qa.b\E+`, text: 'a.bb', whole: true, search: true },
    { pattern: String.raw`\Qa|b`, text: 'a|b', whole: true, search: true },
    { pattern: 'a.*?', text: 'abc', whole: true, search: true },
    { pattern: 'a{2,3}', text: 'aaaa', whole: false, search: true },
    { pattern: '(a{10}){100}', text: 'a'.repeat(1000), whole: true, search: true },
    { pattern: '(?P<name>a)(?<other>b)', text: 'ab', whole: true, search: true },
  ])('$pattern on $text', ({ pattern, text, whole, search }) => {
    const matches = (match: 'Whole' | 'Search') => compilePattern(pattern, match).matches(text);
    expect({ whole: matches('Whole'), search: matches('Search') }).toEqual({ whole, search });
    // And the engine alone would say the same.
    const engine = RE2JS.compile(pattern, RE2JS.DOTALL);
    expect({ whole: engine.testExact(text), search: engine.test(text) }).toEqual({ whole, search });
  });
});

describe('a pattern is refused, with the way out, when it', () => {
  test.each([
    { pattern: '', says: ['is empty', '".*"'] },
    { pattern: 'a'.repeat(1025), says: ['1025 characters, 1024 are allowed', 'several rules'] },
    { pattern: '/a;/b', says: ['";" at character 3', 'two rules'] },
    { pattern: '😀;', says: ['";" at character 2'] },
    { pattern: 'a\nb', says: ['control character at character 2'] },
    { pattern: 'a\ud800', says: ['not valid Unicode'] },
    { pattern: ')|(.*', says: ['")" closes nothing', String.raw`\)`] },
    { pattern: 'a)', says: ['")" closes nothing'] },
    { pattern: '(', says: ['"(" is not closed', String.raw`\(`] },
    { pattern: '/a(b', says: ['"(" is not closed'] },
    { pattern: '/[a', says: ['"[" is not closed', '"[a" at character 2'] },
    { pattern: '[', says: ['"[" is not closed'] },
    { pattern: '*.exe', says: ['nothing to repeat: "*" at character 1', '".*"'] },
    { pattern: 'a**', says: ['repetition of a repetition: "**" at character 2'] },
    { pattern: 'a{+', says: ['"{" begins no repetition: "{+" at character 2', String.raw`\{`] },
    { pattern: 'a++', says: ['possessive', '"++" at character 2', 'leave them out'] },
    { pattern: '(?>a)', says: ['atomic', '"(?>" at character 1'] },
    { pattern: '/a(?=b)', says: ['look-around', '"(?=" at character 3', 'deny rule'] },
    { pattern: '/a(?!b)', says: ['look-around', '"(?!" at character 3'] },
    { pattern: '(?<=a)b', says: ['look-around', '"(?<=a)b"'.slice(0, 5)] },
    { pattern: '(?<!a)b', says: ['look-around'] },
    {
      pattern: String.raw`(a)\1`,
      says: ['back-references', String.raw`"\\1" at character 4`, 'one rule for each value'],
    },
    { pattern: String.raw`(?P<n>a)\k<n>`, says: ['back-references'] },
    { pattern: '(?P<n>a)(?P=n)', says: ['back-references'] },
    { pattern: '(?#note)a', says: ['unsupported group', '(?:...)'] },
    { pattern: '(?x)a', says: ['unsupported group'] },
    { pattern: 'a{1001}', says: ['repeat count out of range', '"{1001}" at character 2'] },
    { pattern: '(a{100}){100}', says: ['repeat count out of range'] },
    { pattern: 'a{2,1}', says: ['repeat count out of range'] },
    { pattern: 'a\\', says: ['ends in a backslash'] },
    { pattern: String.raw`\y`, says: ['invalid escape sequence', 'RE2'] },
    { pattern: '[z-a]', says: ['invalid character class range', '"z-a" at character 2'] },
    { pattern: '[z-a][z-a]', says: ['invalid character class range: "z-a";'] },
    { pattern: String.raw`\p{Foo}`, says: ['invalid character class range'] },
    { pattern: '.{1000}'.repeat(11), says: ['compiles to 11002 steps, 10000 are allowed', 'smaller repeat counts'] },
    { pattern: '((((.{9}){9}){9}){9}){9}', says: ['repeat count'] },
  ])('is $pattern', ({ pattern, says }) => {
    for (const match of ['Whole', 'Search'] as const) {
      let message = 'accepted';
      try {
        compilePattern(pattern, match);
      } catch (error) {
        expect(error).toMatchObject({ code: 'InvalidRule' });
        if (error instanceof Error) message = error.message;
      }
      for (const part of says) expect(message).toContain(part);
    }
  });

  test('does not compile by itself, whatever it would be inside other text', () => {
    const piece = fc.constantFrom(
      'a',
      '.',
      '*',
      '+',
      '?',
      '(',
      ')',
      '[',
      ']',
      '{2}',
      '|',
      '^',
      '$',
      '\\',
      '(?:',
      '(?i)',
      '\\Q',
      '\\E',
      '-',
    );
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 8 }), (pieces) => {
        const pattern = pieces.join('');
        expect(compiles(() => compilePattern(pattern, 'Whole'))).toBe(compiles(() => RE2JS.compile(pattern)));
      }),
      { numRuns: 2000 },
    );
  });

  test('is shown in the message in part only, when it is long', () => {
    expect(() => compilePattern(`${'a'.repeat(500)}(`, 'Whole')).toThrowError(/^pattern "a{77}\.\.\.": /);
  });
});

test('a pattern of 1,024 characters is taken, however many bytes they have', () => {
  expect(compilePattern('😀'.repeat(1024), 'Whole').matches('😀'.repeat(1024))).toBe(true);
});

test('patterns match what the model says', () => {
  fc.assert(
    fc.property(modelRule, fc.array(modelPath, { minLength: 1, maxLength: 6 }), (rule, paths) => {
      const pattern = compilePattern(patternOf(rule.shape), rule.match);
      for (const path of paths) expect([path, pattern.matches(path)]).toEqual([path, modelMatches(rule, path)]);
    }),
    { numRuns: 2000 },
  );
});

const wildPattern = fc
  .array(
    fc.constantFrom(
      'a',
      'b',
      'K',
      'é',
      '😀',
      '\n',
      '.',
      '.*',
      '[ab]',
      '[^a\n]',
      '(?i)',
      '(?m)',
      '(?s)',
      '(?-s)',
      '(?:',
      '(',
      ')',
      '|',
      '*',
      '+',
      '?',
      '??',
      '{2}',
      '{0,2}',
      '^',
      '$',
      '\\b',
      '\\B',
      '\\A',
      '\\z',
      '\\w',
      '\\W',
    ),
    { minLength: 1, maxLength: 10 },
  )
  .map((parts) => parts.join(''))
  .filter((pattern) => compiles(() => RE2JS.compile(pattern)));
const wildText = fc
  .array(fc.constantFrom('a', 'b', 'k', 'K', '\u212a', 'É', '😀', '\n', '-', '\ud800'), { maxLength: 8 })
  .map((parts) => parts.join(''));

test('many patterns in one automaton match as each would alone in the engine, in any room', () => {
  const patterns = fc.array(fc.tuple(wildPattern, fc.constantFrom<('Whole' | 'Search')[]>('Whole', 'Search')), {
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(patterns, fc.array(wildText, { minLength: 1, maxLength: 8 }), (written, texts) => {
      const engines = written.map(([pattern]) => RE2JS.compile(pattern, RE2JS.DOTALL));
      const programs = written.map(([pattern, match]) => programOf(pattern, match));
      const roomy = createAutomaton(programs, 1 << 20);
      const cramped = createAutomaton(programs, 1);
      const dividing = createAutomata(programs, { together: 5, places: 60, bytesEach: 1, bytesAtLeast: 1 });
      for (const text of [...texts, ...texts]) {
        const expected = written.findIndex(([, match], index) =>
          match === 'Whole' ? engines[index]?.testExact(text) : engines[index]?.test(text),
        );
        const found = [roomy, cramped, dividing].map((automaton) => automaton.firstMatch(text));
        expect([text, ...found]).toEqual([text, expected, expected, expected]);
      }
    }),
    { numRuns: 600 },
  );
});

test('case folding takes exactly the characters that the engine takes', () => {
  const cased = Array.from({ length: 0x1ffff }, (_, rune) => String.fromCodePoint(rune)).filter(
    (text) => text.toLowerCase() !== text || text.toUpperCase() !== text,
  );
  for (const letter of ['a', 'K', 's', 'ſ', 'µ', 'Σ', 'ς', 'ß', 'İ', 'ı', 'ǅ', 'θ', 'Ω', 'ᲀ', 'ꙋ', '𐐀', '1']) {
    const ours = compilePattern(`(?i)${letter}`, 'Whole');
    const engine = RE2JS.compile(`(?i)${letter}`);
    const differing = cased.filter((text) => ours.matches(text) !== engine.testExact(text));
    expect([letter, ...differing]).toEqual([letter]);
  }
});

describe('memory and time stay bounded', () => {
  const paths = function* (count: number) {
    let seed = 1;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % below;
    };
    for (let index = 0; index < count; index++) {
      yield `/${Array.from({ length: 1023 }, () => 'ab/x1'[random(5)]).join('')}`;
    }
  };

  test('for patterns with more states than any memory holds, and paths that seek them all', () => {
    const patterns = Array.from({ length: 8 }, (_, index) => `.*[ax].{${20 + index}}b.*${index}`);
    const automata = createAutomata(patterns.map((pattern) => programOf(pattern, 'Whole')));
    const single = patterns.map((pattern) => RE2JS.compile(pattern, RE2JS.DOTALL));
    let forgotten = 0;
    for (const path of paths(6)) {
      expect(automata.firstMatch(path)).toBe(single.findIndex((engine) => engine.testExact(path)));
      expect(automata.stateBytes).toBeLessThan(65_536 + 8 * 4096);
      forgotten = Math.max(forgotten, automata.timesForgotten);
    }
    expect(forgotten).toBeGreaterThan(0);
  });

  test('for patterns that make a backtracking engine run for ever', () => {
    const path = `/${'a'.repeat(1020)}!/`;
    const patterns = ['(.*/)*.*\\.json', '/(a|aa)*b', '(/?a*)*$b', '((a?){30}){30}a{900}b', '.*.*.*.*.*.*.*=.*'];
    for (const pattern of patterns)
      expect([pattern, compilePattern(pattern, 'Whole').matches(path)]).toEqual([pattern, false]);
  });

  test('where nothing was asked yet, nothing is built', () => {
    expect(createAutomata([programOf('a', 'Whole')]).stateBytes).toBe(0);
    expect(createAutomata([programOf('a', 'Whole')]).timesForgotten).toBe(0);
    expect(createAutomata([]).firstMatch('/a')).toBe(-1);
  });
});

function compiles(compile: () => unknown): boolean {
  try {
    compile();
    return true;
  } catch {
    return false;
  }
}
