import { isIP } from 'node:net';
import { type CelFunc, CelScalar, celFunc, celMethod } from '@bufbuild/cel';

// Functions that Kubernetes adds to CEL, as far as rules in crds/ use them: ranges of addresses, and quantities. One of those is carried as the text of a whole
// number of billionths, so that all digits count and comparing is exact.

const form = /^([-+]?)(\d+(?:\.\d*)?|\.\d+)(?:([eE][-+]?\d{1,3})|([KMGTPE]i|[numkMGTPE]))?$/;

const binary = new Map(
  ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'].map((suffix, index) => [suffix, 1024n ** BigInt(index + 1)]),
);
const decimal = new Map(
  ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'].map((suffix, index) => [suffix, 3 * (index - 3)]),
);

export const kubernetesFunctions: readonly CelFunc[] = [
  celFunc('isCIDR', [CelScalar.STRING], CelScalar.BOOL, isRange),
  celFunc('quantity', [CelScalar.STRING], CelScalar.STRING, (text) => String(billionthsOf(text))),
  celMethod('isGreaterThan', CelScalar.STRING, [CelScalar.STRING], CelScalar.BOOL, function (other) {
    return BigInt(this) > BigInt(other);
  }),
  celMethod('compareTo', CelScalar.STRING, [CelScalar.STRING], CelScalar.INT, function (other) {
    const [one, two] = [BigInt(this), BigInt(other)];
    return one < two ? -1n : one > two ? 1n : 0n;
  }),
];

/** As Go's parser has it: no zone, no IPv4 in an IPv6 spelling, no zero in front of the length. */
function isRange(text: string): boolean {
  const [address = '', length = '', ...more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || more.length > 0 || address.includes('%') || /^::ffff:\d+\./i.test(address)) return false;
  return /^(?:0|[1-9]\d{0,2})$/.test(length) && Number(length) <= (family === 6 ? 128 : 32);
}

/** Rounded up to a billionth, the finest that a quantity tells apart. */
function billionthsOf(text: string): bigint {
  const parts = form.exec(text);
  if (parts === null) throw new Error(`${JSON.stringify(text)} is not a quantity`);
  const [, sign = '', number = '', exponent = '', suffix = ''] = parts;
  const [whole = '', fraction = ''] = number.split('.');
  const power = 9 - fraction.length + (exponent === '' ? (decimal.get(suffix) ?? 0) : Number(exponent.slice(1)));
  const digits = BigInt(whole + fraction) * (binary.get(suffix) ?? 1n);
  const magnitude = power >= 0 ? digits * 10n ** BigInt(power) : ceilDivide(digits, 10n ** BigInt(-power));
  return sign === '-' ? -magnitude : magnitude;
}

function ceilDivide(dividend: bigint, divisor: bigint): bigint {
  return (dividend + divisor - 1n) / divisor;
}
