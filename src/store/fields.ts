import { type Digest, isDigest } from '../core/digest.ts';
import { GuestStoreError } from '../lib/errors.ts';

/** Reads fields of a decoded JSON record, or throws `StoreCorrupt` naming the field. Unknown fields are left alone. */
export interface Fields {
  readonly raw: Readonly<Record<string, unknown>>;
  text(name: string): string;
  textOrNull(name: string): string | null;
  /** A whole number from 0. */
  count(name: string): number;
  flag(name: string): boolean;
  digest(name: string): Digest;
  /** RFC 3339 in UTC. */
  time(name: string): string;
  texts(name: string): readonly string[];
  /** The same, where the field may be missing. */
  optionalTexts(name: string): readonly string[] | undefined;
  fields(name: string): Fields;
  list(name: string): readonly unknown[];
}

export function fieldsOf(raw: unknown, what: string): Fields {
  if (!isRecord(raw)) throw corrupt(`${what} is not a JSON object`);
  const take = <T>(name: string, expected: string, is: (value: unknown) => value is T): T => {
    const value = raw[name];
    if (is(value)) return value;
    throw corrupt(`${what}: "${name}" is not ${expected}`);
  };
  const optionalTexts = (name: string) =>
    raw[name] === undefined ? undefined : take(name, 'a list of texts', areTexts);
  return {
    raw,
    text: (name) => take(name, 'a text', isText),
    textOrNull: (name) => take(name, 'a text or null', (value) => value === null || isText(value)),
    count: (name) => take(name, 'a whole number', isCount),
    flag: (name) => take(name, 'true or false', (value) => typeof value === 'boolean'),
    digest: (name) => take(name, 'a digest', (value): value is Digest => isText(value) && isDigest(value)),
    time: (name) => take(name, 'a time', (value): value is string => isText(value) && !Number.isNaN(Date.parse(value))),
    texts: (name) => take(name, 'a list of texts', areTexts),
    optionalTexts,
    fields: (name) => fieldsOf(take(name, 'an object', isRecord), `${what}: "${name}"`),
    list: (name) => take(name, 'a list', (value): value is unknown[] => Array.isArray(value)),
  };
}

/** The JSON value of some text, or `StoreCorrupt`. */
export function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new GuestStoreError('StoreCorrupt', `${what} is not JSON`, { cause });
  }
}

export function corrupt(message: string): GuestStoreError {
  return new GuestStoreError('StoreCorrupt', message);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function areTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isText);
}
