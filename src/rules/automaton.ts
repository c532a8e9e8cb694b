import { distinctSets, findEndless, joinPrograms } from './join-programs.ts';
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
 *
 * Indices into the tables are places, states and classes of this automaton, so that what is read is there (`as number`).
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
      const at = stack[--depth] as number;
      if (marks[at] === generation) continue;
      marks[at] = generation;
      const op = ops[at];
      if (op === step.fork) {
        const program = programOf[at] as number;
        if (endlessAt[at] === 1 && program < winner) winner = program;
        stack[depth++] = arg[at] as number;
        stack[depth++] = out[at] as number;
      } else if (op !== step.fail) {
        made[madeCount++] = at;
      }
    }
  }

  /** A program that has won for good hides those behind it, and its own other places. */
  function counts(place: number): boolean {
    const program = programOf[place] as number;
    return program < winner || (program === winner && endlessPart[place] === 1);
  }

  /** Number of the state with the set just made, or who has won, or `dead`. */
  function settle(kind: number): number {
    if (winner !== noProgram) {
      let kept = 0;
      let open = false;
      for (let index = 0; index < madeCount; index++) {
        const place = made[index] as number;
        if (!counts(place)) continue;
        made[kept++] = place;
        open ||= (programOf[place] as number) < winner;
      }
      if (!open) return wonBy(winner);
      madeCount = kept;
    }
    if (madeCount === 0) return dead;
    let hash = 0;
    let asserts = false;
    for (let index = 0; index < madeCount; index++) {
      const place = made[index] as number;
      hash = (hash + (hashes[place] as number)) | 0;
      asserts ||= ops[place] === step.assert;
    }
    // What came before matters only to assertions.
    const preceding = asserts ? kind : other;
    const known = find(hash, preceding);
    return known === unknown ? keep(hash, preceding) : known;
  }

  function find(hash: number, preceding: number): number {
    let state = byHash.get(hash) ?? unknown;
    while (state !== unknown && !isMade(state, preceding)) state = sameHash[state] as number;
    return state;
  }

  function isMade(state: number, preceding: number): boolean {
    const first = from[state] as number;
    const last = until[state] as number;
    if (last - first !== madeCount || before[state] !== preceding) return false;
    for (let index = first; index < last; index++) {
      const place = held[index] as number;
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
    const holds = assertionsBetween(before[state] as number, following);
    let leftCount = 0;
    let depth = 0;
    const last = until[state] as number;
    for (let index = from[state] as number; index < last; index++) {
      stack[depth++] = held[index] as number;
      while (depth > 0) {
        const at = stack[--depth] as number;
        if (leftMarks[at] === generation) continue;
        leftMarks[at] = generation;
        const op = ops[at];
        if (op === step.fork) {
          stack[depth++] = arg[at] as number;
          stack[depth++] = out[at] as number;
        } else if (op === step.assert) {
          if (((arg[at] as number) & ~holds) === 0) stack[depth++] = out[at] as number;
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
    const leftCount = leave(state, kinds[cls] as number);
    begin();
    for (let index = 0; index < leftCount; index++) {
      const place = left[index] as number;
      if (ops[place] !== step.rune || (programOf[place] as number) > winner) continue;
      if (members[(setOf[place] as number) * count + cls] === 1) add(out[place] as number);
    }
    const remembered = timesForgotten;
    const to = settle(kinds[cls] as number);
    // Unless all states were forgotten meanwhile, and this one with them.
    if (timesForgotten === remembered) next[state * count + cls] = to;
    return to;
  }

  /** The first program that takes the text when it ends in this state. */
  function accepting(state: number): number {
    const known = accepts[state] as number;
    if (known !== notAsked) return known;
    let first = noProgram;
    const leftCount = leave(state, edge);
    for (let index = 0; index < leftCount; index++) {
      const place = left[index] as number;
      if (ops[place] === step.match) first = Math.min(first, programOf[place] as number);
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
          cls = ascii[rune] as number;
        } else {
          rune = text.codePointAt(at) as number;
          if (rune > 0xffff) at += 1;
          cls = classes.classOf(rune);
        }
        const to = next[state * count + cls] as number;
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
