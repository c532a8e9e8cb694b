import { type Composed, composeYaml, type Json, type Place, UnreadableError } from './compose.ts';
import { type FieldPath, type Finding, fieldName } from './findings.ts';

/** One object of a manifest file, not yet judged. */
export interface ManifestDocument {
  readonly file: string;
  readonly value: Json;
  /** Line of a field, from 1; of the nearest field around it when it is not there. */
  lineOf(path: FieldPath): number;
  /** What kubectl passes over in silence, such as keys that stand twice. */
  readonly warnings: readonly Finding[];
}

export interface ParsedManifests {
  readonly documents: readonly ManifestDocument[];
  /** What could not be read. The documents beside it are those that could. */
  readonly faults: readonly Finding[];
}

/**
 * The objects of a file's text, as `kubectl apply -f` would find them: YAML 1.1 documents between lines of `---`, or JSON
 * objects one after another; empty documents are passed over, lists taken apart. Never throws. `file` is for messages.
 */
export function parseManifests(text: string | Uint8Array, file: string): ParsedManifests {
  const faults: Finding[] = [];
  const documents: ManifestDocument[] = [];
  const { source, damaged } = decode(text);
  const lines = new Lines(file, source);
  try {
    for (const chunk of chunksOf(source)) {
      try {
        const composed = chunk.json === undefined ? composeYaml(chunk.text) : composeJson(chunk.text, chunk.json);
        if (composed === undefined || composed.value === null) continue;
        documents.push(...flatten(documentOf(composed, lines, chunk.start)));
      } catch (error) {
        faults.push(lines.fault(error, chunk.start));
      }
    }
  } catch (error) {
    faults.push(lines.fault(error, 0));
  }
  const [first] = documents;
  if (damaged && first !== undefined) {
    const reason = 'the file is not valid UTF-8; U+FFFD stands where it is not';
    const warning = lines.finding(0, '', reason, 'save it as UTF-8');
    documents[0] = { ...first, warnings: [warning, ...first.warnings] };
  }
  return { documents, faults };
}

/** A byte order mark says how to read the bytes, else they are UTF-8; what is none becomes U+FFFD, as with kubectl. */
function decode(text: string | Uint8Array): { readonly source: string; readonly damaged: boolean } {
  if (typeof text === 'string')
    return { source: text.toWellFormed().replace(/^\uFEFF/, ''), damaged: !text.isWellFormed() };
  const [first, second] = text;
  const isLittle = first === 0xff && second === 0xfe;
  const isBig = first === 0xfe && second === 0xff;
  const encoding = isLittle ? 'utf-16le' : isBig ? 'utf-16be' : 'utf-8';
  try {
    return { source: new TextDecoder(encoding, { fatal: true }).decode(text), damaged: false };
  } catch {
    return { source: new TextDecoder(encoding).decode(text), damaged: true };
  }
}

/** The line of each offset of a file. */
class Lines {
  readonly file: string;
  readonly #starts: readonly number[];

  constructor(file: string, text: string) {
    this.file = file;
    this.#starts = [0, ...Array.from(text.matchAll(/\n/g), ({ index }) => index + 1)];
  }

