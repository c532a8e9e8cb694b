import { assertion, type Program, type Ranges, step } from './program.ts';
import { divideRunes } from './rune-classes.ts';

/** Many programs as one machine that reads a text once. */
export interface Automaton {
  /** Index of the first program, in the order given, that takes the text; -1 when none does. */
  firstMatch(text: string): number;
  /** Bytes that the states found so far occupy. Never more than the bound it was made with, texts may come as they like. */
  readonly stateBytes: number;
  /** How often these states outgrew the bound and were forgotten. */
  readonly timesForgotten: number;
}

// What lies on one side of a place between two characters, as assertions see it.
const edge = 0;
const newline = 1;
const word = 2;
const other = 3;
const wordRunes: Ranges = [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a];
const newlineRunes: Ranges = [0x0a, 0x0a];

// Values of the transition table below the number of a state: not looked at yet, nothing can match any more, or (less one
// for each) a program has won whatever follows.
const unknown = 0;
const dead = -1;
const wonBy = (program: number): number => -2 - program;

const notAsked = -2;
const noProgram = 0x7fffffff;

/**
 * A deterministic automaton that is built as texts are read: a state is the set of places at which the programs may
 * stand, and each is worked out once. When the states outgrow `maxStateBytes` all are forgotten and work goes on from
 * the place reached, so time stays linear in the text (at worst one set of places a character) and memory bounded. As only
 * the first program counts, what stands behind one that has already won is dropped, which keeps the states few.
 */
