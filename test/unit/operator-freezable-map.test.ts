import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FreezableMap } from '../../src/operator/publish/freezable-map.ts';

const steps = fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd'), value: fc.option(fc.nat(9)) }));

function change(map: Map<string, number>, step: { readonly key: string; readonly value: number | null }): void {
  if (step.value === null) map.delete(step.key);
  else map.set(step.key, step.value);
}

test('a frozen map stays as it was, whatever happens to the map, and the map goes on', () => {
  fc.assert(
    fc.property(steps, steps, steps, (earlier, between, later) => {
      const map = new FreezableMap<string, number>();
      const plain = new Map<string, number>();
      for (const [changes, freezeBefore] of [
        [earlier, false],
        [between, true],
        [later, true],
      ] as const) {
        const was = new Map(plain);
        const frozen = freezeBefore ? map.freeze() : undefined;
        for (const step of changes) for (const one of [map, plain]) change(one, step);
        expect(new Map(map)).toEqual(plain);
        if (frozen === undefined) continue;
        expect(new Map(frozen)).toEqual(was);
        expect([frozen.size, new Set(frozen.keys()), frozen.values().toArray().length]).toEqual([
          was.size,
          new Set(was.keys()),
          was.size,
        ]);
        for (const key of ['a', 'b', 'c', 'd'])
          expect([frozen.get(key), frozen.has(key)]).toEqual([was.get(key), was.has(key)]);
      }
      map.thaw();
      map.clear();
      expect(map.size).toBe(0);
    }),
  );
});

test('a frozen map is emptied by nobody', () => {
  const map = new FreezableMap<string, number>();
  map.set('a', 1);
  const frozen = map.freeze();
  map.clear();
  expect([...frozen]).toEqual([['a', 1]]);
});
