import { EVENT_ID, type Event, getScalarValue, parseEvents, SCALAR_STYLE, YAMLException } from 'js-yaml';
import type { FieldPath } from './findings.ts';
import { resolveScalar, type Scalar } from './yaml-scalar.ts';

export type Json = Scalar | readonly Json[] | { readonly [key: string]: Json };

/** Where a value stands, and what is in it. */
export interface Place {
  /** Offset in the source, in UTF-16 units. */
  readonly offset: number;
  /** By property name or list index. */
  readonly inside: ReadonlyMap<string | number, Place>;
}

export interface Composed {
  readonly value: Json;
  readonly place: Place;
  /** Keys that stand twice in one mapping; the last one counts, as with kubectl. */
  readonly repeated: readonly { readonly path: FieldPath; readonly offset: number }[];
}

/** Something that cannot be read, at an offset of the source. */
export class UnreadableError extends Error {
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

type Node = { readonly offset: number } & (
  | { readonly kind: 'scalar'; readonly text: string; readonly plain: boolean; readonly tag: string | undefined }
  | { readonly kind: 'sequence'; readonly items: readonly Node[] }
  | { readonly kind: 'mapping'; readonly entries: readonly (readonly [Node, Node])[] }
  | { readonly kind: 'alias'; readonly name: string; readonly target: Node }
);

/** Deeper than any resource; a document beyond it could exhaust the stack. */
const maxDepth = 500;

/** YAML 1.1 has fewer escapes than JSON. */
type Dialect = 'yaml' | 'json';

/**
 * The first document of a YAML text, read as kubectl reads it; undefined when there is none. Throws UnreadableError for what is
 * no YAML, or has no JSON form (a list as key, infinity).
 */
export function composeYaml(source: string, dialect: Dialect = 'yaml'): Composed | undefined {
  const root = new Builder(source, dialect, eventsOf(source)).document();
  return root === undefined ? undefined : new Decoder().decodeRoot(root);
}

function eventsOf(source: string): readonly Event[] {
  try {
    return parseEvents(source, { maxDepth });
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const spaced = source.replace(/(?<=[,:[{])\t+/g, (tabs) => ' '.repeat(tabs.length));
    // The parser takes a tab between the items of a flow collection for indentation. Offsets stay what they were, and texts
    // are taken from the source itself.
    if (spaced !== source) return eventsOf(spaced);
    throw new UnreadableError(error.reason, error.mark?.position ?? 0);
  }
}

/** Builds nodes from parser events; anchors are resolved at the place where an alias stands, so a later one may hide an earlier. */
class Builder {
  readonly #source: string;
  readonly #dialect: Dialect;
  readonly #events: readonly Event[];
  readonly #anchors = new Map<string, { node: Node | undefined }>();
  #next = 0;
  /** Offset of the last thing seen, for nodes that are empty. */
  #offset = 0;

  constructor(source: string, dialect: Dialect, events: readonly Event[]) {
    this.#source = source;
    this.#dialect = dialect;
    this.#events = events;
  }

  document(): Node | undefined {
    if (this.#take()?.type !== EVENT_ID.DOCUMENT) return undefined;
    return this.#node();
  }

  #take(): Event | undefined {
    const event = this.#events[this.#next];
    this.#next += 1;
    return event;
  }

  /** Undefined at the end of the collection that is being read. */
  #node(): Node | undefined {
    const event = this.#take();
    switch (event?.type) {
      case EVENT_ID.SCALAR: {
        if (event.valueStart >= 0) this.#offset = event.valueStart;
        return this.#anchored(event.anchorStart, event.anchorEnd, () => ({
          kind: 'scalar',
          offset: this.#offset,
          text: this.#scalarText(event),
          plain: event.style === SCALAR_STYLE.PLAIN,
          tag: event.tagStart < 0 ? undefined : this.#source.slice(event.tagStart, event.tagEnd),
        }));
      }
      case EVENT_ID.SEQUENCE: {
        const offset = this.#at(event.start);
        return this.#anchored(event.anchorStart, event.anchorEnd, () => {
          const items: Node[] = [];
          for (let item = this.#node(); item !== undefined; item = this.#node()) items.push(item);
          return { kind: 'sequence', offset, items };
        });
      }
      case EVENT_ID.MAPPING: {
        const offset = this.#at(event.start);
        return this.#anchored(event.anchorStart, event.anchorEnd, () => {
          const entries: [Node, Node][] = [];
          for (let key = this.#node(); key !== undefined; key = this.#node()) {
            const value = this.#node();
            if (value !== undefined) entries.push([key, value]);
          }
          return { kind: 'mapping', offset, entries };
        });
      }
      case EVENT_ID.ALIAS: {
        const offset = this.#at(event.anchorStart);
        const name = this.#source.slice(event.anchorStart, event.anchorEnd);
        const anchor = this.#anchors.get(name);
        if (anchor === undefined) throw new UnreadableError(`there is no anchor &${name} before this alias`, offset);
        if (anchor.node === undefined) throw new UnreadableError(`the anchor &${name} contains itself`, offset);
        return { kind: 'alias', offset, name, target: anchor.node };
      }
      default:
        return undefined;
    }
  }

  #at(offset: number): number {
    this.#offset = offset;
    return offset;
  }

  #anchored(start: number, end: number, build: () => Node): Node {
    if (start < 0) return build();
    const name = this.#source.slice(start, end);
    if (!/^[-\w]+$/.test(name))
      throw new UnreadableError(`the anchor &${name} may hold letters, digits, "-" and "_"`, start);
    const anchor: { node: Node | undefined } = { node: undefined };
    this.#anchors.set(name, anchor);
    anchor.node = build();
    return anchor.node;
  }

  #scalarText(event: Extract<Event, { type: typeof EVENT_ID.SCALAR }>): string {
    const raw = event.valueStart < 0 ? '' : this.#source.slice(event.valueStart, event.valueEnd);
    // Half of a surrogate pair is no character, and `\/` came to YAML after 1.1.
    const foreign = /(?<!\\)(?:\\\\)*(\\u[dD][89a-fA-F]|\\\/)/.exec(raw)?.[1];
    if (this.#dialect === 'yaml' && event.style === SCALAR_STYLE.DOUBLE_QUOTED && foreign !== undefined) {
      throw new UnreadableError(`the escape ${foreign} is not one that kubectl knows`, event.valueStart);
    }
    return getScalarValue(this.#source, event);
  }
}

