import { type Program, type Ranges, step } from './program.ts';

/** Programs one after the other in one set of tables; `programOf` says whose a place is. */
export function joinPrograms(programs: readonly Program[]) {
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
      out[base + place] = base + (program.out[place] as number);
      // An assertion's is no place.
      arg[base + place] = (program.arg[place] as number) + (program.ops[place] === step.fork ? base : 0);
      takes.push(program.takes[place]);
    }
    starts.push(base + program.start);
    base += size;
  });
  return { starts, ops, out, arg, takes, programOf };
}

/** Numbers the sets of characters that occur, equal ones once; `setOf` by place. */
export function distinctSets(takes: readonly (Ranges | undefined)[]) {
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
export function findEndless(ops: Uint8Array, out: Int32Array, arg: Int32Array, takes: readonly (Ranges | undefined)[]) {
  const endlessAt = new Uint8Array(ops.length);
  const endlessPart = new Uint8Array(ops.length);
  const takesAll = (place: number, fork: number): boolean => {
    const ranges = takes[place];
    return out[place] === fork && ranges?.length === 2 && ranges[0] === 0 && ranges[1] === 0x10ffff;
  };
  ops.forEach((op, fork) => {
    if (op !== step.fork) return;
    // A lazy `.*?` has its two ways the other way round.
    const ways = [out[fork] as number, arg[fork] as number];
    const loop = ways.find((place) => takesAll(place, fork));
    const end = ways.find((place) => ops[place] === step.match);
    if (loop === undefined || end === undefined) return;
    endlessAt[fork] = 1;
    endlessPart[loop] = 1;
    endlessPart[end] = 1;
  });
  return { endlessAt, endlessPart };
}
