import type { Json } from '../../api/compose.ts';
import type { Finding, Verdict } from '../../api/findings.ts';
import { isObject, type ManifestDocument, parseManifests } from '../../api/manifests.ts';
import type { Resource } from '../../api/resources.generated.ts';
import { keyOf } from '../../core/names.ts';

/** An object of another group that is of use here. */
export interface Helper {
  readonly kind: 'ConfigMap' | 'Secret' | 'Namespace';
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly data?: Readonly<Record<string, string>>;
  readonly binaryData?: Readonly<Record<string, string>>;
}

export type ManifestObject = Resource | Helper;

/** What a file of manifests holds; with any fault, nothing of it counts. */
export interface ManifestObjects {
  readonly objects: readonly ManifestObject[];
  readonly faults: readonly Finding[];
  /** Kinds that were passed over. */
  readonly ignored: readonly string[];
}

/** `kind namespace/name`: two objects with the same one are one object. */
export function identityOf({ kind, metadata }: ManifestObject): string {
  return `${kind} ${keyOf(metadata)}`;
}

export function readObjects(
  bytes: Uint8Array,
  file: string,
  validate: (document: ManifestDocument) => Verdict,
): ManifestObjects {
  const { documents, faults: unreadable } = parseManifests(bytes, file);
  const objects: ManifestObject[] = [];
  const faults: Finding[] = [...unreadable];
  const ignored = new Set<string>();
  for (const document of documents) {
    const verdict = validate(document);
    if (verdict.outcome === 'accepted') objects.push(verdict.resource);
    else if (verdict.outcome === 'refused') faults.push(...verdict.faults);
    else {
      const helper = verdict.apiVersion === 'v1' ? helperOf(document) : undefined;
      if (helper === undefined) ignored.add(`${verdict.apiVersion} ${verdict.kind}`);
      else if ('reason' in helper) faults.push(helper);
      else objects.push(helper);
    }
  }
  return { objects, faults, ignored: [...ignored] };
}

/** The three kinds of Kubernetes that mean something here; undefined for any other. */
function helperOf(document: ManifestDocument): Helper | Finding | undefined {
  const { value } = document;
  if (!isObject(value)) return undefined;
  const { kind, metadata } = value;
  if (kind !== 'ConfigMap' && kind !== 'Secret' && kind !== 'Namespace') return undefined;
  const fault = (path: string[], reason: string, wayOut: string): Finding => ({
    file: document.file,
    line: document.lineOf(path),
    field: path.join('.'),
    reason,
    wayOut,
  });
  if (!isObject(metadata) || typeof metadata.name !== 'string' || metadata.name === '') {
    return fault(['metadata', 'name'], 'is required', 'give the object a name');
  }
  const name = metadata.name;
  if (kind === 'Namespace') return { kind, metadata: { name, labels: textsOf(metadata.labels) ?? {} } };
  const namespace =
    typeof metadata.namespace === 'string' && metadata.namespace !== '' ? metadata.namespace : 'default';
  const maps: Record<string, Readonly<Record<string, string>>> = {};
  for (const field of ['data', 'binaryData', 'stringData']) {
    if (value[field] === undefined || value[field] === null) continue;
    const texts = textsOf(value[field]);
    if (texts === undefined)
      return fault([field], 'must be a map of strings', 'quote values that look like numbers or booleans');
    maps[field] = texts;
  }
  const { data = {}, binaryData = {}, stringData = {} } = maps;
  if (kind === 'ConfigMap') return { kind, metadata: { name, namespace }, data, binaryData };
  // As the API server does: stringData is written over data.
  const written = Object.entries(stringData).map(([key, text]) => [key, Buffer.from(text).toString('base64')]);
  return { kind, metadata: { name, namespace }, data: { ...data, ...Object.fromEntries(written) } };
}

function textsOf(value: Json | undefined): Readonly<Record<string, string>> | undefined {
  if (!isObject(value)) return undefined;
  const texts = Object.entries(value).flatMap(([key, text]) =>
    typeof text === 'string' ? [[key, text] as const] : [],
  );
  return texts.length === Object.keys(value).length ? Object.fromEntries(texts) : undefined;
}