export function createAutomaton(programs: readonly Program[], maxStateBytes: number): Automaton {
  const { starts, ops, out, arg, takes, programOf } = joinPrograms(programs);
  const places = ops.length;

  const hasAssertions = ops.includes(step.assert);
  const { sets, setOf } = distinctSets(takes);
  const classes = divideRunes(hasAssertions ? [...sets, wordRunes, newlineRunes] : sets);
  const { count, ascii, members } = classes;
  const kinds = new Uint8Array(count).fill(other);
  if (hasAssertions) {
    for (let cls = 0; cls < count; cls++) {
      if (members[sets.length * count + cls] === 1) kinds[cls] = word;
      if (members[(sets.length + 1) * count + cls] === 1) kinds[cls] = newline;
    }
  }
  const { endlessAt, endlessPart } = findEndless(ops, out, arg, takes);
  const hashes = Int32Array.from({ length: places }, (_, place) => scramble(place + 1));

  // The states found so far. Number 0 is not used: it means unknown.
  const stateCapacity = Math.max(2, Math.floor(maxStateBytes / 2 / ((count + 5) * 4)));
  const placeCapacity = Math.max(places, Math.floor(maxStateBytes / 2 / 4));
  let next = new Int32Array(0);
  let from = new Int32Array(0);
  let until = new Int32Array(0);
  let before = new Int32Array(0);
  let accepts = new Int32Array(0);
  let sameHash = new Int32Array(0);
  let held = new Int32Array(0);
  let stateCount = 1;
  let heldCount = 0;
  let startState = unknown;
  let timesForgotten = 0;
  const byHash = new Map<number, number>();

  // Scratch: the set that is being made, and the one that is being left.
  // A place is in it when its mark equals the generation, which only grows (exact up to 2^53 in these arrays).
  const marks = new Float64Array(places);
  const leftMarks = new Float64Array(places);
  const made = new Int32Array(places);
  const left = new Int32Array(places);
  const stack = new Int32Array(2 * places + 2);
  let generation = 0;
  let madeCount = 0;
  let winner = noProgram;

  function begin(): void {
    generation += 1;
    madeCount = 0;
    winner = noProgram;
  }

  /** Puts a place, and all that it leads to without reading, into the set. */
  function add(place: number): void {
    let depth = 0;
    stack[depth++] = place;
    while (depth > 0) {
      const at = stack[--depth] ?? 0;
      if (marks[at] === generation) continue;
      marks[at] = generation;
      const op = ops[at];
      if (op === step.fork) {
        const program = programOf[at] ?? 0;
        if (endlessAt[at] === 1 && program < winner) winner = program;
        stack[depth++] = arg[at] ?? 0;
        stack[depth++] = out[at] ?? 0;
      } else if (op !== step.fail) {
        made[madeCount++] = at;
      }
    }
  }

  /** A program that has won for good hides those behind it, and its own other places. */
  function counts(place: number): boolean {
    const program = programOf[place] ?? 0;
    return program < winner || (program === winner && endlessPart[place] === 1);
  }

  /** Number of the state with the set just made, or who has won, or `dead`. */
  function settle(kind: number): number {
    if (winner !== noProgram) {
      let kept = 0;
      let open = false;
      for (let index = 0; index < madeCount; index++) {
        const place = made[index] ?? 0;
        if (!counts(place)) continue;
        made[kept++] = place;
        open ||= (programOf[place] ?? 0) < winner;
      }
      if (!open) return wonBy(winner);
      madeCount = kept;
    }
    if (madeCount === 0) return dead;
    let hash = 0;
    let asserts = false;
    for (let index = 0; index < madeCount; index++) {
      const place = made[index] ?? 0;
      hash = (hash + (hashes[place] ?? 0)) | 0;
      asserts ||= ops[place] === step.assert;
    }
    // What came before matters only to assertions.
    const preceding = asserts ? kind : other;
    const known = find(hash, preceding);
    return known === unknown ? keep(hash, preceding) : known;
  }

  function find(hash: number, preceding: number): number {
    let state = byHash.get(hash) ?? unknown;
    while (state !== unknown && !isMade(state, preceding)) state = sameHash[state] ?? unknown;
    return state;
  }

  function isMade(state: number, preceding: number): boolean {
    const first = from[state] ?? 0;
    const last = until[state] ?? 0;
    if (last - first !== madeCount || before[state] !== preceding) return false;
    for (let index = first; index < last; index++) {
      const place = held[index] ?? 0;
      if (marks[place] !== generation || !counts(place)) return false;
    }
    return true;
  }

  function keep(hash: number, preceding: number): number {
    if (stateCount >= stateCapacity || heldCount + madeCount > placeCapacity) forget();
    reserve();
    const state = stateCount++;
    next.fill(unknown, state * count, (state + 1) * count);
    from[state] = heldCount;
    held.set(made.subarray(0, madeCount), heldCount);
    heldCount += madeCount;
    until[state] = heldCount;
    before[state] = preceding;
    accepts[state] = notAsked;
    sameHash[state] = byHash.get(hash) ?? unknown;
    byHash.set(hash, state);
    return state;
  }

  function forget(): void {
    timesForgotten += 1;
    stateCount = 1;
    heldCount = 0;
    startState = unknown;
    byHash.clear();
  }

  /** Room for one more state. */
  function reserve(): void {
    if (stateCount >= from.length) {
      const size = Math.min(stateCapacity, Math.max(16, from.length * 2));
      next = grown(next, size * count);
      from = grown(from, size);
      until = grown(until, size);
      before = grown(before, size);
      accepts = grown(accepts, size);
      sameHash = grown(sameHash, size);
    }
    if (heldCount + madeCount > held.length) {
      held = grown(held, Math.min(placeCapacity, Math.max(64, held.length * 2, heldCount + madeCount)));
    }
  }

  /** The places of a state, assertions passed or dropped by what comes before and after; into `left`. */
  function leave(state: number, following: number): number {
    generation += 1;
    const holds = assertionsBetween(before[state] ?? other, following);
    let leftCount = 0;
    let depth = 0;
    const last = until[state] ?? 0;
    for (let index = from[state] ?? 0; index < last; index++) {
      stack[depth++] = held[index] ?? 0;
      while (depth > 0) {
        const at = stack[--depth] ?? 0;
        if (leftMarks[at] === generation) continue;
        leftMarks[at] = generation;
        const op = ops[at];
        if (op === step.fork) {
          stack[depth++] = arg[at] ?? 0;
          stack[depth++] = out[at] ?? 0;
        } else if (op === step.assert) {
          if (((arg[at] ?? 0) & ~holds) === 0) stack[depth++] = out[at] ?? 0;
        } else if (op !== step.fail) {
          left[leftCount++] = at;
        }
      }
    }
    return leftCount;
  }

  function enter(): number {
    begin();
    for (const place of starts) add(place);
    startState = settle(edge);
    return startState;
  }

  function advance(state: number, cls: number): number {
    const leftCount = leave(state, kinds[cls] ?? other);
    begin();
    for (let index = 0; index < leftCount; index++) {
      const place = left[index] ?? 0;
      if (ops[place] !== step.rune || (programOf[place] ?? 0) > winner) continue;
      if (members[(setOf[place] ?? 0) * count + cls] === 1) add(out[place] ?? 0);
    }
    const remembered = timesForgotten;
    const to = settle(kinds[cls] ?? other);
    // Unless all states were forgotten meanwhile, and this one with them.
    if (timesForgotten === remembered) next[state * count + cls] = to;
    return to;
  }

  /** The first program that takes the text when it ends in this state. */
  function accepting(state: number): number {
    const known = accepts[state] ?? notAsked;
    if (known !== notAsked) return known;
    let first = noProgram;
    const leftCount = leave(state, edge);
    for (let index = 0; index < leftCount; index++) {
      const place = left[index] ?? 0;
      if (ops[place] === step.match) first = Math.min(first, programOf[place] ?? 0);
    }
    const found = first === noProgram ? -1 : first;
    accepts[state] = found;
    return found;
  }

  return {
    firstMatch(text) {
      let state = startState === unknown ? enter() : startState;
      for (let at = 0; at < text.length; at++) {
        if (state < 0) break;
        let rune = text.charCodeAt(at);
        let cls: number;
        if (rune < 128) {
          cls = ascii[rune] ?? 0;
        } else {
          rune = text.codePointAt(at) ?? rune;
          if (rune > 0xffff) at += 1;
          cls = classes.classOf(rune);
        }
        const to = next[state * count + cls] ?? unknown;
        state = to === unknown ? advance(state, cls) : to;
      }
      if (state > 0) return accepting(state);
      return state === dead ? -1 : -2 - state;
    },
    get timesForgotten() {
      return timesForgotten;
    },
    get stateBytes() {
      return 4 * (next.length + 5 * from.length + held.length);
    },
  };
}

