import { Ajv, type ValidateFunction } from 'ajv';
import { expect } from 'vitest';
import { createSchemaCheck } from '../../src/api/openapi.ts';
import type { Kind } from '../../src/api/resources.generated.ts';
import { schemas } from '../../src/api/schemas.generated.ts';
import type { Condition } from '../../src/core/conditions.ts';
import { type Shown, statusFaults } from '../../src/core/status-faults.ts';

const ajv = new Ajv({ allErrors: true, strict: false, formats: { int32: true, int64: true, 'date-time': true } });
const fieldFaults = createSchemaCheck(schemas);
const compiled = new Map<Kind, ValidateFunction>();

/** What tests put where it must never come to light: into Secrets, and into what servers send. */
const neverShown = ['hush', 'secret of the server'];

/** All that is wrong with an object's status: what the API server would refuse, and what breaks a promise. */
export function faultsOfStatus(kind: Kind, object: Shown, before?: Shown): readonly string[] {
  const { status = {} } = object;
  const text = JSON.stringify(status);
  const check = compiled.get(kind) ?? ajv.compile(schemas[kind].properties?.status ?? {});
  compiled.set(kind, check);
  check(JSON.parse(text));
  const misfits = (check.errors ?? []).map(({ instancePath, message }) => `${instancePath}: ${message}`);
  const strays = fieldFaults(kind, { status: JSON.parse(text) })
    .filter(({ unknown }) => unknown)
    .map(({ path }) => `${path.join('.')} is no field of it`);
  const told = neverShown.filter((secret) => text.includes(secret)).map((secret) => `"${secret}" came to light`);
  return [...misfits, ...strays, ...told, ...statusFaults(kind, object, before)];
}

/** Insists on all of it, and gives the conditions. */
export function checkStatus(kind: Kind, what: string, object: Shown): readonly Condition[] {
  expect(faultsOfStatus(kind, object), `${kind} ${what}: ${JSON.stringify(object.status)}`).toEqual([]);
  return object.status?.conditions ?? [];
}
