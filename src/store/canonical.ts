import { hash } from 'node:crypto';
import type { Digest } from '../core/digest.ts';
import type { RuleSet } from '../core/settings.ts';

/**
 * JSON in the one form that a value has (RFC 8785: keys sorted by UTF-16 code units, no blanks), so that equal content
 * has equal bytes and therefore one digest. Fields that are undefined are left out; maps are written as objects.
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  const members = entries
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
  return `{${members.join(',')}}`;
}

/**
 * Whether two values are written alike, found without writing them: the order of fields means nothing, and one that is
 * undefined is as good as none. Not for maps.
 */
export function sameRecord(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  for (const key in a) if (!sameRecord(own(a, key), own(b, key))) return false;
  for (const key in b) if (!Object.hasOwn(a, key) && own(b, key) !== undefined) return false;
  return true;
}

function own(record: object, key: string): unknown {
  return Object.hasOwn(record, key) ? record[key as keyof typeof record] : undefined;
}

export function digestOf(bytes: string | Uint8Array): Digest {
  return `sha256:${hash('sha256', bytes, 'hex')}`;
}

/** An object as it lies in `objects/`: its name follows from its bytes. */
export interface StoredObject {
  readonly digest: Digest;
  readonly text: string;
}

export function objectOf(value: unknown): StoredObject {
  const text = canonicalJson(value);
  return { digest: digestOf(text), text };
}

/** What an empty catalog, or no VM at all, is written as. */
export function emptyLeaf(): StoredObject {
  return objectOf({ kind: 'leaf', entries: {} });
}

export function ruleSetObject(ruleSet: RuleSet): StoredObject {
  return objectOf({ kind: 'rules', rules: ruleSet });
}

/** The name by which VM rows point at a rule set. */
export function ruleSetDigest(ruleSet: RuleSet): Digest {
  return ruleSetObject(ruleSet).digest;
}
