import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import type { Json } from './compose.ts';
import { propertyOf } from './defaults.ts';
import type { FieldPath } from './findings.ts';
import { isObject } from './manifests.ts';
import { show, typeName } from './object-meta.ts';
import { patternWords } from './pattern-words.ts';
import type { Kind } from './resources.generated.ts';
import type { Schema } from './schema.ts';

/** A value that does not fit its schema. */
export interface SchemaFault {
  readonly path: FieldPath;
  readonly reason: string;
  readonly wayOut: string;
  /** A field that the schema does not have: what stands beside it may still be judged. */
  readonly unknown: boolean;
}

/**
 * Gives a function that finds what does not fit the OpenAPI part of a kind's schema, metadata apart. Each kind is compiled when
 * first asked for. The API server drops a status that comes with a manifest, without a look at more than its field names.
 */
export function createSchemaCheck(schemas: Readonly<Record<Kind, Schema>>) {
  const ajv = new Ajv({
    allErrors: true,
    verbose: true,
    strict: false,
    // Bounds stand in the schemas themselves; these formats only say how wide a number is kept.
    formats: { int32: true, int64: true },
  });
  const compiled = new Map<Kind, ValidateFunction>();

  return function schemaFaults(kind: Kind, value: Json): readonly SchemaFault[] {
    const schema = schemas[kind];
    let check = compiled.get(kind);
    if (check === undefined) {
      const properties = { ...schema.properties, metadata: {}, status: {} };
      check = ajv.compile(closed({ ...schema, properties }));
      compiled.set(kind, check);
    }
    const errors = check(value) ? [] : (check.errors ?? []);
    const status = isObject(value) ? value.status : undefined;
    return [
      // Of a field that may be number or text, only the outer error says something.
      ...errors
        .filter(({ schemaPath }) => !schemaPath.includes('/anyOf/'))
        .map((error) => faultOf(error, schema, value)),
      ...strayFields(status ?? null, schema.properties?.status, ['status']),
    ];
  };
}

/** Fields that a schema does not have, whatever else may be wrong. */
function* strayFields(value: Json, schema: Schema | undefined, path: FieldPath): Iterable<SchemaFault> {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* strayFields(item, schema?.items, [...path, index]);
  } else if (isObject(value)) {
    for (const [key, inner] of Object.entries(value)) {
      const property = propertyOf(schema ?? {}, key);
      if (property === undefined) yield strayField([...path, key], key, schema ?? {});
      else yield* strayFields(inner, property, [...path, key]);
    }
  }
}

function strayField(path: FieldPath, key: string, schema: Schema): SchemaFault {
  return { path, unknown: true, reason: 'is not a field that exists here', wayOut: knownFields(key, schema) };
}

/** The schema as ajv should see it: an object has no other fields than those named. */
function closed(schema: Schema): Record<string, unknown> {
  const { properties, items, additionalProperties, description: _, default: __, ...rest } = schema;
  const isClosed = schema.type === 'object' && additionalProperties === undefined;
  return {
    ...rest,
    ...(properties === undefined ? {} : { properties: mapValues(properties, closed) }),
    ...(items === undefined ? {} : { items: closed(items) }),
    ...(isClosed ? { additionalProperties: false } : {}),
    ...(additionalProperties === undefined ? {} : { additionalProperties: closed(additionalProperties) }),
  };
}

function mapValues<In, Out>(record: Readonly<Record<string, In>>, map: (value: In) => Out): Record<string, Out> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}

