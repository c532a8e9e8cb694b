import { expect, test } from 'vitest';
import { createCache } from '../../../src/kube/cache.ts';
import type { KubeObject, Stored } from '../../../src/kube/objects.ts';

interface Part extends KubeObject {
  readonly part?: string;
}

function object(name: string, version: string, part = 'none', uid = `uid-${name}`): Stored<Part> {
  return { metadata: { namespace: 'a', name, uid, resourceVersion: version }, part };
}

const byPart = { part: ({ part }: Stored<Part>) => (part === undefined ? [] : [part]) };

test('what a list no longer holds is deleted with its final state unknown', () => {
  const cache = createCache<Part>();
  cache.replace([object('x', '1'), object('y', '1')]);
  expect(cache.replace([object('y', '1'), object('z', '2')])).toMatchObject([
    { type: 'deleted', key: 'a/x', finalStateUnknown: true },
    { type: 'added', key: 'a/z' },
  ]);
});

test('the same version twice is one change', () => {
  const cache = createCache<Part>();
  expect(cache.put(object('x', '1'))).toHaveLength(1);
  expect(cache.put(object('x', '1'))).toEqual([]);
  expect(cache.put(object('x', '2'))).toMatchObject([
    { type: 'updated', old: object('x', '1'), object: object('x', '2') },
  ]);
});

test('a name that came back with another uid is a deletion and an addition', () => {
  const cache = createCache<Part>();
  cache.put(object('x', '1', 'wheel', 'first'));
  expect(cache.put(object('x', '5', 'wheel', 'second')).map(({ type }) => type)).toEqual(['deleted', 'added']);
});

test('a deletion that arrives after the successor leaves the successor', () => {
  const cache = createCache<Part>();
  cache.put(object('x', '5', 'wheel', 'second'));
  expect(cache.remove(object('x', '4', 'wheel', 'first'))).toEqual([]);
  expect(cache.get('a/x')?.metadata.uid).toBe('second');
});

test('an index follows every change', () => {
  const cache = createCache<Part>(byPart);
  const named = (part: string) => cache.byIndex('part', part).map(({ metadata }) => metadata.name);
  cache.replace([object('x', '1', 'wheel'), object('y', '1', 'wheel')]);
  expect(named('wheel')).toEqual(['x', 'y']);
  cache.put(object('x', '2', 'door'));
  expect([named('wheel'), named('door')]).toEqual([['y'], ['x']]);
  cache.remove(object('y', '3', 'wheel'));
  expect([named('wheel'), named('door')]).toEqual([[], ['x']]);
});
