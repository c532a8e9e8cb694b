import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseManifests } from '../../../src/api/manifests.ts';
import { patternWords } from '../../../src/api/pattern-words.ts';
import { type Kind, kinds } from '../../../src/api/resources.generated.ts';
import type { Schema } from '../../../src/api/schema.ts';
import { schemas } from '../../../src/api/schemas.generated.ts';
import { parseContentPath } from '../../../src/core/content-path.ts';
import { parseDuration } from '../../../src/core/duration.ts';
import { parseQuantity } from '../../../src/core/quantity.ts';
import { judge } from '../../support/judge.ts';

function manifest(kind: Kind, spec: object, metadata: object = { name: 'a' }): string {
  return JSON.stringify({ apiVersion: 'gueststore.dev/v1alpha1', kind, metadata, spec });
}

function itemAt(path: string): string {
  return manifest('ContentItem', { repositoryRef: { name: 'main' }, path, source: { inline: { text: 'a' } } });
}

test('defaults are filled in, at every depth', () => {
  const { resources } = judge(manifest('GuestStoreRepository', { datastore: 'default' }));
  expect(resources).toEqual([
    {
      apiVersion: 'gueststore.dev/v1alpha1',
      kind: 'GuestStoreRepository',
      metadata: { name: 'a', namespace: 'default' },
      spec: {
        datastore: 'default',
        plainTree: 'Publish',
        maxItemSize: '512Mi',
        defaultPosture: 'Open',
        authoritative: true,
        removalGrace: '0s',
        default: false,
        allow: { items: { from: 'Same' }, vms: { from: 'Same' } },
        scrubInterval: '24h',
        interval: '5m',
        unmanaged: 'Ignore',
        suspend: false,
      },
      status: { observedGeneration: -1 },
    },
  ]);
});

test('a cluster-wide object has no namespace, and a given one stays', () => {
  const host = judge(manifest('GuestStoreHost', {}, { name: 'host-a', namespace: 'fleet' }));
  expect(host.resources[0]?.metadata).toEqual({ name: 'host-a' });
  const item = judge(manifest('GuestStoreRepository', { datastore: 'a' }, { name: 'a', namespace: 'fleet' }));
  expect(item.resources[0]?.metadata).toEqual({ name: 'a', namespace: 'fleet' });
});

test('all faults are reported at once, each with line, reason and way out', () => {
  const { faults } = judge(`apiVersion: gueststore.dev/v1alpha1
kind: VMAccessPolicy
metadata:
  name: Web
spec:
  vmSelecter: {}
  grant:
    - a;b
    - (
  mode: enforce
`);
  expect(faults).toEqual([
    {
      file: 'test.yaml',
      line: 4,
      field: 'metadata.name',
      reason: '"Web" is not the name of an object',
      wayOut: expect.stringContaining('small letters'),
    },
    {
      file: 'test.yaml',
      line: 5,
      field: 'spec.vmSelector',
      reason: 'is required',
      wayOut: expect.stringContaining('VMs that the rules apply to'),
    },
    {
      file: 'test.yaml',
      line: 6,
      field: 'spec.vmSelecter',
      reason: 'is not a field that exists here',
      wayOut: 'did you mean vmSelector?',
    },
    {
      file: 'test.yaml',
      line: 10,
      field: 'spec.mode',
      reason: 'must be one of Enforce, Audit, not "enforce"',
      wayOut: expect.stringContaining('Audit only says'),
    },
    {
      file: 'test.yaml',
      line: 8,
      field: 'spec.grant[0]',
      reason: expect.stringContaining("';'"),
      wayOut: expect.any(String),
    },
    {
      file: 'test.yaml',
      line: 9,
      field: 'spec.grant[1]',
      reason: expect.stringMatching(/compiles by itself: .*missing closing \)/),
      wayOut: expect.any(String),
    },
  ]);
});

test('what was refused is still named', () => {
  const { verdicts } = judge(manifest('VMAccessPolicy', {}, { name: 'web', namespace: 'fleet' }));
  expect(verdicts).toMatchObject([{ outcome: 'refused', kind: 'VMAccessPolicy', name: 'web', namespace: 'fleet' }]);
});

test('objects of other groups are not judged', () => {
  const { verdicts } = judge('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "A B"}}');
  expect(verdicts).toEqual([{ outcome: 'foreign', apiVersion: 'v1', kind: 'ConfigMap' }]);
});

test('a path that is not in NFC is accepted with a warning', () => {
  const { faults, warnings } = judge(itemAt('/Geräte'.normalize('NFD')));
  expect(faults).toEqual([]);
  expect(warnings).toMatchObject([{ field: 'spec.path', reason: expect.stringContaining('normalization form C') }]);
});

test.each([
  ['GuestStoreRepository', { datastore: 'a', root: 'Geräte'.normalize('NFD') }, {}, 'spec.root'],
  ['VMAccessPolicy', { vmSelector: { matchLabels: { 'a b': 'c' } } }, {}, 'spec.vmSelector.matchLabels[a b]'],
  ['GuestStoreHost', {}, { resourceVersion: '12' }, 'metadata.resourceVersion'],
] as const)('%s: a doubt about %s', (kind, spec, metadata, field) => {
  const { faults, warnings } = judge(manifest(kind, spec, { name: 'a', ...metadata }));
  expect(faults).toEqual([]);
  expect(warnings.map((warning) => warning.field)).toEqual([field]);
});

