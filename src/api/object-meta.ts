import type { Json } from './compose.ts';
import type { FieldPath } from './findings.ts';
import { isObject } from './manifests.ts';

/** Something that the API server refuses in an object's metadata. */
export interface MetadataFault {
  readonly path: FieldPath;
  readonly reason: string;
  readonly wayOut: string;
}

const dnsLabel = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const dnsSubdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const qualifiedPart = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;
const time = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[-+]\d{2}:\d{2})$/;

/** Bytes of all annotations together. */
const maxAnnotations = 256 * 1024;

type Type = 'text' | 'texts' | 'map' | 'number' | 'time' | 'owners' | 'managers';

/** Fields of metadata and what they hold. */
const fields: Readonly<Record<string, Type>> = {
  name: 'text',
  generateName: 'text',
  namespace: 'text',
  selfLink: 'text',
  uid: 'text',
  resourceVersion: 'text',
  generation: 'number',
  creationTimestamp: 'time',
  deletionTimestamp: 'time',
  deletionGracePeriodSeconds: 'number',
  labels: 'map',
  annotations: 'map',
  ownerReferences: 'owners',
  finalizers: 'texts',
  managedFields: 'managers',
};

const ownerFields = ['apiVersion', 'kind', 'name', 'uid', 'controller', 'blockOwnerDeletion'];

/** What the API server refuses in `metadata`, whatever the kind. */
export function* metadataFaults(metadata: Json | undefined, namespaced: boolean): Iterable<MetadataFault> {
  if (!isObject(metadata)) {
    yield fault(['metadata', 'name'], 'is required', 'write metadata: {name: ...}');
    return;
  }
  for (const [key, value] of Object.entries(metadata)) yield* fieldFaults(key, value);
  yield* nameFaults(metadata);
  const { namespace } = metadata;
  if (namespaced && typeof namespace === 'string' && namespace !== '' && !isDnsLabel(namespace)) {
    yield fault(['metadata', 'namespace'], `${show(namespace)} is not the name of a namespace`, dnsLabelWords);
  }
  if (isObject(metadata.labels)) yield* labelFaults(metadata.labels);
  if (isObject(metadata.annotations)) yield* annotationFaults(metadata.annotations);
  if (Array.isArray(metadata.finalizers)) yield* finalizerFaults(metadata.finalizers);
}

function* nameFaults({ name, generateName }: { readonly [key: string]: Json }): Iterable<MetadataFault> {
  const path = ['metadata', 'name'];
  if ((name ?? '') === '') {
    const wayOut =
      (generateName ?? '') === '' ? 'give the object a name' : 'give a name: generateName cannot be applied twice';
    yield fault(path, 'is required', wayOut);
  } else if (typeof name === 'string' && (name.length > 253 || !dnsSubdomain.test(name))) {
    yield fault(path, `${show(name)} is not the name of an object`, dnsSubdomainWords);
  }
}

function* labelFaults(labels: { readonly [key: string]: Json }): Iterable<MetadataFault> {
  for (const [key, value] of Object.entries(labels)) {
    const path = ['metadata', 'labels', key];
    if (!isQualifiedName(key)) yield fault(path, `${show(key)} is not the key of a label`, qualifiedNameWords);
    if (typeof value === 'string' && (value.length > 63 || !labelValue.test(value))) {
      yield fault(path, `${show(value)} is not the value of a label`, 'up to 63 letters, digits, "-", "_" and "."');
    }
  }
}

function* annotationFaults(annotations: { readonly [key: string]: Json }): Iterable<MetadataFault> {
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations)) {
    if (!isQualifiedName(key.toLowerCase())) {
      yield fault(['metadata', 'annotations', key], `${show(key)} is not the key of an annotation`, qualifiedNameWords);
    }
    bytes += byteLength(key) + (typeof value === 'string' ? byteLength(value) : 0);
  }
  if (bytes > maxAnnotations) {
    yield fault(['metadata', 'annotations'], `are ${bytes} bytes, more than 256 KiB`, 'keep large data elsewhere');
  }
}

function* finalizerFaults(finalizers: readonly Json[]): Iterable<MetadataFault> {
  for (const [index, name] of finalizers.entries()) {
    if (typeof name === 'string' && !isQualifiedName(name)) {
      yield fault(
        ['metadata', 'finalizers', index],
        `${show(name)} is not the name of a finalizer`,
        qualifiedNameWords,
      );
    }
  }
}

