import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseManifests } from '../../../src/api/manifests.ts';

function values(text: string) {
  const { documents, faults } = parseManifests(text, 'a.yaml');
  expect(faults).toEqual([]);
  return documents.map(({ value }) => value);
}

function faultsOf(text: string) {
  return parseManifests(text, 'a.yaml').faults.map(({ line, reason }) => ({ line, reason }));
}

test.each([
  ['yes', true],
  ['On', true],
  ['y', true],
  ['NO', false],
  ['off', false],
  ["'yes'", 'yes'],
  ['yEs', 'yEs'],
  ['~', null],
  ['', null],
  ['Null', null],
  ['0777', 511],
  ['0o17', 15],
  ['08', 8],
  ['0x1F', 31],
  ['0b101', 5],
  ['1_000', 1000],
  ['+12', 12],
  ['1:20', '1:20'],
  ['1e3', 1000],
  ['.5', 0.5],
  ['5.', 5],
  ['1e400', '1e400'],
  ['2001-01-01', '2001-01-01'],
  ['!!str 12', '12'],
  ["!!int '12'", 12],
  ['! 12', '12'],
  ['!!float 3', 3],
  ['!!binary aGVsbG8=', 'hello'],
  ['!unknown 12', '12'],
  ['"\\x41\\u00e9\\n"', 'Aé\n'],
])('a: %s is read as %j', (written, value) => {
  expect(values(`a: ${written}`)).toEqual([{ a: value }]);
});

test('keys become texts', () => {
  expect(values('{12: a, yes: b, 1.5: c, 0x10: d}')).toEqual([{ '12': 'a', true: 'b', '1.5': 'c', '16': 'd' }]);
});

test('a merge writes over what stands before it, and is written over by what follows', () => {
  const text = 'a: &a {x: 1, w: 2}\nb: &b {x: 3, z: 4}\nc: {x: 0, <<: [*a, *b], w: 5}\n';
  expect(values(text)).toEqual([{ a: { x: 1, w: 2 }, b: { x: 3, z: 4 }, c: { x: 1, w: 5, z: 4 } }]);
});

test('documents end at lines of ---, empty ones are passed over', () => {
  expect(values('# only words\n---\na: 1\n--- # next\n\n---\nb: 2\n...\nc: 3\n')).toEqual([{ a: 1 }, { b: 2 }]);
  expect(values('')).toEqual([]);
});

test('JSON objects may follow one another, and YAML may follow the first', () => {
  expect(values('{"a": 1}\n{"b": "\\ud800"}')).toEqual([{ a: 1 }, { b: '\ufffd' }]);
  expect(values('{"a": 1}\n---\nb: 2\n')).toEqual([{ a: 1 }, { b: 2 }]);
  expect(values('{a: yes}\n')).toEqual([{ a: true }]);
});

test('lists are taken apart', () => {
  const text = 'apiVersion: v1\nkind: List\nitems:\n- a: 1\n- b: 2\n';
  const { documents } = parseManifests(text, 'a.yaml');
  expect(documents.map(({ value }) => value)).toEqual([{ a: 1 }, { b: 2 }]);
  expect(documents[1]?.lineOf(['b'])).toBe(5);
});

test('every field has its line, an absent one that of what is around it', () => {
  const text = '---\n\nspec:\n  grant:\n    - a\n    - b\n  deny: [c,\n    d]\n  text: |\n    e\n    f\n';
  const [document] = parseManifests(text, 'a.yaml').documents;
  const line = (...path: (string | number)[]) => document?.lineOf(path);
  expect([line('spec'), line('spec', 'grant', 1), line('spec', 'deny', 1), line('spec', 'text')]).toEqual([3, 6, 8, 9]);
  expect([line('spec', 'mode'), line('metadata')]).toEqual([3, 3]);
});

