import type { Json } from '../../api/compose.ts';
import { withDefaults } from '../../api/defaults.ts';
import type { Kind } from '../../api/resources.generated.ts';
import type { Schema } from '../../api/schema.ts';
import { schemas } from '../../api/schemas.generated.ts';
import type { KubeObject, Stored } from '../../kube/objects.ts';

type Fields = Readonly<Record<string, unknown>>;

/**
 * What stands in for a field that is missing: something that is refused by name where it is looked at. A selector has none:
 * what is missing might select anything, so that the last good rules stay.
 */
const standIns: Readonly<Record<Kind, Fields>> = {
  ClusterVMAccessPolicy: {},
  ContentItem: { repositoryRef: { name: '' }, path: '', source: {} },
  GuestStoreDatastore: { namespaces: [] },
  GuestStoreHost: {},
  GuestStoreRepository: { datastore: '' },
  GuestVM: { channel: {} },
  VMAccessPolicy: {},
};

export interface Completed<T extends KubeObject> {
  readonly object: Stored<T>;
  /** What its schema promises and it lacks, or has as something else. */
  readonly lacks: readonly string[];
}

/**
 * An object as its schema promises it. The server judges what is written and not what it has: an object may be older than
 * the schema of its kind.
 */
export function complete<T extends KubeObject>(kind: Kind, stored: Stored<T>): Completed<T> {
  const given = stored as Stored<T> & { readonly spec?: unknown; readonly status?: unknown };
  const { properties = {}, required = [] } = schemas[kind].properties?.spec ?? {};
  const spec = isRecord(given.spec) ? given.spec : {};
  const missing = required.filter((name) => spec[name] === undefined);
  const mistyped = Object.keys(spec).filter((name) => !fits(spec[name], properties[name]));
  if (missing.length + mistyped.length === 0 && isRecord(given.spec) && isRecord(given.status))
    return { object: stored, lacks: [] };

  const lacks = [...missing, ...mistyped].map((name) => `spec.${name}`);
  const wrong = new Set(mistyped.length > 0 ? [...mistyped, 'vmSelector'] : []);
  const well = Object.fromEntries(Object.entries(spec).filter(([name]) => !wrong.has(name)));
  const whole = { ...given, spec: { ...standIns[kind], ...well }, status: isRecord(given.status) ? given.status : {} };
  return { object: withDefaults(whole as unknown as Json, schemas[kind]) as unknown as Stored<T>, lacks };
}

function fits(value: unknown, schema: Schema | undefined): boolean {
  switch (schema?.type) {
    case 'object':
      return isRecord(value);
    case 'array':
      return Array.isArray(value);
    case 'string':
    case 'boolean':
      return typeof value === schema.type;
    default:
      return true;
  }
}

function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