/** Types, and fields that metadata does not have. A null counts as absent. */
function* fieldFaults(key: string, value: Json): Iterable<MetadataFault> {
  const path = ['metadata', key];
  const type = Object.hasOwn(fields, key) ? fields[key] : undefined;
  if (type === undefined) {
    yield fault(
      path,
      'is not a field of metadata',
      `remove it; there are ${Object.keys(fields).slice(0, 3).join(', ')} and others`,
    );
  } else if (value === null) {
    return;
  } else if (type === 'map' && isObject(value)) {
    for (const [inner, text] of Object.entries(value)) {
      if (text !== null && typeof text !== 'string') yield mustBeText([...path, inner], text);
    }
  } else if (type === 'texts' && Array.isArray(value)) {
    for (const [index, text] of value.entries()) if (typeof text !== 'string') yield mustBeText([...path, index], text);
  } else if (type === 'owners' && Array.isArray(value)) {
    for (const [index, owner] of value.entries()) yield* ownerFaults([...path, index], owner);
  } else if (type === 'text' && typeof value !== 'string') {
    yield mustBeText(path, value);
  } else if (type === 'time' && (typeof value !== 'string' || !time.test(value))) {
    yield fault(path, 'must be a time', 'write it as 2026-01-31T12:00:00Z, or remove it: the API server sets it');
  } else if (type === 'number' && !Number.isInteger(value)) {
    yield fault(path, 'must be a whole number', 'remove it: the API server sets it');
  } else if (
    (type === 'map' && !isObject(value)) ||
    (/^(texts|owners|managers)$/.test(type) && !Array.isArray(value))
  ) {
    yield fault(
      path,
      `must be a ${type === 'map' ? 'map of texts' : 'list'}, not ${typeName(value)}`,
      'see kubectl explain',
    );
  }
}

function* ownerFaults(path: FieldPath, owner: Json): Iterable<MetadataFault> {
  if (!isObject(owner)) {
    yield fault(path, `must be a map, not ${typeName(owner)}`, `give ${ownerFields.slice(0, 4).join(', ')}`);
    return;
  }
  for (const field of ownerFields.slice(0, 4)) {
    if ((owner[field] ?? '') === '') yield fault([...path, field], 'is required', 'name the owner whole');
  }
  for (const key of Object.keys(owner)) {
    if (!ownerFields.includes(key))
      yield fault([...path, key], 'is not a field of an owner', `there are ${ownerFields.join(', ')}`);
  }
}

function mustBeText(path: FieldPath, value: Json): MetadataFault {
  return fault(path, `must be a text, not ${typeName(value)}`, `put it in quotes: ${JSON.stringify(String(value))}`);
}

function fault(path: FieldPath, reason: string, wayOut: string): MetadataFault {
  return { path, reason, wayOut };
}

const dnsLabelWords = 'up to 63 small letters, digits and "-", with a letter or digit first and last';
const dnsSubdomainWords =
  'up to 253 small letters, digits, "-" and ".", with a letter or digit first and last in each part';
const qualifiedNameWords = 'up to 63 letters, digits, "-", "_" and ".", after an optional domain and "/"';

function isDnsLabel(text: string): boolean {
  return text.length <= 63 && dnsLabel.test(text);
}

/** An optional DNS domain and `/`, then a name: keys of labels and annotations, names of finalizers. */
export function isQualifiedName(text: string): boolean {
  const parts = text.split('/');
  const name = parts.at(-1) ?? '';
  const domain = parts.length === 2 ? parts[0] : undefined;
  if (parts.length > 2 || name.length > 63 || !qualifiedPart.test(name)) return false;
  return domain === undefined || (domain.length <= 253 && dnsSubdomain.test(domain));
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** A text in quotes, shortened: whatever stands in a manifest must not flood a message. */
export function show(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text);
}

/** How a value is called to people. */
export function typeName(value: Json): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'number') return Number.isInteger(value) ? 'a whole number' : 'a fraction';
  return { string: 'a text', boolean: 'true or false' }[typeof value as string] ?? 'a map';
}