test('fields of JSON have their lines too', () => {
  const [document] = parseManifests('{"spec": {\n\t"path":\t"/a"}}', 'a.json').documents;
  expect(document?.lineOf(['spec', 'path'])).toBe(2);
});

test('of a key that stands twice the last counts, with a warning', () => {
  const [document] = parseManifests('spec:\n  deny: [a]\n  deny: [b]\n', 'a.yaml').documents;
  expect(document?.value).toEqual({ spec: { deny: ['b'] } });
  expect(document?.warnings).toMatchObject([{ line: 3, field: 'spec.deny' }]);
});

test.each([
  ['a: [', 1],
  ['a: 1\n\tb: 2', 2],
  ['a: *b', 1],
  ['a: &a [*a]', 1],
  ['a: 1\n? [b]\n: c', 2],
  ['a: .nan', 1],
  ['~: a', 1],
  ['a: !!int b', 1],
  ['a: {<<: 1}', 1],
  ['a: "\\ud83d\\ude00"', 1],
  ['a: "b\\/c"', 1],
  ['a: &b.c d', 1],
  ['a: 1\n--- b', 2],
])('%j cannot be read', (text, line) => {
  expect(faultsOf(text)).toEqual([{ line, reason: expect.any(String) }]);
});

test('what is not UTF-8 is replaced, with a warning', () => {
  const { documents } = parseManifests(Uint8Array.of(0x61, 0x3a, 0x20, 0xff), 'a.yaml');
  expect(documents).toMatchObject([{ value: { a: '\ufffd' }, warnings: [{ line: 1, field: '' }] }]);
});

test('a byte order mark is no part of the text', () => {
  const utf16 = Buffer.concat([Buffer.of(0xff, 0xfe), Buffer.from('a: ä', 'utf16le')]);
  for (const bytes of [utf16, utf16.swap16(), Buffer.from('\ufeffa: ä')]) {
    expect(parseManifests(Uint8Array.from(bytes), 'a.yaml').documents).toMatchObject([
      { value: { a: 'ä' }, warnings: [] },
    ]);
  }
});

test('tabs may part the items of a flow collection', () => {
  expect(values('a:\n  b: [1,\t2, "c,\td"]\n')).toEqual([{ a: { b: [1, 2, 'c,\td'] } }]);
});

test('one document that cannot be read does not hide the others', () => {
  const { documents, faults } = parseManifests('a: 1\n---\nb: [\n---\nc: 3\n', 'a.yaml');
  expect(documents.map(({ value }) => value)).toEqual([{ a: 1 }, { c: 3 }]);
  expect(faults).toHaveLength(1);
});

test('aliases cannot blow a document up', () => {
  const levels = Array.from({ length: 9 }, (_, i) => `l${i + 1}: &l${i + 1} [${Array(9).fill(`*l${i}`).join(', ')}]`);
  expect(faultsOf(`l0: &l0 [${Array(9).fill('lol').join(', ')}]\n${levels.join('\n')}\n`)).toMatchObject([
    { reason: expect.stringContaining('excessive aliasing') },
  ]);
});

test('a key named __proto__ is a key like any other', () => {
  const [value] = values('{"__proto__": {"polluted": true}}');
  expect(Object.keys(value ?? {})).toEqual(['__proto__']);
  expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
});

test('whatever stands in a file, it never throws', () => {
  const fragment = fc.constantFrom(...'{}[]:,-?&*!|>\'"%@`#\n \t~<', 'a', '---', '1', '\\', '\ud800', '\u2028', '<<');
  fc.assert(
    fc.property(fc.array(fragment, { maxLength: 40 }), (fragments) => {
      parseManifests(fragments.join(''), 'a.yaml');
    }),
  );
});

test('JSON is read as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(undefined, 1, '\t'), (object, space) => {
      const text = JSON.stringify(object, null, space);
      fc.pre(text.isWellFormed() && object.kind === undefined);
      expect(values(text)).toEqual([JSON.parse(text)]);
    }),
  );
});
