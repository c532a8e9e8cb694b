import { GuestStoreError } from '../lib/errors.ts';

/** Exactly one of the two, as the schema of ContentItem asks. */
export interface InlineSource {
  readonly text?: string | undefined;
  readonly base64?: string | undefined;
}

/** Parts of a v1 ConfigMap or Secret that a source reads. */
interface KeyedObject {
  readonly metadata?: { readonly namespace?: string | undefined; readonly name?: string | undefined } | undefined;
  readonly data?: Readonly<Record<string, string>> | undefined;
}

export interface ConfigMapObject extends KeyedObject {
  readonly binaryData?: Readonly<Record<string, string>> | undefined;
}

export interface SecretObject extends KeyedObject {
  /** Only in manifests: the API server turns it into `data`, over which it wins. */
  readonly stringData?: Readonly<Record<string, string>> | undefined;
}

/** Bytes of an inline source at most. */
const maxInline = 1024 * 1024;
/** Keys that a message names at most. */
const namedKeys = 10;

/** The content of `spec.source.inline`. Throws InvalidManifest naming the field, TooLarge above 1 MiB. */
export function inlineBytes({ text, base64 }: InlineSource): Uint8Array {
  const field = 'spec.source.inline';
  if ((text === undefined) === (base64 === undefined))
    throw new GuestStoreError('InvalidManifest', `${field}: give exactly one of text and base64`);
  const bytes = text === undefined ? fromBase64(base64, `${field}.base64`) : fromText(text, `${field}.text`);
  if (bytes.length > maxInline)
    throw new GuestStoreError(
      'TooLarge',
      `${field}: ${bytes.length} bytes, more than the ${maxInline} allowed; use a file or http source`,
    );
  return bytes;
}

/** One key of a ConfigMap, from `data` (as UTF-8) or `binaryData`. Throws SourceNotFound naming the keys there are. */
export function configMapBytes(configMap: ConfigMapObject, key: string): Uint8Array {
  const what = `ConfigMap ${nameOf(configMap)}`;
  const text = own(configMap.data, key);
  if (text !== undefined) return fromText(text, `${what}: data[${JSON.stringify(key)}]`);
  const base64 = own(configMap.binaryData, key);
  if (base64 !== undefined) return fromBase64(base64, `${what}: binaryData[${JSON.stringify(key)}]`);
  throw missing(what, key, configMap.data, configMap.binaryData);
}

/** One key of a Secret. Throws SourceNotFound naming the keys there are; no message holds a value. */
export function secretBytes(secret: SecretObject, key: string): Uint8Array {
  const what = `Secret ${nameOf(secret)}`;
  const text = own(secret.stringData, key);
  if (text !== undefined) return fromText(text, `${what}: stringData[${JSON.stringify(key)}]`);
  const base64 = own(secret.data, key);
  if (base64 !== undefined) return fromBase64(base64, `${what}: data[${JSON.stringify(key)}]`);
  throw missing(what, key, secret.data, secret.stringData);
}

/** Unknown, since a manifest from a folder may hold anything where the API server would have insisted on text. */
function fromText(text: unknown, field: string): Uint8Array {
  if (typeof text !== 'string')
    throw new GuestStoreError('InvalidManifest', `${field}: must be text; put it in quotes`);
  if (!text.isWellFormed())
    throw new GuestStoreError('InvalidManifest', `${field}: not valid Unicode (half a surrogate pair); use base64`);
  return Buffer.from(text, 'utf8');
}

/** RFC 4648 section 4 with padding; line breaks are allowed, as Kubernetes allows them. */
function fromBase64(text: unknown, field: string): Uint8Array {
  const joined = typeof text === 'string' ? text.replace(/[\r\n]/g, '') : undefined;
  if (joined === undefined || joined.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(joined))
    throw new GuestStoreError('InvalidManifest', `${field}: not base64; encode it, for example with "base64 -w0 FILE"`);
  return Buffer.from(joined, 'base64');
}

function own(map: Readonly<Record<string, string>> | undefined, key: string): unknown {
  return map !== undefined && map !== null && Object.hasOwn(map, key) ? map[key] : undefined;
}

function nameOf({ metadata }: KeyedObject): string {
  return `${metadata?.namespace ?? 'default'}/${metadata?.name ?? ''}`;
}

function missing(what: string, key: string, ...maps: (object | undefined)[]): GuestStoreError {
  const keys = [...new Set(maps.flatMap((map) => Object.keys(map ?? {})))].sort();
  const some = keys.slice(0, namedKeys).map((name) => JSON.stringify(name));
  const more = keys.length > namedKeys ? ` and ${keys.length - namedKeys} more` : '';
  const there = keys.length === 0 ? 'it has no keys' : `it has ${some.join(', ')}${more}`;
  return new GuestStoreError(
    'SourceNotFound',
    `${what}: no key ${JSON.stringify(key)}; ${there}. Correct the key, or add it.`,
  );
}