  lineAt(offset: number): number {
    return Math.max(1, lowerBound(this.#starts, offset + 1));
  }

  finding(offset: number, field: string, reason: string, wayOut: string): Finding {
    return { file: this.file, line: this.lineAt(offset), field, reason, wayOut };
  }

  fault(error: unknown, start: number): Finding {
    if (!(error instanceof UnreadableError)) throw error;
    return this.finding(start + error.offset, '', error.message, 'write YAML or JSON that kubectl can read');
  }
}

/** How many of the sorted numbers are smaller than `bound`. */
function lowerBound(sorted: readonly number[], bound: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? 0) < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}

interface Chunk {
  readonly text: string;
  /** Offset in the file. */
  readonly start: number;
  /** The value, when this is JSON. */
  readonly json?: Json;
}

/** JSON while it lasts: one object and then YAML is still YAML, after two objects it must go on as JSON. */
function* chunksOf(source: string): Iterable<Chunk> {
  let start = 0;
  for (let count = 0; /^\s*\{/.test(source.slice(start, start + 4096)); count += 1) {
    const end = endOfObject(source, start);
    const text = source.slice(start, end);
    const json = parseJson(text);
    if (json === undefined) {
      if (count > 1)
        throw new UnreadableError('this is not valid JSON', start + (/\S/.exec(source.slice(start))?.index ?? 0));
      break;
    }
    yield { text, start, json };
    start = end;
  }
  yield* yamlChunks(source, start);
}

/** Offset behind the `}` that closes the object at `start`, or the end of the text. */
function endOfObject(source: string, start: number): number {
  let depth = 0;
  for (const { 0: token, index } of source.slice(start).matchAll(/"(?:[^"\\]|\\.)*"|[{}]/gs)) {
    if (token === '{') depth += 1;
    if (token === '}') depth -= 1;
    if (depth === 0) return start + index + token.length;
  }
  return source.length;
}

function parseJson(text: string): Json | undefined {
  try {
    // Go replaces half of a surrogate pair by U+FFFD.
    return JSON.parse(text, (_, value) => (typeof value === 'string' ? value.toWellFormed() : value)) as Json;
  } catch {
    return undefined;
  }
}

/** JSON is nearly YAML: the value is JSON's, its places come from reading it as YAML where that succeeds. */
function composeJson(text: string, value: Json): Composed {
  try {
    const composed = composeYaml(text, 'json');
    if (composed !== undefined) return { ...composed, value };
  } catch (error) {
    if (!(error instanceof UnreadableError)) throw error;
  }
  return { value, place: { offset: /\S/.exec(text)?.index ?? 0, inside: new Map() }, repeated: [] };
}

function* yamlChunks(source: string, from: number): Iterable<Chunk> {
  let start = from;
  for (const { 0: line, index, 1: rest = '' } of source.slice(from).matchAll(/(?<![^\n])---([^\n]*)(?:\n|$)/g)) {
    const offset = from + index;
    if (source.slice(start, offset).trim() !== '') yield { text: source.slice(start, offset), start };
    if (rest.trim() !== '' && !rest.trim().startsWith('#')) {
      throw new UnreadableError(`after --- only a comment may stand, not ${JSON.stringify(rest.trim())}`, offset);
    }
    start = offset + line.length;
  }
  if (source.slice(start).trim() !== '') yield { text: source.slice(start), start };
}

function documentOf({ value, place, repeated }: Composed, lines: Lines, start: number): ManifestDocument {
  return {
    file: lines.file,
    value,
    lineOf: (path) => lines.lineAt(start + placeOf(place, path).offset),
    warnings: repeated.map(({ path, offset }) =>
      lines.finding(
        start + offset,
        fieldName(path),
        'the key stands twice; only the last one counts',
        'remove one of the two',
      ),
    ),
  };
}

/** The place of a field, or of the nearest one around it. */
function placeOf(place: Place, path: FieldPath): Place {
  let nearest = place;
  for (const part of path) {
    const inner = nearest.inside.get(part);
    if (inner === undefined) return nearest;
    nearest = inner;
  }
  return nearest;
}

/** The objects in a List, as if each stood alone. */
function flatten(document: ManifestDocument): readonly ManifestDocument[] {
  const { value } = document;
  if (!isObject(value) || typeof value.kind !== 'string' || !value.kind.endsWith('List')) return [document];
  const items = value.items;
  if (!Array.isArray(items)) return [document];
  return items.map((item: Json, index) => ({
    file: document.file,
    value: item,
    lineOf: (path) => document.lineOf(['items', index, ...path]),
    warnings: index === 0 ? document.warnings : [],
  }));
}

export function isObject(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
