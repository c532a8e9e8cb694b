import fc from 'fast-check';

/**
 * What rules mean, written down as plainly as possible and without any regular-expression engine: patterns are trees,
 * matching tries everything. Slow on purpose; good for small trees and short paths.
 */
export type Shape =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'any' }
  | { readonly kind: 'oneOf'; readonly characters: string; readonly negated: boolean }
  | { readonly kind: 'sequence'; readonly parts: readonly Shape[] }
  | { readonly kind: 'choice'; readonly options: readonly Shape[] }
  | {
      readonly kind: 'repeat';
      readonly what: Shape;
      readonly least: number;
      readonly most: number;
      readonly lazy: boolean;
    }
  | { readonly kind: 'start' | 'end' | 'wordEdge' | 'noWordEdge' };

export interface ModelRule {
  readonly shape: Shape;
  readonly match: 'Whole' | 'Search';
}

/** The pattern that says what the tree says. */
export function patternOf(shape: Shape): string {
  switch (shape.kind) {
    case 'text':
      return shape.text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    case 'any':
      return '.';
    case 'oneOf':
      return `[${shape.negated ? '^' : ''}${shape.characters}]`;
    case 'sequence':
      return shape.parts.map((part) => (part.kind === 'choice' ? `(?:${patternOf(part)})` : patternOf(part))).join('');
    case 'choice':
      return shape.options.map(patternOf).join('|');
    case 'repeat': {
      const most = shape.most === Number.POSITIVE_INFINITY ? '' : shape.most;
      return `(?:${patternOf(shape.what)}){${shape.least},${most}}${shape.lazy ? '?' : ''}`;
    }
    case 'start':
      return '^';
    case 'end':
      return '$';
    case 'wordEdge':
      return String.raw`\b`;
    case 'noWordEdge':
      return String.raw`\B`;
  }
}

export function modelMatches({ shape, match }: ModelRule, path: string): boolean {
  const text = [...path];
  const starts = match === 'Whole' ? [0] : [...text.keys(), text.length];
  return starts.some((start) => reach(shape, text, start, (end) => match === 'Search' || end === text.length));
}

/** Whether the shape, begun at `at`, can end at a place that `then` accepts. */
function reach(shape: Shape, text: readonly string[], at: number, then: (at: number) => boolean): boolean {
  const here = text[at];
  switch (shape.kind) {
    case 'text':
      return (
        [...shape.text].every((character, index) => text[at + index] === character) && then(at + [...shape.text].length)
      );
    case 'any':
      return here !== undefined && then(at + 1);
    case 'oneOf':
      return here !== undefined && shape.characters.includes(here) !== shape.negated && then(at + 1);
    case 'sequence': {
      const [first, ...rest] = shape.parts;
      return first === undefined
        ? then(at)
        : reach(first, text, at, (next) => reach({ kind: 'sequence', parts: rest }, text, next, then));
    }
    case 'choice':
      return shape.options.some((option) => reach(option, text, at, then));
    case 'repeat': {
      const { what, least, most } = shape;
      if (least === 0 && then(at)) return true;
      if (most === 0) return false;
      const remaining = { ...shape, least: Math.max(0, least - 1), most: most - 1 };
      // A turn that takes nothing changes nothing, unless it is still owed.
      return reach(what, text, at, (next) => (next > at || least > 0) && reach(remaining, text, next, then));
    }
    case 'start':
      return at === 0 && then(at);
    case 'end':
      return at === text.length && then(at);
    case 'wordEdge':
      return isWordEdge(text, at) && then(at);
    case 'noWordEdge':
      return !isWordEdge(text, at) && then(at);
  }
}

function isWordEdge(text: readonly string[], at: number): boolean {
  const isWord = (character: string | undefined) => character !== undefined && /^[0-9A-Za-z_]$/.test(character);
  return isWord(text[at - 1]) !== isWord(text[at]);
}

/** "A path is denied exactly when a deny matches it and no grant does", and the first that matches is the one to name. */
export function modelDecision(grants: readonly ModelRule[], denies: readonly ModelRule[], path: string) {
  const grant = grants.findIndex((rule) => modelMatches(rule, path));
  const deny = denies.findIndex((rule) => modelMatches(rule, path));
  if (grant >= 0) return { effect: 'grant', list: 'grant', index: grant };
  if (deny >= 0) return { effect: 'deny', list: 'deny', index: deny };
  return { effect: 'grant', list: undefined, index: undefined };
}

const characters = ['a', 'b', '/', '.', 'é', '😀', '-'] as const;
const character = fc.constantFrom(...characters);

export const modelPath: fc.Arbitrary<string> = fc
  .array(character, { maxLength: 9 })
  .map((letters) => `/${letters.join('')}`);

export const modelShape: fc.Arbitrary<Shape> = fc.letrec<{ shape: Shape; atom: Shape }>((tie) => ({
  atom: fc.oneof(
    {
      weight: 6,
      arbitrary: fc
        .array(character, { minLength: 1, maxLength: 2 })
        .map((letters): Shape => ({ kind: 'text', text: letters.join('') })),
    },
    { weight: 4, arbitrary: fc.constant<Shape>({ kind: 'any' }) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(fc.subarray(['a', 'b', '/', 'é', '😀'], { minLength: 1 }), fc.boolean())
        .map(([set, negated]): Shape => ({ kind: 'oneOf', characters: set.join(''), negated })),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom<Shape>(
        { kind: 'start' },
        { kind: 'end' },
        { kind: 'wordEdge' },
        { kind: 'noWordEdge' },
      ),
    },
  ),
  shape: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    { weight: 3, arbitrary: tie('atom') },
    {
      weight: 4,
      arbitrary: fc.array(tie('shape'), { maxLength: 4 }).map((parts): Shape => ({ kind: 'sequence', parts })),
    },
    {
      weight: 2,
      arbitrary: fc
        .array(tie('shape'), { minLength: 2, maxLength: 3 })
        .map((options): Shape => ({ kind: 'choice', options })),
    },
    {
      weight: 3,
      arbitrary: fc
        .tuple(
          tie('shape'),
          fc.constantFrom([0, Number.POSITIVE_INFINITY], [1, Number.POSITIVE_INFINITY], [0, 1], [2, 3], [0, 0]),
          fc.boolean(),
        )
        .map(([what, [least = 0, most = 0], lazy]): Shape => ({ kind: 'repeat', what, least, most, lazy })),
    },
  ),
})).shape;

export const modelRule: fc.Arbitrary<ModelRule> = fc.record({
  // An empty pattern is refused; every other tree has a pattern.
  shape: modelShape.filter((shape) => patternOf(shape) !== ''),
  match: fc.constantFrom<('Whole' | 'Search')[]>('Whole', 'Search'),
});
