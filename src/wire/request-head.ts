/** Bounds on a request head, in bytes. */
export interface HeadLimits {
  /** The request line without its line end; a longer one is 414. */
  readonly line: number;
  /** The whole head with its empty line; a longer one is 431. */
  readonly head: number;
  /** The decoded path; a longer one is 414. */
  readonly path: number;
}

/** The longest request line of VMware's own client has 3,085 bytes: 1,023 escaped characters behind a `/`. */
export const headLimits: HeadLimits = { line: 4096, head: 8192, path: 1024 };

/** What a request asks for. The path is decoded once and stands here as asked: whether it is canonical is not judged. */
export interface RequestHead {
  readonly path: string;
  /** No header fields at all, as VMware's own client sends it. */
  readonly bare: boolean;
  /** HTTP/1.1 or HTTP/1.0. */
  readonly minor: 0 | 1;
  /** Field names in lower case; several lines of one name joined by `, `. */
  readonly fields: ReadonlyMap<string, string>;
}

export type RefusalStatus = 400 | 405 | 413 | 414 | 431 | 501 | 505;

/** Why a request is not even looked at: `reason` is a constant phrase for the log. */
export interface HeadRefusal {
  readonly status: RefusalStatus;
  readonly reason: string;
}

export type HeadResult =
  | { readonly state: 'incomplete' }
  /** `end` is the offset behind the head. */
  | { readonly state: 'request'; readonly request: RequestHead; readonly end: number }
  | { readonly state: 'refused'; readonly refusal: HeadRefusal };

const tab = 0x09;
const lf = 0x0a;
const cr = 0x0d;
const space = 0x20;
const percent = 0x25;
const slash = 0x2f;
const colon = 0x3a;
const question = 0x3f;

const incomplete: HeadResult = { state: 'incomplete' };
const noFields: ReadonlyMap<string, string> = new Map();

/** RFC 9110, section 9, and PATCH: known, and refused with 405; whatever else is 501. */
const otherMethods = new Set(['HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH']);

/** Bytes that may stand in a method or a field name (RFC 9110, `token`). */
const tokenBytes = new Uint8Array(256);
for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
  tokenBytes[character.charCodeAt(0)] = 1;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads one request head from the first `length` of `bytes`. The first `scanned` of them were seen by an earlier call
 * that said `incomplete`, so a head that drips in costs no more than one that comes at once.
 *
 * Stricter than RFC 9112 where leniency would be a way to smuggle: line ends are CR LF only, a bare CR, a bare LF, a NUL
 * or a folded field is refused at sight. Laxer in the one point that VMware's own client needs: no Host field is asked
 * for, and the target may hold any UTF-8.
 */
export function readRequestHead(
  bytes: Buffer,
  length: number,
  scanned = 0,
  limits: HeadLimits = headLimits,
): HeadResult {
  // A byte is judged together with the one before it, which an earlier call may have seen.
  let previous = scanned === 0 ? 0 : (bytes[scanned - 1] as number);
  for (let at = scanned; at < length; at += 1) {
    const byte = bytes[at] as number;
    if (byte === lf) {
      if (previous !== cr) return refuse(400, 'line end without CR');
      if (at >= 3 && bytes[at - 2] === lf) {
        return at < limits.head ? readHead(bytes, at + 1, limits) : refuse(431, 'head too long');
      }
    } else if (previous === cr) {
      return refuse(400, 'bare CR');
    } else if (byte === 0) {
      return refuse(400, 'NUL in head');
    }
    previous = byte;
  }
  if (length > limits.line + 1) {
    const lineEnd = bytes.indexOf(lf);
    if (lineEnd === -1 || lineEnd > limits.line + 1) return refuse(414, 'request line too long');
  }
  return length < limits.head ? incomplete : refuse(431, 'head too long');
}

/** `end` is behind the empty line; line ends are known to be CR LF. */
function readHead(bytes: Buffer, end: number, limits: HeadLimits): HeadResult {
  // RFC 9112 section 2.2 asks servers to pass over an empty line before the request line.
  const start = bytes[0] === cr ? 2 : 0;
  const lineEnd = bytes.indexOf(cr, start);
  if (lineEnd - start > limits.line) return refuse(414, 'request line too long');
  const methodEnd = bytes.indexOf(space, start);
  if (methodEnd <= start || methodEnd > lineEnd || !isToken(bytes, start, methodEnd)) {
    return refuse(400, 'malformed request line');
  }
  const targetEnd = bytes.indexOf(space, methodEnd + 1);
  if (targetEnd <= methodEnd + 1 || targetEnd > lineEnd) return refuse(400, 'malformed request line');
  const version = bytes.toString('latin1', targetEnd + 1, lineEnd);
  if (!/^HTTP\/\d\.\d$/.test(version)) return refuse(400, 'malformed request line');

  const fields = readFields(bytes, lineEnd + 2, end - 2);
  if (typeof fields === 'string') return refuse(400, fields);
  if (version !== 'HTTP/1.1' && version !== 'HTTP/1.0') return refuse(505, 'HTTP version not supported');
  const method = bytes.toString('latin1', start, methodEnd);
  if (method !== 'GET') {
    return otherMethods.has(method) ? refuse(405, 'method not allowed') : refuse(501, 'method not known');
  }
  const body = bodyFault(fields);
  if (body !== undefined) return { state: 'refused', refusal: body };

  const path = decodeTarget(bytes, methodEnd + 1, targetEnd, limits);
  if (typeof path !== 'string') return { state: 'refused', refusal: path };
  const minor = version === 'HTTP/1.1' ? 1 : 0;
  return { state: 'request', request: { path, bare: fields.size === 0, minor, fields }, end };
}

