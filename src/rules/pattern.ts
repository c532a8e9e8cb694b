import { RE2JSSyntaxException } from '@bufbuild/re2';
import { GuestStoreError, messageOf } from '../lib/errors.ts';
import { createAutomata } from './automata.ts';
import { type Program, programOf, searchSteps } from './program.ts';

/** Characters (code points) in a pattern; the schemas of the policies say the same. */
export const maxPatternLength = 1024;
/** Steps that one pattern may compile to: counted repetitions are written out, `.{1000}` is 1,000 of them. */
export const maxPatternSteps = 10_000;

export type Match = 'Whole' | 'Search';

export interface Pattern {
  readonly text: string;
  readonly match: Match;
  readonly program: Program;
  /** In time linear in the length of `path`, whatever the pattern. */
  matches(path: string): boolean;
}

/**
 * Compiles one pattern in RE2's syntax, by itself, `.` being every character. Throws `InvalidRule` with what is wrong,
 * where, and what to write instead: for what does not compile, empty patterns, `;` (it separates rules in a VM's
 * settings), control characters, look-around, back-references, and patterns that are too long or compile to too much.
 */
export function compilePattern(text: string, match: Match): Pattern {
  checkText(text, maxPatternLength);
  const program = compileProgram(text, match);
  // Made when it is first asked for.
  const automaton = createAutomata([program]);
  return { text, match, program, matches: (path) => automaton.firstMatch(path) >= 0 };
}

/** The program of a rule that stands in a rule set. Throws `InvalidRule`. */
export function compileRule(text: string, match: Match): Program {
  // What `.*(?:` and `).*` around a pattern of full length come to, when a search is exported.
  checkText(text, maxPatternLength + 10);
  return compileProgram(text, match);
}

function checkText(text: string, maxLength: number): void {
  if (text === '') {
    throw refusal(text, 'is empty', 'write ".*" for every path, or leave the rule out');
  }
  const length = [...text].length;
  if (length > maxLength) {
    throw refusal(text, `has ${length} characters, ${maxLength} are allowed`, 'divide it into several rules');
  }
  const semicolon = text.indexOf(';');
  if (semicolon >= 0) {
    throw refusal(
      text,
      `";" at character ${at(text, semicolon)} separates rules in a VM's settings`,
      'write two rules (no content path has a ";" in it)',
    );
  }
  const control = text.search(/\p{Cc}/u);
  if (control >= 0) {
    throw refusal(text, `control character at character ${at(text, control)}`, 'remove it (no content path has one)');
  }
  if (!text.isWellFormed()) {
    throw refusal(text, 'is not valid Unicode', 'write the characters themselves, in UTF-8');
  }
}

function compileProgram(text: string, match: Match): Program {
  let program: Program;
  try {
    program = programOf(text, match);
  } catch (thrown) {
    throw explainEngine(text, thrown);
  }
  const steps = program.ops.length - (match === 'Search' ? searchSteps : 0);
  if (steps > maxPatternSteps) {
    throw refusal(
      text,
      `compiles to ${steps} steps, ${maxPatternSteps} are allowed`,
      'use smaller repeat counts, or "*" in their place',
    );
  }
  return program;
}

/** The engine's complaint in terms of the pattern as written, with the way out. */
function explainEngine(text: string, thrown: unknown): GuestStoreError {
  const { error, input } =
    thrown instanceof RE2JSSyntaxException ? thrown : { error: messageOf(thrown), input: undefined };
  // Where the engine quotes the whole pattern, it quotes our flag before it too.
  const part = input?.replace(/^\(\?s\)/, '') ?? '';
  const place = placeOf(text, part);
  for (const { when, fault, instead } of explanations) {
    if (when.test(error) || when.test(part)) return refusal(text, `${fault}${place}`, instead, thrown);
  }
  return refusal(text, `${error}${place}`, 'see https://github.com/google/re2/wiki/Syntax for what RE2 takes', thrown);
}

/** First that fits is given: the part that the engine quotes, else its complaint. */
const explanations: readonly { readonly when: RegExp; readonly fault: string; readonly instead: string }[] = [
  {
    when: /^\(\?<?[=!]/,
    fault: 'look-around is not in RE2, which matches in linear time',
    instead: 'say what a path looks like in a grant rule, and what it must not look like in a deny rule',
  },
  {
    when: /^(\\[1-9kg]|\(\?P$)/,
    fault: 'back-references are not in RE2, which matches in linear time',
    instead: 'write one rule for each value',
  },
  {
    when: /^(\(\?>|[*+?}]\+$)/,
    fault: 'atomic groups and possessive repetition are not in RE2',
    instead: 'leave them out: RE2 never backtracks, so they would change nothing',
  },
  { when: /^\(\?[(#x]/, fault: 'unsupported group', instead: 'use (...) or (?:...)' },
  {
    when: /^unexpected \)/,
    fault: '")" closes nothing',
    instead: String.raw`remove it, or write \) for the character`,
  },
  {
    when: /^missing closing \)/,
    fault: '"(" is not closed',
    instead: String.raw`close it, or write \( for the character`,
  },
  {
    when: /^missing closing \]/,
    fault: '"[" is not closed',
    instead: String.raw`close it, or write \[ for the character`,
  },
  { when: /^missing argument/, fault: 'nothing to repeat', instead: 'write ".*" where a shell would have "*"' },
  // Go takes such a brace for a character; this engine does not, so that we are stricter than the API server here.
  { when: /^\{[*+?{]/, fault: '"{" begins no repetition', instead: String.raw`write \{ for the character` },
  { when: /^invalid nested repetition/, fault: 'repetition of a repetition', instead: 'keep one of them' },
  {
    when: /^invalid repeat count/,
    fault: 'repeat count out of range (at most 1000, nested ones multiplied, the lower first)',
    instead: 'use a smaller one, or "*"',
  },
  { when: /^trailing backslash/, fault: 'ends in a backslash', instead: 'remove it (no content path has a backslash)' },
];

/** Where the offending part stands; left out where it is the whole pattern, or could be in several places. */
function placeOf(text: string, part: string): string {
  if (part === '' || part === text) return '';
  const first = text.indexOf(part);
  return first >= 0 && first === text.lastIndexOf(part)
    ? `: ${JSON.stringify(part)} at character ${at(text, first)}`
    : `: ${JSON.stringify(part)}`;
}

/** Characters are counted from 1, as editors do. */
function at(text: string, index: number): number {
  return [...text.slice(0, index)].length + 1;
}

function refusal(text: string, fault: string, instead: string, cause?: unknown): GuestStoreError {
  const shown = text.length > 80 ? `${text.slice(0, 77)}...` : text;
  return new GuestStoreError('InvalidRule', `pattern ${JSON.stringify(shown)}: ${fault}; ${instead}`, { cause });
}
