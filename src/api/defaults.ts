import type { Json } from './compose.ts';
import { isObject } from './manifests.ts';
import type { Schema } from './schema.ts';

/**
 * The value as the API server would keep it: missing fields get their defaults, from the outside in, and a null where none
 * is allowed counts as missing.
 */
export function withDefaults(value: Json, schema: Schema): Json {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items === undefined) return value;
    return value.map((item: Json) => withDefaults(item === null ? defaultOf(items) : item, items));
  }
  if (!isObject(value)) return value;
  const fields = new Map(Object.entries(value));
  for (const [key, property] of Object.entries(schema.properties ?? {})) {
    if (property.default !== undefined && (fields.get(key) ?? null) === null) fields.set(key, defaultOf(property));
  }
  for (const [key, inner] of fields) {
    const property = propertyOf(schema, key);
    if (property === undefined) continue;
    if (inner === null) fields.delete(key);
    else fields.set(key, withDefaults(inner, property));
  }
  return Object.fromEntries(fields);
}

/** The schema of one property; undefined for an unknown one. */
export function propertyOf(schema: Schema, key: string): Schema | undefined {
  const { properties = {} } = schema;
  return Object.hasOwn(properties, key) ? properties[key] : schema.additionalProperties;
}

function defaultOf(schema: Schema): Json {
  return (schema.default ?? null) as Json;
}