/** The fields between `start` and `end`, or what is wrong with them. */
function readFields(bytes: Buffer, start: number, end: number): ReadonlyMap<string, string> | string {
  if (start === end) return noFields;
  const fields = new Map<string, string>();
  for (let at = start; at < end; ) {
    const lineEnd = bytes.indexOf(cr, at);
    if (bytes[at] === space || bytes[at] === tab) return 'folded field';
    const nameEnd = bytes.indexOf(colon, at);
    if (nameEnd <= at || nameEnd > lineEnd || !isToken(bytes, at, nameEnd)) return 'malformed field';
    if (holdsControl(bytes, nameEnd + 1, lineEnd)) return 'control character in field';
    const name = bytes.toString('latin1', at, nameEnd).toLowerCase();
    const value = bytes.toString('latin1', nameEnd + 1, lineEnd).replace(/^[ \t]+|[ \t]+$/g, '');
    const before = fields.get(name);
    if (before !== undefined && name === 'host') return 'more than one Host';
    fields.set(name, before === undefined ? value : `${before}, ${value}`);
    at = lineEnd + 2;
  }
  return fields;
}

/** Nothing that is served has a use for a body, and a body that two parsers measure differently is how to smuggle one. */
function bodyFault(fields: ReadonlyMap<string, string>): HeadRefusal | undefined {
  if (fields.has('transfer-encoding')) return { status: 400, reason: 'transfer coding in request' };
  const length = fields.get('content-length');
  if (length === undefined || /^0+$/.test(length)) return undefined;
  if (/^\d+$/.test(length)) return { status: 413, reason: 'body in request' };
  return { status: 400, reason: 'malformed Content-Length' };
}

/** The path of an origin-form target: query dropped, `%XX` decoded once, UTF-8. */
function decodeTarget(bytes: Buffer, start: number, end: number, limits: HeadLimits): string | HeadRefusal {
  if (bytes[start] !== slash) return { status: 400, reason: 'target does not begin with "/"' };
  let stop = start;
  let escapes = 0;
  let ascii = true;
  for (; stop < end && bytes[stop] !== question; stop += 1) {
    const byte = bytes[stop] as number;
    if (byte === percent) escapes += 1;
    else if (byte >= 0x80) ascii = false;
  }
  if (stop - start - 2 * escapes > limits.path) return { status: 414, reason: 'path too long' };
  if (escapes === 0 && ascii) return bytes.toString('latin1', start, stop);

  const decoded = Buffer.allocUnsafe(stop - start);
  let length = 0;
  for (let at = start; at < stop; at += 1) {
    const byte = bytes[at] as number;
    if (byte !== percent) {
      decoded[length++] = byte;
      continue;
    }
    const value = at + 2 < stop ? hexValue(bytes[at + 1] as number) * 16 + hexValue(bytes[at + 2] as number) : -1;
    if (!(value > 0)) return { status: 400, reason: value === 0 ? 'NUL in target' : 'malformed escape in target' };
    decoded[length++] = value;
    at += 2;
  }
  try {
    return utf8.decode(decoded.subarray(0, length));
  } catch {
    return { status: 400, reason: 'target is not UTF-8' };
  }
}

/** NaN for what is no hexadecimal digit. */
function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : Number.NaN;
}

/** The first line of what came in, at most 256 characters, in printable ASCII: guests choose it, people read it. */
export function printableLine(bytes: Buffer, length: number): string {
  const lineEnd = bytes.subarray(0, length).indexOf(lf);
  const line = bytes.toString('latin1', 0, Math.min(lineEnd === -1 ? length : lineEnd, 256)).replace(/\r$/, '');
  return line.replace(/[^ -~]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

function isToken(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if (tokenBytes[bytes[at] as number] === 0) return false;
  return true;
}

function holdsControl(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] as number;
    if ((byte < space && byte !== tab) || byte === 0x7f) return true;
  }
  return false;
}

function refuse(status: RefusalStatus, reason: string): HeadResult {
  return { state: 'refused', refusal: { status, reason } };
}
