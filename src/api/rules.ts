import { type CelInput, type CelResult, celEnv, isCelError, parse, plan } from '@bufbuild/cel';
import { strings } from '@bufbuild/cel/ext';
import { messageOf } from '../lib/errors.ts';
import type { Json } from './compose.ts';
import { propertyOf } from './defaults.ts';
import type { FieldPath } from './findings.ts';
import { kubernetesFunctions } from './kubernetes-functions.ts';
import { isObject } from './manifests.ts';
import type { Schema, ValidationRule } from './schema.ts';

/** A rule that a value breaks. */
export interface BrokenRule {
  readonly path: FieldPath;
  readonly reason: string;
  /** Schema of the field at `path`. */
  readonly schema: Schema;
}

type Evaluate = (self: CelInput) => CelResult;

/**
 * Gives a function that finds the CEL rules of a schema that a value breaks, where `sound` says that the value at a path fits
 * the rest of its schema (a rule may rely on that). Each rule is planned once.
 */
export function createRuleCheck() {
  const env = celEnv({ funcs: [...strings, ...kubernetesFunctions] });
  const plans = new Map<string, Evaluate>();

  function evaluate({ rule }: ValidationRule, self: CelInput): CelResult {
    let planned = plans.get(rule);
    if (planned === undefined) {
      const run = plan(env, parse(rule));
      planned = (value) => run({ self: value });
      plans.set(rule, planned);
    }
    return planned(self);
  }

  return function* brokenRules(
    value: Json,
    schema: Schema,
    path: FieldPath,
    sound: (path: FieldPath) => boolean,
  ): Iterable<BrokenRule> {
    const rules = schema['x-kubernetes-validations'] ?? [];
    if (rules.length > 0 && sound(path)) {
      const self = celInput(value, schema);
      for (const rule of rules) {
        const result = evaluate(rule, self);
        if (result === true) continue;
        // A rule that cannot be evaluated refuses too; why, is the better half of its message (a pattern that does not compile).
        const reason = isCelError(result) ? `${rule.message}: ${causeOf(result)}` : rule.message;
        const blamed = (rule.fieldPath ?? '').split('.').filter((part) => part !== '');
        const schemaThere = blamed.reduce((outer, key) => propertyOf(outer, key) ?? outer, schema);
        yield { path: [...path, ...blamed], reason, schema: schemaThere };
      }
    }
    if (Array.isArray(value)) {
      for (const [index, item] of value.entries()) {
        yield* brokenRules(item, schema.items ?? {}, [...path, index], sound);
      }
    } else if (isObject(value)) {
      for (const [key, inner] of Object.entries(value)) {
        const property = propertyOf(schema, key);
        if (property !== undefined) yield* brokenRules(inner, property, [...path, key], sound);
      }
    }
  };
}

function causeOf(error: Error): string {
  return messageOf(error.cause ?? error);
}

/** CEL tells integers from other numbers; the schema says which a number is. Fields that it does not know are left out. */
function celInput(value: Json, schema: Schema): CelInput {
  if (Array.isArray(value)) return value.map((item: Json) => celInput(item, schema.items ?? {}));
  if (isObject(value)) {
    // The schema says nothing of metadata; rules may know of its name.
    const entries = Object.entries(value).flatMap(([key, inner]): [string, CelInput][] => {
      const property = propertyOf(schema, key);
      return property === undefined ? [] : [[key, key === 'metadata' ? nameOnly(inner) : celInput(inner, property)]];
    });
    return new Map(entries);
  }
  if (typeof value === 'number') return Number.isInteger(value) && schema.type !== 'number' ? BigInt(value) : value;
  return value as string | boolean | null;
}

function nameOnly(metadata: Json): CelInput {
  const name = isObject(metadata) && typeof metadata.name === 'string' ? metadata.name : '';
  return new Map([['name', name]]);
}
