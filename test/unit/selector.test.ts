import { expect, test } from 'vitest';
import { labelsOfNamespace, type Selector, selects } from '../../src/core/selector.ts';

const labels = { tier: 'web', zone: 'a', bare: '' };

test.each<{ selector: Selector; selected: boolean; why: string }>([
  { selector: {}, selected: true, why: 'nothing given selects all' },
  { selector: { matchLabels: {}, matchExpressions: [], names: [] }, selected: true, why: 'empty is as nothing given' },
  { selector: { matchLabels: { tier: 'web' } }, selected: true, why: 'equal label' },
  { selector: { matchLabels: { tier: 'db' } }, selected: false, why: 'other value' },
  { selector: { matchLabels: { tier: 'web', rack: '1' } }, selected: false, why: 'all labels must be there' },
  { selector: { matchLabels: { bare: '' } }, selected: true, why: 'an empty value is a value' },
  { selector: { matchLabels: { none: '' } }, selected: false, why: 'a missing label has no empty value' },
  { selector: { names: ['vm', 'other'] }, selected: true, why: 'one of the names' },
  { selector: { names: ['other'] }, selected: false, why: 'none of the names' },
  { selector: { names: ['vm'], matchLabels: { tier: 'db' } }, selected: false, why: 'names and labels must both hold' },
  { selector: expression('tier', 'In', ['web', 'db']), selected: true, why: 'In' },
  { selector: expression('tier', 'In', ['db']), selected: false, why: 'not In' },
  { selector: expression('none', 'In', ['']), selected: false, why: 'In wants the label' },
  { selector: expression('tier', 'NotIn', ['web']), selected: false, why: 'NotIn' },
  { selector: expression('tier', 'NotIn', ['db']), selected: true, why: 'NotIn, other value' },
  { selector: expression('none', 'NotIn', ['db']), selected: true, why: 'NotIn selects what lacks the label' },
  { selector: expression('bare', 'Exists'), selected: true, why: 'Exists, whatever the value' },
  { selector: expression('none', 'Exists'), selected: false, why: 'Exists, no label' },
  { selector: expression('none', 'DoesNotExist', []), selected: true, why: 'DoesNotExist' },
  { selector: expression('bare', 'DoesNotExist'), selected: false, why: 'DoesNotExist, label there' },
  { selector: expression('constructor', 'Exists'), selected: false, why: 'what every object inherits is no label' },
])('$why', ({ selector, selected }) => {
  expect(selects(selector, labels, 'vm')).toBe(selected);
});

test.each([
  { name: 'fleet', labels: { team: 'a', 'kubernetes.io/metadata.name': 'fleet' }, why: 'one that is declared' },
  { name: 'other', labels: { 'kubernetes.io/metadata.name': 'other' }, why: 'one that nobody declared' },
])('a namespace bears its name as a label: $why', ({ name, labels: expected }) => {
  expect(labelsOfNamespace(new Map([['fleet', { team: 'a' }]]), name)).toEqual(expected);
});

test('names select nothing that has no name', () => {
  expect(selects({ names: ['vm'] }, labels)).toBe(false);
});

test.each([
  { selector: expression('tier', 'in', ['web']), says: 'there is no operator "in"' },
  { selector: expression('tier', 'toString'), says: 'there is no operator "toString"' },
  { selector: expression('tier', 'In', []), says: 'In takes at least one value' },
  { selector: expression('tier', 'NotIn'), says: 'NotIn takes at least one value' },
  { selector: expression('tier', 'Exists', ['web']), says: 'Exists takes no values' },
  { selector: expression('tier', 'DoesNotExist', ['web']), says: 'DoesNotExist takes no values' },
])(
  'a selector that says $says selects nothing: it is refused, also where other parts already decide',
  ({ selector, says }) => {
    expect(() => selects({ ...selector, names: ['other'] }, labels, 'vm')).toThrowError(
      expect.objectContaining({ code: 'InvalidManifest', message: expect.stringContaining(says) }),
    );
  },
);

function expression(key: string, operator: string, values?: string[]): Selector {
  return { matchExpressions: [{ key, operator, values }] };
}