type Entries = Map<string, { readonly value: Json; readonly place: Place }>;

/** Turns nodes into values, expanding aliases and merge keys as yaml.v2 does, and as boundedly. */
class Decoder {
  readonly #repeated: { path: FieldPath; offset: number }[] = [];
  #decoded = 0;
  #aliased = 0;
  #aliasDepth = 0;

  decodeRoot(root: Node): Composed {
    return { ...this.#decode(root, []), repeated: this.#repeated };
  }

  #decode(node: Node, path: FieldPath): { readonly value: Json; readonly place: Place } {
    this.#count(node);
    switch (node.kind) {
      case 'scalar':
        return { value: this.#scalar(node), place: { offset: node.offset, inside: new Map() } };
      case 'sequence': {
        const items = node.items.map((item, index) => this.#decode(item, [...path, index]));
        const inside = new Map(items.map(({ place }, index) => [index, place]));
        return { value: items.map(({ value }) => value), place: { offset: node.offset, inside } };
      }
      case 'mapping': {
        const entries: Entries = new Map();
        this.#mapping(node, path, entries, new Set());
        const value = Object.fromEntries([...entries].map(([key, entry]) => [key, entry.value]));
        const inside = new Map([...entries].map(([key, { place }]) => [key, place]));
        return { value, place: { offset: node.offset, inside } };
      }
      case 'alias': {
        this.#aliasDepth += 1;
        const decoded = this.#decode(node.target, path);
        this.#aliasDepth -= 1;
        return decoded;
      }
    }
  }

  #mapping(node: Extract<Node, { kind: 'mapping' }>, path: FieldPath, entries: Entries, written: Set<string>): void {
    for (const [key, valueNode] of node.entries) {
      if (isMerge(key)) {
        this.#merge(valueNode, path, entries);
        continue;
      }
      const name = keyText(this.#decode(key, path).value, key.offset);
      const { value, place } = this.#decode(valueNode, [...path, name]);
      if (written.has(name) && this.#aliasDepth === 0)
        this.#repeated.push({ path: [...path, name], offset: key.offset });
      written.add(name);
      // The place of an entry is that of its key: that is where people look.
      entries.set(name, { value, place: { ...place, offset: key.offset } });
    }
  }

  /** A merge writes over what stands before it, and what stands after it writes over the merge. */
  #merge(node: Node, path: FieldPath, entries: Entries): void {
    // Of several maps, the first has the last word.
    for (const map of node.kind === 'sequence' ? node.items.toReversed() : [node]) {
      const target = map.kind === 'alias' ? map.target : map;
      if (target.kind !== 'mapping') throw new UnreadableError('<< needs a map, or a list of maps', node.offset);
      this.#count(map);
      if (map.kind === 'alias') this.#aliasDepth += 1;
      this.#mapping(target, path, entries, new Set());
      if (map.kind === 'alias') this.#aliasDepth -= 1;
    }
  }

  #scalar(node: Extract<Node, { kind: 'scalar' }>): Scalar {
    let value: Scalar;
    try {
      value = resolveScalar(node.text, node.plain, node.tag);
    } catch (error) {
      throw new UnreadableError(error instanceof Error ? error.message : String(error), node.offset);
    }
    if (typeof value === 'number' && !Number.isFinite(value)) {
      throw new UnreadableError(`${node.text} has no form in JSON`, node.offset);
    }
    return value;
  }

  /** The bound of yaml.v2 on what aliases may blow a document up to. */
  #count(node: Node): void {
    this.#decoded += 1;
    if (this.#aliasDepth > 0) this.#aliased += 1;
    const share = this.#aliased / this.#decoded;
    const slope = Math.min(1, Math.max(0, (this.#decoded - 400_000) / 3_600_000));
    if (this.#aliased > 100 && this.#decoded > 1000 && share > 0.99 - 0.89 * slope) {
      throw new UnreadableError('the document contains excessive aliasing', node.offset);
    }
  }
}

function isMerge(key: Node): boolean {
  return key.kind === 'scalar' && key.text === '<<' && ((key.plain && key.tag === undefined) || key.tag === '!!merge');
}

/** Keys of JSON are texts: numbers and booleans become theirs. */
function keyText(key: Json, offset: number): string {
  switch (typeof key) {
    case 'string':
      return key;
    case 'number':
      return numberKey(key);
    case 'boolean':
      return String(key);
    default:
      throw new UnreadableError('a key must be a text, number or boolean', offset);
  }
}

/** Whole numbers as they are; fractions with the digits of a 32 bit float, in the form of Go's `%g`. */
function numberKey(key: number): string {
  if (Number.isSafeInteger(key)) return String(key);
  const rounded = Math.fround(key);
  const digits = [1, 2, 3, 4, 5, 6, 7, 8, 9].find(
    (count) => Math.fround(Number(rounded.toPrecision(count))) === rounded,
  );
  const [mantissa = '', exponent = ''] = rounded.toExponential((digits ?? 9) - 1).split('e');
  const power = Number(exponent);
  if (power >= -4 && power < 6) return String(Number(`${mantissa}e${power}`));
  return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}
