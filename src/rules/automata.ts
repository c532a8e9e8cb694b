import { type Automaton, createAutomaton } from './automaton.ts';
import type { Program } from './program.ts';

/** Bounds that keep a rule set quick; `bench/rules.ts` shows what they buy. */
export interface AutomataLimits {
  /** Programs that share one automaton to begin with. */
  readonly together: number;
  /** Places that they may have in all, a program that alone has more standing alone. */
  readonly places: number;
  /** Bytes for the states of a group, for each of its programs; also after it was divided. */
  readonly bytesEach: number;
  /** Bytes for the states of a group at the least. */
  readonly bytesAtLeast: number;
}

export const defaultLimits: AutomataLimits = { together: 128, places: 20_000, bytesEach: 8192, bytesAtLeast: 65_536 };

/** Groups of this size are not divided further: each has to read the whole text. */
const smallest = 4;
/** An automaton that forgot its states so often will not come to an end of them. */
const patience = 2;

/**
 * Programs in order, in groups of which each reads the text once. Some patterns multiply each other's states: a group
 * that keeps outgrowing its bound is divided in two, each with half the room, so that paths which a hostile guest makes up
 * cost about as much as the patterns do one by one, and no memory beyond the bound.
 */
export function createAutomata(programs: readonly Program[], limits: AutomataLimits = defaultLimits): Automaton {
  const { bytesAtLeast, bytesEach } = limits;
  return chain(
    groupsOf(programs, limits).map((group) => createDividing(group, Math.max(bytesAtLeast, bytesEach * group.length))),
  );
}

function groupsOf(programs: readonly Program[], { together, places }: AutomataLimits): Program[][] {
  const groups: Program[][] = [];
  let group: Program[] = [];
  let size = 0;
  for (const program of programs) {
    if (group.length > 0 && (group.length >= together || size + program.ops.length > places)) {
      groups.push(group);
      group = [];
      size = 0;
    }
    group.push(program);
    size += program.ops.length;
  }
  return group.length > 0 ? [...groups, group] : groups;
}

interface Part {
  readonly automaton: Automaton;
  /** How many programs it holds. */
  readonly size: number;
}

/** Asks one after the other; the first that knows a program decides, since the programs are in order. */
function chain(parts: readonly Part[]): Automaton {
  return {
    firstMatch(text) {
      let base = 0;
      for (const { automaton, size } of parts) {
        const first = automaton.firstMatch(text);
        if (first >= 0) return base + first;
        base += size;
      }
      return -1;
    },
    get stateBytes() {
      return parts.reduce((sum, { automaton }) => sum + automaton.stateBytes, 0);
    },
    get timesForgotten() {
      return parts.reduce((sum, { automaton }) => sum + automaton.timesForgotten, 0);
    },
  };
}

function createDividing(programs: readonly Program[], stateBytes: number): Part {
  let whole: Automaton | undefined;
  let divided: Automaton | undefined;
  const automaton: Automaton = {
    firstMatch(text) {
      if (divided !== undefined) return divided.firstMatch(text);
      // Not before it is asked: who only checks a rule set builds no automaton.
      whole ??= createAutomaton(programs, stateBytes);
      const first = whole.firstMatch(text);
      if (whole.timesForgotten >= patience && programs.length > smallest) {
        const middle = programs.length >> 1;
        divided = chain([
          createDividing(programs.slice(0, middle), stateBytes >> 1),
          createDividing(programs.slice(middle), stateBytes >> 1),
        ]);
        whole = undefined;
      }
      return first;
    },
    get stateBytes() {
      return (divided ?? whole)?.stateBytes ?? 0;
    },
    get timesForgotten() {
      return (divided ?? whole)?.timesForgotten ?? 0;
    },
  };
  return { automaton, size: programs.length };
}
