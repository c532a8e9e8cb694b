import { GuestStoreError } from '../lib/errors.ts';

declare const contentPath: unique symbol;

/** A canonical content path, e.g. `/vmtools/11/setup.exe`: what is judged is what is served. */
export type ContentPath = string & { readonly [contentPath]: true };

/** Bytes of UTF-8. */
const maxPathBytes = 1024;
const maxSegmentBytes = 255;

/**
 * The path itself when it is canonical, else throws `InvalidPath` saying why: nothing is repaired. Absolute; no empty, `.`
 * or `..` segment; printable, in NFC; no `;` (it separates rules), `\`, control character, U+2028 or U+2029; at most 255
 * bytes a segment and 1,024 in all. `%` is a character like others: who decodes does it once, before.
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
  // The same characters as the schema of ContentItem refuses.
  if (/[\p{Cc}\u2028\u2029]/u.test(text)) return 'must not contain control characters or line separators';
  if (/[;\\]/.test(text)) return 'must not contain ";" or "\\"';
  if (/\/\.{0,2}(?:\/|$)/.test(text)) return 'must not have an empty, "." or ".." segment';
  if (!text.isWellFormed()) return 'must be valid Unicode';
  if (text.normalize('NFC') !== text) return 'must be in Unicode normalization form C';
  return lengthFault(text);
}

/** Counts the bytes that the text has in UTF-8, in all and between slashes, without encoding it. */
function lengthFault(text: string): string | undefined {
  let bytes = 0;
  let segmentStart = 0;
  let longest = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 0x2f) segmentStart = bytes + 1;
    // Each half of a surrogate pair stands for two of the pair's four bytes.
    bytes += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 2 : 3;
    if (bytes - segmentStart > longest) longest = bytes - segmentStart;
  }
  if (bytes > maxPathBytes) return `must be at most ${maxPathBytes} bytes of UTF-8`;
  if (longest > maxSegmentBytes) return `each segment must be at most ${maxSegmentBytes} bytes of UTF-8`;
  return undefined;
}