test('a status in a manifest has no effect', () => {
  const text = JSON.stringify({ ...JSON.parse(manifest('GuestStoreHost', {})), status: { vms: 'many' } });
  expect(judge(text)).toMatchObject({ faults: [], resources: [{ status: { observedGeneration: -1 } }] });
});

test('paths are judged as the program itself judges them', () => {
  const piece = fc.oneof(
    fc.constantFrom('/', '.', '..', ';', '\\', 'a', 'ä', 'a\u0308', '\u0000', '\u0085', '\u2028', ' ', '%2e', '😀'),
    fc.string({ unit: 'grapheme', maxLength: 4 }),
    fc.integer({ min: 240, max: 260 }).map((length) => 'x'.repeat(length)),
  );
  const path = fc
    .tuple(fc.constantFrom('/', ''), fc.array(piece, { maxLength: 12 }))
    .map(([start, rest]) => start + rest.join(''));
  fc.assert(
    fc.property(path, (text) => {
      const { faults, warnings } = judge(itemAt(text));
      expect(faults.length === 0 && warnings.length === 0).toBe(isContentPath(text));
    }),
    { numRuns: 2000 },
  );
});

function isContentPath(text: string): boolean {
  try {
    parseContentPath(text);
    return true;
  } catch {
    return false;
  }
}

test('every size and duration that is accepted can be read', () => {
  const digits = fc.stringMatching(/^[0-9]{0,6}(\.[0-9]{0,3})?$/);
  const size = fc.tuple(
    digits,
    fc.constantFrom('', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'k', 'M', 'G', 'T', 'P', 'e3', 'E2', 'm', 'Ei', 'e99'),
  );
  fc.assert(
    fc.property(size, ([number, suffix]) => {
      const { resources } = judge(manifest('GuestStoreRepository', { datastore: 'a', quota: number + suffix }));
      if (resources.length > 0) expect(parseQuantity(number + suffix)).toBeGreaterThan(0);
    }),
  );
  fc.assert(
    fc.property(fc.stringMatching(/^([0-9]{1,6}(h|m|s|ms)?){1,3}$/), (interval) => {
      const { resources } = judge(manifest('GuestStoreRepository', { datastore: 'a', interval }));
      if (resources.length > 0) expect(parseDuration(interval)).toBeGreaterThanOrEqual(1000);
    }),
  );
});

test('full lists of the longest rules are judged', () => {
  const rule = `/${'(ab|cd)*.'.repeat(113)}`;
  const lists = { grant: Array(256).fill(rule), deny: Array(256).fill(rule) };
  expect(judge(manifest('VMAccessPolicy', { vmSelector: {}, ...lists })).faults).toEqual([]);
});

test('a full inline text, and one byte more', () => {
  const inline = (text: string) =>
    judge(manifest('ContentItem', { repositoryRef: { name: 'a' }, path: '/a', source: { inline: { text } } })).faults;
  expect(inline('ä'.repeat(2 ** 19))).toEqual([]);
  expect(inline(`${'ä'.repeat(2 ** 19)}b`)).toMatchObject([{ field: 'spec.source.inline.text' }]);
});

test('full inline base64, and one byte more', () => {
  const inline = (size: number) => {
    const source = { inline: { base64: Buffer.alloc(size).toString('base64') } };
    return judge(manifest('ContentItem', { repositoryRef: { name: 'a' }, path: '/a', source })).faults;
  };
  expect(inline(2 ** 20)).toEqual([]);
  expect(inline(2 ** 20 + 1)).toMatchObject([{ field: 'spec.source.inline.base64' }]);
});

test('every field says what it is for, every text and list is bounded, every pattern has words', () => {
  const wrong: string[] = [];
  for (const kind of Object.keys(kinds) as Kind[]) {
    for (const [path, schema] of walk(schemas[kind], kind)) {
      if (/^\w+\.(apiVersion|kind|metadata)$/.test(path)) continue;
      if (schema.description === undefined && !path.endsWith('{}')) wrong.push(`${path}: no description`);
      const bounded = schema.maxLength ?? schema.enum ?? schema.format;
      if (schema.type === 'string' && bounded === undefined) wrong.push(`${path}: unbounded text`);
      if (schema.type === 'array' && schema.maxItems === undefined) wrong.push(`${path}: unbounded list`);
      const isMap = schema.additionalProperties !== undefined;
      if (isMap && schema.maxProperties === undefined) wrong.push(`${path}: unbounded map`);
      if (
        path.startsWith(`${kind}.spec`) &&
        schema.pattern !== undefined &&
        patternWords(schema.pattern).startsWith('it must match')
      ) {
        wrong.push(`${path}: no words for ${schema.pattern}`);
      }
    }
  }
  expect(wrong).toEqual([]);
});

function* walk(schema: Schema, path: string): Iterable<readonly [string, Schema]> {
  yield [path, schema];
  for (const [key, property] of Object.entries(schema.properties ?? {})) yield* walk(property, `${path}.${key}`);
  if (schema.items !== undefined) yield* walk(schema.items, `${path}[]`);
  if (schema.additionalProperties !== undefined) yield* walk(schema.additionalProperties, `${path}{}`);
}

test('keys that name inherited properties are unknown fields', () => {
  const { faults } = judge(manifest('GuestStoreHost', { constructor: {}, toString: 1 }));
  expect(faults.map(({ field }) => field)).toEqual(['spec.constructor', 'spec.toString']);
  expect(parseManifests('{}', 'a.yaml').documents).toHaveLength(1);
});
