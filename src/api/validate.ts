import type { Json } from './compose.ts';
import { withDefaults } from './defaults.ts';
import { type FieldPath, type Finding, fieldName, type Verdict } from './findings.ts';
import { isObject, type ManifestDocument } from './manifests.ts';
import { isQualifiedName, metadataFaults, typeName } from './object-meta.ts';
import { createSchemaCheck, wayOutOf } from './openapi.ts';
import { apiGroup, apiVersion, type Kind, kinds, type Resource } from './resources.generated.ts';
import { createRuleCheck } from './rules.ts';
import { schemas } from './schemas.generated.ts';

/** Judges one document. */
export type Validate = (document: ManifestDocument) => Verdict;

type JsonObject = { readonly [key: string]: Json };

/**
 * Gives the function that judges documents as the API server would with `fieldValidation=Strict`: metadata, schema, unknown fields
 * and CEL rules, all faults at once. Schemas and rules are compiled when their kind is first met, and kept.
 */
export function createValidate(): Validate {
  const schemaFaults = createSchemaCheck(schemas);
  const brokenRules = createRuleCheck();

  return (document) => {
    const finding = (path: FieldPath, reason: string, wayOut: string): Finding => ({
      file: document.file,
      line: document.lineOf(path),
      field: fieldName(path),
      reason,
      wayOut,
    });
    const { value } = document;
    const typed = kindOf(value);
    if ('foreign' in typed) return { outcome: 'foreign', ...typed.foreign };
    if ('path' in typed) {
      const faults = [finding(typed.path, typed.reason, typed.wayOut)];
      return { outcome: 'refused', kind: undefined, ...nameOf(value), faults, warnings: document.warnings };
    }

    const { kind, object } = typed;
    const schema = schemas[kind];
    const defaulted = withDefaults(object, schema);
    const misfits = schemaFaults(kind, defaulted);
    const sound = (path: FieldPath) =>
      path[0] !== 'status' && !misfits.some((misfit) => !misfit.unknown && startsWith(misfit.path, path));
    const faults = [
      ...Array.from(metadataFaults(object.metadata, kinds[kind].namespaced), ({ path, reason, wayOut }) =>
        finding(path, reason, wayOut),
      ),
      ...misfits.map(({ path, reason, wayOut }) => finding(path, reason, wayOut)),
      ...Array.from(brokenRules(defaulted, schema, [], sound), (broken) =>
        finding(broken.path, broken.reason, wayOutOf(broken.schema)),
      ),
    ];
    const warnings = [...document.warnings, ...Array.from(doubts(kind, defaulted), (doubt) => finding(...doubt))];
    if (faults.length > 0) return { outcome: 'refused', kind, ...nameOf(object), faults, warnings };
    return { outcome: 'accepted', resource: resourceOf(kind, defaulted), warnings };
  };
}

type Typed =
  | { readonly kind: Kind; readonly object: JsonObject }
  | { readonly foreign: { readonly apiVersion: string; readonly kind: string } }
  | { readonly path: FieldPath; readonly reason: string; readonly wayOut: string };

/** What a document claims to be. */
function kindOf(value: Json): Typed {
  if (!isObject(value)) {
    return { path: [], reason: `must be a map, not ${typeName(value)}`, wayOut: 'begin with apiVersion and kind' };
  }
  const { apiVersion: version, kind } = value;
  for (const [field, given] of [
    ['apiVersion', version],
    ['kind', kind],
  ] as const) {
    if (typeof given === 'string' && given !== '') continue;
    return { path: [field], reason: 'is required', wayOut: `write apiVersion: ${apiVersion} and a kind of it` };
  }
  const group = String(version).split('/')[0];
  if (group !== apiGroup) return { foreign: { apiVersion: String(version), kind: String(kind) } };
  if (version !== apiVersion) {
    return { path: ['apiVersion'], reason: `there is no ${String(version)}`, wayOut: `write ${apiVersion}` };
  }
  if (typeof kind === 'string' && Object.hasOwn(kinds, kind)) return { kind: kind as Kind, object: value };
  return {
    path: ['kind'],
    reason: `there is no kind ${String(kind)} in ${apiVersion}`,
    wayOut: `there are ${Object.keys(kinds).join(', ')}`,
  };
}

function nameOf(value: Json): { readonly name: string | undefined; readonly namespace: string | undefined } {
  const metadata = isObject(value) && isObject(value.metadata) ? value.metadata : {};
  return {
    name: typeof metadata.name === 'string' ? metadata.name : undefined,
    namespace: typeof metadata.namespace === 'string' ? metadata.namespace : undefined,
  };
}

function startsWith(path: FieldPath, start: FieldPath): boolean {
  return start.every((part, index) => path[index] === part);
}

/** The checks above have made sure that the value is what the generated type says. */
function resourceOf(kind: Kind, defaulted: Json): Resource {
  const object = defaulted as JsonObject;
  const { namespace, ...metadata } = object.metadata as JsonObject;
  return {
    ...object,
    // As with kubectl, whose context says "default" unless told otherwise.
    metadata: kinds[kind].namespaced ? { ...metadata, namespace: namespace || 'default' } : metadata,
    status: schemas[kind].properties?.status?.default ?? {},
  } as unknown as Resource;
}

type Doubt = readonly [path: FieldPath, reason: string, wayOut: string];

/** What the API server lets pass although it will not do what its author hopes for. */
function* doubts(kind: Kind, object: Json): Iterable<Doubt> {
  const spec = isObject(object) && isObject(object.spec) ? object.spec : {};
  const metadata = isObject(object) && isObject(object.metadata) ? object.metadata : {};
  const path = { ContentItem: 'path', GuestStoreRepository: 'root' }[kind as string];
  const text = path === undefined ? undefined : spec[path];
  if (path !== undefined && typeof text === 'string' && text.normalize('NFC') !== text) {
    yield [
      ['spec', path],
      'is not in Unicode normalization form C, so no request can name it (InvalidPath)',
      `write ${JSON.stringify(text.normalize('NFC'))}, with composed characters`,
    ];
  }
  for (const selector of ['vmSelector', 'namespaceSelector']) {
    const labels = isObject(spec[selector]) && isObject(spec[selector].matchLabels) ? spec[selector].matchLabels : {};
    for (const key of Object.keys(labels)) {
      if (isQualifiedName(key)) continue;
      yield [
        ['spec', selector, 'matchLabels', key],
        'no object can bear a label with this key',
        'such as tier or example.com/tier',
      ];
    }
  }
  if ((metadata.resourceVersion ?? '') !== '') {
    yield [['metadata', 'resourceVersion'], 'the API server refuses it unless it is the current one', 'remove it'];
  }
}
