import fc from 'fast-check';
import { expect, test } from 'vitest';
import { linesOf } from '../../../src/kube/lines.ts';

async function* chunked(bytes: Uint8Array, cuts: readonly number[]): AsyncIterable<Uint8Array> {
  let start = 0;
  for (const cut of [...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
    yield bytes.subarray(start, cut);
    start = Math.max(start, cut);
  }
}

test('lines are the same however the network cuts them, also within a character and at U+2028', async () => {
  const line = fc.string({ unit: fc.constantFrom('a', '"', 'é', '\u2028', '\u{1f600}', '\r') });
  await fc.assert(
    fc.asyncProperty(fc.array(line), fc.array(fc.nat()), async (lines, cuts) => {
      const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
      expect(await Array.fromAsync(linesOf(chunked(bytes, cuts)))).toEqual(lines);
    }),
  );
});

test('what was cut off before its line feed is given as it is', async () => {
  expect(await Array.fromAsync(linesOf(chunked(Buffer.from('whole\nhal'), [2])))).toEqual(['whole', 'hal']);
});
