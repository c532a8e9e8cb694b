// kubectl reads YAML 1.1 through Go's yaml.v2. What an unquoted word means there is decided here, case by case, so that a
// manifest means the same to this program as to the API server.

export type Scalar = string | number | boolean | null;

const words = new Map<string, Scalar>([
  ...['y', 'Y', 'yes', 'Yes', 'YES', 'true', 'True', 'TRUE', 'on', 'On', 'ON'].map((word) => [word, true] as const),
  ...['n', 'N', 'no', 'No', 'NO', 'false', 'False', 'FALSE', 'off', 'Off', 'OFF'].map((word) => [word, false] as const),
  ...['', '~', 'null', 'Null', 'NULL'].map((word) => [word, null] as const),
  ...['.nan', '.NaN', '.NAN'].map((word) => [word, Number.NaN] as const),
  ...['.inf', '.Inf', '.INF', '+.inf', '+.Inf', '+.INF'].map((word) => [word, Number.POSITIVE_INFINITY] as const),
  ...['-.inf', '-.Inf', '-.INF'].map((word) => [word, Number.NEGATIVE_INFINITY] as const),
]);

/** Tags that ask for a kind of value; any other tag leaves the text as it stands. */
const resolvable = new Set(['!!str', '!!bool', '!!int', '!!float', '!!null', '!!timestamp']);

/** The value of a scalar. `tag` is as written (`!!int`), undefined for none. Throws a plain Error when the text does not fit it. */
export function resolveScalar(text: string, plain: boolean, tag: string | undefined): Scalar {
  const short = tag?.replace(/^!<tag:yaml\.org,2002:(.*)>$/, '!!$1');
  if (short === '!!binary') return binary(text);
  if (short === undefined) return plain ? plainValue(text) : text;
  if (short === '!!str' || !resolvable.has(short)) return text;
  const value = plainValue(text);
  if (short === '!!timestamp' && /^\d{4}-\d/.test(text)) return text;
  if (short === '!!float' && typeof value === 'number') return value;
  if (kindOf(value) !== short) throw new Error(`cannot read ${JSON.stringify(text)} as ${short}`);
  return value;
}

function kindOf(value: Scalar): string {
  if (value === null) return '!!null';
  if (typeof value === 'boolean') return '!!bool';
  if (typeof value === 'number') return Number.isInteger(value) ? '!!int' : '!!float';
  return '!!str';
}

function plainValue(text: string): Scalar {
  const word = words.get(text);
  if (word !== undefined) return word;
  const digits = text.replaceAll('_', '');
  // Behind a point, underscores may only part digits; elsewhere yaml.v2 passes over all of them.
  if (text.startsWith('.')) return /^\.\d+(_\d+)*([eE][-+]?\d+(_\d+)*)?$/.test(text) ? finite(digits, text) : text;
  if (!/^[-+\d]/.test(text)) return text;
  return integer(digits) ?? (/^[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?$/.test(digits) ? finite(digits, text) : text);
}

/** Go's integers with base prefixes (a leading 0 is octal), within 64 bits; undefined for anything else. */
function integer(digits: string): number | undefined {
  const form = /^([-+]?)(0[xX][\da-fA-F]+|0[oO][0-7]+|0[bB][01]+|0[0-7]+|0|[1-9]\d*)$/.exec(digits);
  if (form === null) return undefined;
  const [, sign = '', magnitude = ''] = form;
  const value = BigInt(/^0[0-7]/.test(magnitude) ? `0o${magnitude}` : magnitude.toLowerCase());
  const inRange = sign === '-' ? value <= 2n ** 63n : value < 2n ** (sign === '' ? 64n : 63n);
  if (!inRange) return undefined;
  // Not -0, which JSON would not carry.
  return sign === '-' && value !== 0n ? -Number(value) : Number(value);
}

/** Too large for a 64 bit float: then it stays the text that it is. */
function finite(digits: string, text: string): Scalar {
  const value = Number(digits);
  return Number.isFinite(value) ? value : text;
}

function binary(text: string): string {
  const packed = text.replace(/[\r\n]/g, '');
  if (packed.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(packed)) throw new Error('!!binary needs valid base64');
  return new TextDecoder().decode(Uint8Array.from(atob(packed), (unit) => unit.charCodeAt(0)));
}