/** One after the other into one set of tables. */
function joinPrograms(programs: readonly Program[]) {
  const places = programs.reduce((sum, { ops }) => sum + ops.length, 0);
  const ops = new Uint8Array(places);
  const out = new Int32Array(places);
  const arg = new Int32Array(places);
  const programOf = new Int32Array(places);
  const takes: (Ranges | undefined)[] = [];
  const starts: number[] = [];
  let base = 0;
  programs.forEach((program, index) => {
    const size = program.ops.length;
    ops.set(program.ops, base);
    programOf.fill(index, base, base + size);
    for (let place = 0; place < size; place++) {
      out[base + place] = base + (program.out[place] ?? 0);
      // An assertion's is no place.
      arg[base + place] = (program.arg[place] ?? 0) + (program.ops[place] === step.fork ? base : 0);
      takes.push(program.takes[place]);
    }
    starts.push(base + program.start);
    base += size;
  });
  return { starts, ops, out, arg, takes, programOf };
}

/** Numbers the sets of characters that occur, equal ones once; `setOf` by place. */
function distinctSets(takes: readonly (Ranges | undefined)[]) {
  const sets: Ranges[] = [];
  // A counted repetition shares its set: compare the object first, its content only when that is new.
  const byObject = new Map<Ranges, number>();
  const byContent = new Map<string, number>();
  const setOf = new Int32Array(takes.length);
  takes.forEach((ranges, place) => {
    if (ranges === undefined) return;
    let set = byObject.get(ranges);
    if (set === undefined) {
      const content = ranges.join();
      set = byContent.get(content) ?? sets.push(ranges) - 1;
      byContent.set(content, set);
      byObject.set(ranges, set);
    }
    setOf[place] = set;
  });
  return { sets, setOf };
}

/** Forks from which a program takes whatever follows (`.*` at its end), and the two steps that each leads to. */
function findEndless(ops: Uint8Array, out: Int32Array, arg: Int32Array, takes: readonly (Ranges | undefined)[]) {
  const endlessAt = new Uint8Array(ops.length);
  const endlessPart = new Uint8Array(ops.length);
  const takesAll = (place: number, fork: number): boolean => {
    const ranges = takes[place];
    return out[place] === fork && ranges?.length === 2 && ranges[0] === 0 && ranges[1] === 0x10ffff;
  };
  ops.forEach((op, fork) => {
    if (op !== step.fork) return;
    // A lazy `.*?` has its two ways the other way round.
    const ways = [out[fork] ?? 0, arg[fork] ?? 0];
    const loop = ways.find((place) => takesAll(place, fork));
    const end = ways.find((place) => ops[place] === step.match);
    if (loop === undefined || end === undefined) return;
    endlessAt[fork] = 1;
    endlessPart[loop] = 1;
    endlessPart[end] = 1;
  });
  return { endlessAt, endlessPart };
}

function assertionsBetween(preceding: number, following: number): number {
  let holds = (preceding === word) === (following === word) ? assertion.noWordBoundary : assertion.wordBoundary;
  if (preceding === edge) holds |= assertion.beginText;
  if (preceding === edge || preceding === newline) holds |= assertion.beginLine;
  if (following === edge) holds |= assertion.endText;
  if (following === edge || following === newline) holds |= assertion.endLine;
  return holds;
}

/** Spreads numbers over 32 bits, so that sums of them tell sets of places apart. */
function scramble(number: number): number {
  let mixed = Math.imul(number, 0x9e3779b1);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

function grown(table: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(length);
  larger.set(table);
  return larger;
}