function faultOf(error: ErrorObject, root: Schema, document: Json): SchemaFault {
  const { path, schema } = locate(error.instancePath, root, document);
  const params = error.params as Readonly<Record<string, unknown>>;
  const own = { path, unknown: false };
  const wayOut = wayOutOf(schema);
  const value = error.data as Json;
  switch (error.keyword) {
    case 'required': {
      const key = String(params.missingProperty);
      return { ...own, path: [...path, key], reason: 'is required', wayOut: wayOutOf(propertyOf(schema, key)) };
    }
    case 'additionalProperties': {
      const key = String(params.additionalProperty);
      return strayField([...path, key], key, schema);
    }
    case 'type':
      return {
        ...own,
        reason: `must be ${words[schema.type ?? 'object']}, not ${typeName(value)}`,
        wayOut: typeWayOut(schema, value),
      };
    case 'anyOf':
      return { ...own, reason: `must be a whole number or a text, not ${typeName(value)}`, wayOut };
    case 'enum':
      return { ...own, reason: `must be one of ${schema.enum?.join(', ')}, not ${show(String(value))}`, wayOut };
    case 'pattern':
      return {
        ...own,
        reason: `${show(String(value))} does not have the right form`,
        wayOut: patternWords(schema.pattern ?? ''),
      };
    case 'minLength':
      return {
        ...own,
        reason: schema.minLength === 1 ? 'must not be empty' : `must be at least ${schema.minLength} characters`,
        wayOut,
      };
    case 'maxLength':
      return { ...own, reason: `must be at most ${schema.maxLength} characters`, wayOut };
    case 'minimum':
      return { ...own, reason: `must be at least ${schema.minimum}, not ${String(value)}`, wayOut };
    case 'maximum':
      return { ...own, reason: `must be at most ${schema.maximum}, not ${String(value)}`, wayOut };
    case 'maxItems':
      return { ...own, reason: `must have at most ${schema.maxItems} entries`, wayOut };
    case 'maxProperties':
      return { ...own, reason: `must have at most ${schema.maxProperties} entries`, wayOut };
    default:
      return { ...own, reason: error.message ?? error.keyword, wayOut };
  }
}

/** What a schema's type is called to people. */
const words: Readonly<Record<string, string>> = {
  object: 'a map',
  array: 'a list',
  string: 'a text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
};

/** Path and schema of an ajv instance path (`/spec/grant/3`). */
function locate(pointer: string, root: Schema, document: Json): { readonly path: FieldPath; readonly schema: Schema } {
  const path: (string | number)[] = [];
  let schema = root;
  let value: Json | undefined = document;
  for (const part of pointer.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (Array.isArray(value)) {
      path.push(Number(key));
      schema = schema.items ?? {};
      value = value[Number(key)];
    } else {
      path.push(key);
      schema = propertyOf(schema, key) ?? {};
      value = isObject(value) ? value[key] : undefined;
    }
  }
  return { path, schema };
}

/** What the field is for; of several to choose from, which there are. */
export function wayOutOf(schema: Schema | undefined): string {
  const fields = Object.keys(schema?.properties ?? {});
  const meaning = (schema?.description ?? 'see kubectl explain').trim().replace(/\.$/, '');
  return fields.length > 1 ? `${meaning}; its fields: ${fields.join(', ')}` : meaning;
}

function typeWayOut(schema: Schema, value: Json): string {
  if (schema.type === 'string' && (typeof value === 'boolean' || typeof value === 'number')) {
    return `put it in quotes: "${String(value)}" (yes, no, on, off and numbers are no texts without)`;
  }
  if ((schema.type === 'boolean' || schema.type === 'integer') && typeof value === 'string')
    return 'write it without quotes';
  return wayOutOf(schema);
}

function knownFields(key: string, schema: Schema): string {
  const fields = Object.keys(schema.properties ?? {});
  const near =
    fields.find((field) => field.toLowerCase() === key.toLowerCase()) ??
    fields.find((field) => distance(field, key) <= 2);
  if (near !== undefined) return `did you mean ${near}?`;
  return fields.length === 0 ? 'nothing can be said here: write {}' : `there are ${fields.join(', ')}`;
}

/** How many letters must be added, removed or replaced to make one word of the other. */
function distance(one: string, two: string): number {
  let row = Array.from({ length: two.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...one].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...two].entries()) {
      const replaced = (row[j] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
