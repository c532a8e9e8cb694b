/** The most bytes of a request that the plugin takes, terminator included. */
export const pluginRequestLimit = 4095;

/** Bytes of a decoded path. */
const maxPathBytes = 1024;

/** `path` holds decoded bytes, unnormalised and not always UTF-8: judging it is the host's business. */
export type PluginRequest =
  | { readonly state: 'incomplete' }
  | { readonly state: 'refused'; readonly reason: string }
  | { readonly state: 'complete'; readonly path: Uint8Array };

const space = 0x20;
const percent = 0x25;
const slash = 0x2f;
const question = 0x3f;

/**
 * Reads a request as VMware's plugin does: not as HTTP, but as words in a buffer. It is complete when what has arrived so
 * far *ends with* an empty line; then method and path are cut out and all that follows the path is ignored. `received`
 * is everything since the connection began; nothing beyond the first 4,095 bytes is looked at.
 */
export function parsePluginRequest(received: Uint8Array): PluginRequest {
  const request = received.subarray(0, pluginRequestLimit);
  if (!endsWithEmptyLine(request)) {
    return request.length < pluginRequestLimit
      ? { state: 'incomplete' }
      : refused(`longer than ${pluginRequestLimit} bytes`);
  }
  const text = untilNul(request);
  const method = nextWord(text, 0, (byte) => byte === space);
  if (method === undefined || !isGet(method.word)) return refused('the method is not GET');
  const target = nextWord(text, method.end, (byte) => byte === space || byte === question);
  if (target === undefined) return refused('it names no path');
  const path = percentDecode(target.word);
  if (path === undefined) return refused('its path has a bad percent escape');
  if (path[0] !== slash) return refused('its path does not begin with "/"');
  if (path.length > maxPathBytes) return refused(`its path is longer than ${maxPathBytes} bytes`);
  return { state: 'complete', path };
}

function refused(reason: string): PluginRequest {
  return { state: 'refused', reason };
}

function endsWithEmptyLine(bytes: Uint8Array): boolean {
  const end = bytes.subarray(-4);
  return end.length === 4 && end[0] === 0x0d && end[1] === 0x0a && end[2] === 0x0d && end[3] === 0x0a;
}

/** The plugin handles its buffer as a C string. */
function untilNul(bytes: Uint8Array): Uint8Array {
  const nul = bytes.indexOf(0);
  return nul < 0 ? bytes : bytes.subarray(0, nul);
}

/** The next run of bytes between delimiters, any number of which may stand before it; `end` is where it stops. */
function nextWord(bytes: Uint8Array, from: number, isDelimiter: (byte: number) => boolean) {
  const rest = bytes.subarray(from);
  const begin = rest.findIndex((byte) => !isDelimiter(byte));
  if (begin < 0) return undefined;
  const length = rest.subarray(begin).findIndex(isDelimiter);
  const word = length < 0 ? rest.subarray(begin) : rest.subarray(begin, begin + length);
  return { word, end: from + begin + word.length };
}

function isGet(word: Uint8Array): boolean {
  return word.length === 3 && word[0] === 0x47 && word[1] === 0x45 && word[2] === 0x54;
}

/** `+` stays `+`. Undefined for an escape that is cut short, is not hexadecimal, or stands for NUL. */
function percentDecode(bytes: Uint8Array): Uint8Array | undefined {
  const decoded = new Uint8Array(bytes.length);
  let length = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    let byte = bytes[at] ?? 0;
    if (byte === percent) {
      byte = hexDigit(bytes[at + 1]) * 16 + hexDigit(bytes[at + 2]);
      if (!(byte > 0)) return undefined;
      at += 2;
    }
    decoded[length] = byte;
    length += 1;
  }
  return decoded.subarray(0, length);
}

/** The digit's value, NaN for anything that is no hexadecimal digit. */
function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return Number.NaN;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : Number.NaN;
}
