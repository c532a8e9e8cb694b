import { GuestStoreError } from '../lib/errors.ts';

declare const contentPath: unique symbol;

/** A canonical content path, e.g. `/vmtools/11/setup.exe`: what is judged is what is served. */
export type ContentPath = string & { readonly [contentPath]: true };

/** Bytes of UTF-8. */
const maxPathBytes = 1024;
const maxSegmentBytes = 255;

const encoder = new TextEncoder();

/**
 * The path itself when it is canonical, else throws `InvalidPath` saying why: nothing is repaired. Absolute; no empty, `.`
 * or `..` segment; printable, in NFC; no `;` (it separates rules), `\`, control character, U+2028 or U+2029; at most 255
 * bytes a segment and 1,024 in all. (DESIGN section 4, ContentItem.)
 */
export function parseContentPath(text: string): ContentPath {
  const fault = faultOf(text);
  if (fault !== undefined) throw new GuestStoreError('InvalidPath', `content path ${JSON.stringify(text)}: ${fault}`);
  return text as ContentPath;
}

/**
 * The content path that a request names: a directory (trailing `/`) is answered by its `metadata.json`, and the rules
 * judge that. Throws `InvalidPath`.
 */
export function resolveRequestPath(text: string): ContentPath {
  return parseContentPath(text.endsWith('/') ? `${text}metadata.json` : text);
}

function faultOf(text: string): string | undefined {
  if (!text.startsWith('/')) return 'must begin with "/"';
  if (/[\p{Cc}\u2028\u2029]/u.test(text)) return 'must not contain control characters or line separators';
  if (/[;\\]/.test(text)) return 'must not contain ";" or "\\"';
  if (!text.isWellFormed()) return 'must be valid Unicode';
  if (text.normalize('NFC') !== text) return 'must be in Unicode normalization form C';
  if (encoder.encode(text).length > maxPathBytes) return `must be at most ${maxPathBytes} bytes of UTF-8`;
  for (const segment of text.slice(1).split('/')) {
    if (segment === '' || segment === '.' || segment === '..') return 'must not have an empty, "." or ".." segment';
    if (encoder.encode(segment).length > maxSegmentBytes)
      return `each segment must be at most ${maxSegmentBytes} bytes of UTF-8`;
  }
  return undefined;
}
