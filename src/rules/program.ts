import { RE2JS } from '@bufbuild/re2';

/** What one step of a program does. */
export const step = { fail: 0, match: 1, fork: 2, assert: 3, rune: 4 } as const;

/** Where an `assert` step may pass, as bits; the engine's own numbering. */
export const assertion = {
  beginLine: 1,
  endLine: 2,
  beginText: 4,
  endText: 8,
  wordBoundary: 16,
  noWordBoundary: 32,
} as const;

/** Code points, as pairs of first and last in ascending order. */
export type Ranges = readonly number[];

/**
 * A pattern as a non-deterministic machine that reads a whole text: data only, so that many can be put together into one
 * automaton. The engine parses and compiles; what runs is ours.
 */
export interface Program {
  readonly start: number;
  /** One of `step` for each place. */
  readonly ops: Uint8Array;
  /** The next place (all but `fail` and `match`). */
  readonly out: Int32Array;
  /** `fork`: the other next place. `assert`: what must hold. */
  readonly arg: Int32Array;
  /** `rune`: what it takes. */
  readonly takes: readonly (Ranges | undefined)[];
}

/** What `Search` adds to a program. */
export const searchSteps = 4;

const anyRune: Ranges = [0, 0x10ffff];
// The engine's numbers for its instructions (those of Go's regexp/syntax).
const engine = { alt: 1, altMatch: 2, capture: 3, emptyWidth: 4, fail: 5, match: 6, nop: 7 };
const foldCase = 1;

/**
 * The program that takes a text when the pattern matches all of it (`Whole`) or a part of it (`Search`), `.` being every
 * character. Throws the engine's own error when the pattern does not compile. `Search` is built with steps around the
 * compiled pattern, never by writing text around it, which could change what it means.
 */
export function programOf(pattern: string, match: 'Whole' | 'Search'): Program {
  const compiled = RE2JS.compile(pattern, RE2JS.DOTALL).re2().prog;
  const count = compiled.inst.length;
  const size = match === 'Search' ? count + searchSteps : count;
  const ops = new Uint8Array(size);
  const out = new Int32Array(size);
  const arg = new Int32Array(size);
  const takes: (Ranges | undefined)[] = new Array(size);

  // Captures and empty steps decide nothing: whoever leads to one leads to what comes after it.
  const follow = (place: number): number => {
    let at = place;
    for (;;) {
      const inst = compiled.inst[at];
      if (inst === undefined || (inst.op !== engine.nop && inst.op !== engine.capture)) return at;
      at = inst.out;
    }
  };

  compiled.inst.forEach((inst, place) => {
    switch (inst.op) {
      case engine.fail:
      case engine.nop:
      case engine.capture:
        return;
      case engine.match:
        ops[place] = step.match;
        return;
      case engine.alt:
      case engine.altMatch:
        ops[place] = step.fork;
        arg[place] = follow(inst.arg);
        break;
      case engine.emptyWidth:
        ops[place] = step.assert;
        arg[place] = inst.arg;
        break;
      default:
        ops[place] = step.rune;
        takes[place] = rangesOf(inst.runes, (inst.arg & foldCase) !== 0);
    }
    out[place] = follow(inst.out);
  });

  const start = follow(compiled.start);
  if (match === 'Whole') return { start, ops, out, arg, takes };

  // before: fork(pattern, beforeAny); beforeAny: any -> before. after: fork(afterAny, match); afterAny: any -> after.
  const [before, beforeAny, afterAny, end] = [count, count + 1, count + 2, count + 3];
  for (let place = 0; place < count; place++) {
    if (ops[place] !== step.match) continue;
    ops[place] = step.fork;
    out[place] = afterAny;
    arg[place] = end;
    ops[afterAny] = step.rune;
    out[afterAny] = place;
  }
  takes[afterAny] = anyRune;
  ops[end] = step.match;
  ops[before] = step.fork;
  out[before] = start;
  arg[before] = beforeAny;
  ops[beforeAny] = step.rune;
  out[beforeAny] = before;
  takes[beforeAny] = anyRune;
  return { start: before, ops, out, arg, takes };
}

function rangesOf(runes: readonly number[], fold: boolean): Ranges {
  const [rune] = runes;
  if (rune === undefined || runes.length > 1) return runes;
  return fold ? foldedRanges(rune) : [rune, rune];
}

/** All that equals a character when case does not count, as the engine has it: it folds classes when it parses them. */
function foldedRanges(rune: number): Ranges {
  const beyond = 0x10ffff;
  const inst = RE2JS.compile(`(?i)[\\x{${rune.toString(16)}}\\x{${beyond.toString(16)}}]`).re2().prog.inst;
  const runes = inst.find(({ runes }) => runes.length > 2)?.runes ?? [rune, rune, beyond, beyond];
  return runes.slice(0, -2);
}
