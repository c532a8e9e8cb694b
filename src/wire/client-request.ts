/** Bytes of a content path, before escaping. */
const maxPathBytes = 1024;

const encoder = new TextEncoder();
const hex = '0123456789ABCDEF';

/** Why VMware's client would send nothing for this path, or undefined when it would. */
export function faultOfClientPath(path: Uint8Array): string | undefined {
  if (path[0] !== 0x2f) return 'must begin with "/"';
  if (path.length > maxPathBytes) return `must be at most ${maxPathBytes} bytes, has ${path.length}`;
  return undefined;
}

/**
 * The request that VMware's client sends, byte for byte: no header, and exactly three bytes of the path escaped (space,
 * `%`, `?`). All others go as they are, line ends and invalid UTF-8 too.
 */
export function encodeClientRequest(path: Uint8Array): Uint8Array {
  return encode(path, (byte) => byte === 0x20 || byte === 0x25 || byte === 0x3f);
}

/**
 * The same request for the host's HTTP channel. Every byte is escaped that a stricter reader might take for something
 * else, so that it decodes exactly `path`.
 */
export function encodeChannelRequest(path: Uint8Array): Uint8Array {
  return encode(path, (byte) => !plain.has(byte));
}

/** RFC 3986's unreserved characters, and the slash. */
const plain = new Set(encoder.encode('/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'));

function encode(path: Uint8Array, isEscaped: (byte: number) => boolean): Uint8Array {
  const target: number[] = [];
  for (const byte of path) {
    if (isEscaped(byte)) target.push(0x25, hex.charCodeAt(byte >> 4), hex.charCodeAt(byte & 15));
    else target.push(byte);
  }
  const before = encoder.encode('GET ');
  const after = encoder.encode(' HTTP/1.1\r\n\r\n');
  const request = new Uint8Array(before.length + target.length + after.length);
  request.set(before);
  request.set(target, before.length);
  request.set(after, before.length + target.length);
  return request;
}
