import { expect, test } from 'vitest';
import type { Change } from '../../../src/kube/cache.ts';
import { concerned, isNews, ownedBy, ownerReference } from '../../../src/kube/mappers.ts';
import type { KubeObject, ObjectMeta, Stored } from '../../../src/kube/objects.ts';
import { resource } from '../../../src/kube/resource.ts';

const widgets = resource<KubeObject>('widgets.test/v1', 'Widget', 'widgets');

function object(metadata: Partial<ObjectMeta> = {}): Stored<KubeObject> {
  const fixed = { uid: 'u', resourceVersion: metadata.resourceVersion ?? '1' };
  return { metadata: { namespace: 'a', name: 'x', generation: 1, ...metadata, ...fixed } };
}

const updated = (old: Partial<ObjectMeta>, now: Partial<ObjectMeta>): Change<KubeObject> => ({
  type: 'updated',
  key: 'a/x',
  old: object(old),
  object: object({ resourceVersion: '2', ...now }),
});

test.each([
  { what: 'only its status', old: {}, now: {}, news: false },
  { what: 'its generation', old: {}, now: { generation: 2 }, news: true },
  { what: 'a label', old: { labels: { tier: 'web' } }, now: { labels: { tier: 'db' } }, news: true },
  { what: 'an annotation', old: {}, now: { annotations: { 'example.org/requestedAt': 'now' } }, news: true },
  { what: 'a finalizer', old: { finalizers: ['a/b'] }, now: { finalizers: [] }, news: true },
  { what: 'that it is to be deleted', old: {}, now: { deletionTimestamp: '2026-01-01T00:00:00Z' }, news: true },
  {
    what: 'anything, where nothing counts generations',
    old: { generation: undefined },
    now: { generation: undefined },
    news: true,
  },
])('an update of $what is news: $news', ({ old, now, news }) => {
  expect(isNews(updated(old, now))).toBe(news);
});

test('additions and deletions are news', () => {
  expect(isNews({ type: 'added', key: 'a/x', object: object() })).toBe(true);
  expect(isNews({ type: 'deleted', key: 'a/x', old: object(), finalStateUnknown: false })).toBe(true);
});

test('a change concerns who owned the object before it, and who owns it now', () => {
  const owned = (...names: readonly string[]) => ({
    ownerReferences: names.map((name) => ownerReference(widgets, object({ name }))),
  });
  const keysOf = ownedBy(widgets);
  expect([...concerned(updated(owned('old', 'both'), owned('both', 'new')), keysOf)]).toEqual([
    'a/old',
    'a/both',
    'a/new',
  ]);
  expect([...concerned({ type: 'added', key: 'a/x', object: object(owned('new')) }, keysOf)]).toEqual(['a/new']);
  const gone = { type: 'deleted', key: 'a/x', old: object(owned('old')), finalStateUnknown: true } as const;
  expect([...concerned(gone, keysOf)]).toEqual(['a/old']);
});

test('an owner is known by kind and group, whatever its version', () => {
  const of = (apiVersion: string, kind: string) => ({ apiVersion, kind, name: 'o', uid: 'u' });
  const ownerReferences = [
    of('widgets.test/v2', 'Widget'),
    of('other.test/v1', 'Widget'),
    of('widgets.test/v1', 'Gadget'),
  ];
  expect([...ownedBy(widgets)(object({ ownerReferences }))]).toEqual(['a/o']);
  const cluster = { ...widgets, namespaced: false };
  expect([...ownedBy(cluster)(object({ ownerReferences }))]).toEqual(['o']);
});
