import { expect, test } from 'vitest';
import { createValidate } from '../../src/api/validate.ts';
import { identityOf, readObjects } from '../../src/operator/world/manifest-objects.ts';
import { item, yaml } from '../support/manifests.ts';

const validate = createValidate();
const read = (text: string) => readObjects(new TextEncoder().encode(text), 'f.yaml', validate);
const helper = (kind: string, fields: string, metadata = '{name: x}') =>
  `apiVersion: v1\nkind: ${kind}\nmetadata: ${metadata}\n${fields}\n`;

test('an empty file, or one of comments, holds nothing and has no fault', () => {
  for (const text of ['', '---\n', '# nothing\n', '---\n---\n'])
    expect(read(text)).toEqual({ objects: [], faults: [], ignored: [] });
});

test('ConfigMaps, Secrets and Namespaces are taken, other kinds named and passed over', () => {
  const { objects, faults, ignored } = read(
    [
      helper('ConfigMap', 'data: {k: v}\nbinaryData: {b: AA==}', '{name: c, namespace: fleet}'),
      helper('Secret', 'data: {a: YQ==, b: Yg==}\nstringData: {b: plain}'),
      helper('Namespace', '', '{name: fleet, labels: {team: a}}'),
      'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n',
      'apiVersion: v1\nkind: Service\nmetadata: {name: s}\n',
    ].join('---\n'),
  );
  expect(faults).toEqual([]);
  expect(objects.map(identityOf)).toEqual(['ConfigMap fleet/c', 'Secret default/x', 'Namespace fleet']);
  expect(objects[0]).toMatchObject({ data: { k: 'v' }, binaryData: { b: 'AA==' } });
  // As the API server does: stringData over data.
  expect(objects[1]).toMatchObject({ data: { a: 'YQ==', b: Buffer.from('plain').toString('base64') } });
  expect(objects[2]).toMatchObject({ metadata: { labels: { team: 'a' } } });
  expect(ignored).toEqual(['apps/v1 Deployment', 'v1 Service']);
});

test.each([
  ['a ConfigMap whose values are no strings', helper('ConfigMap', 'data: {port: 8080}'), 4, 'data'],
  ['a ConfigMap whose data is a list', helper('ConfigMap', 'data: [a]'), 4, 'data'],
  ['a Secret without a name', helper('Secret', '', '{}'), 3, 'metadata.name'],
  ['a Namespace whose name is empty', helper('Namespace', '', "{name: ''}"), 3, 'metadata.name'],
])('%s is a fault with its place', (_, text, line, field) => {
  const { objects, faults } = read(text);
  expect(objects).toEqual([]);
  expect(faults).toEqual([expect.objectContaining({ file: 'f.yaml', line, field })]);
});

test('all faults of a file are told at once', () => {
  const bad = (name: string) => JSON.stringify({ ...item(name, '/a', 'a'), spec: { path: 'relative' } });
  const { faults } = read(`${bad('a')}\n---\n${bad('b')}\n---\n${yaml(item('ok', '/ok', 'x'))}`);
  expect(faults.length).toBeGreaterThan(3);
  expect(new Set(faults.map(({ line }) => line)).size).toBeGreaterThan(1);
});
