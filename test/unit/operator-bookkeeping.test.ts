import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Entry, StoredEntry } from '../../src/core/catalog.ts';
import { type ContentPath, parseContentPath } from '../../src/core/content-path.ts';
import { createAddresses } from '../../src/operator/publish/addresses.ts';
import { createAppliedPolicies } from '../../src/operator/publish/applied-policies.ts';
import { createDraft } from '../../src/operator/publish/draft.ts';
import { createLedger } from '../../src/operator/publish/ledger.ts';
import { createPaths } from '../../src/operator/publish/paths.ts';
import { createSelected } from '../../src/operator/publish/selected.ts';
import { createMemoryDocuments, openShelf } from '../../src/operator/world/shelf.ts';
import { sameRecord } from '../../src/store/canonical.ts';
import { digestOf, rulesOf, snapshotOf } from '../support/memory-store.ts';
import { policyOf } from '../support/resources.ts';

const path = (text: string): ContentPath => parseContentPath(text);
const stored = (claim: string, text = claim): StoredEntry => ({
  state: 'stored',
  claim,
  digest: digestOf(text),
  size: text.length,
  since: '2026-11-24T09:00:00.000Z',
});
const row = { root: 'r', plainTree: 'None', authoritative: true } as const;
const vm = (changes: object = {}) => ({
  host: 'a',
  channel: { kind: 'hybridUDS' as const, path: 'web.vsock', port: 1024 },
  repository: 'fleet/main',
  ruleSet: null,
  enabled: true,
  refused: null,
  ...changes,
});

test('who shares an address is told of each that comes and goes', () => {
  const addresses = createAddresses();
  expect(addresses.claim('a', 'x')).toEqual([]);
  expect(addresses.claim('b', 'x')).toEqual(['a']);
  expect(addresses.claim('b', 'x')).toEqual([]);
  expect(addresses.claim('c', 'y')).toEqual([]);
  expect(addresses.claimants('x')).toEqual(['a', 'b']);
  expect([...addresses.claim('b', 'y')].toSorted()).toEqual(['a', 'c']);
  expect(addresses.claimants('x')).toEqual(['a']);
  expect(addresses.claim('b', undefined)).toEqual(['c']);
  expect(addresses.claim('never', undefined)).toEqual([]);
  expect(addresses.claimants('none')).toEqual([]);
});

test('who asks for a path is remembered until it asks for another', () => {
  const paths = createPaths();
  const x = { repository: 'fleet/main', path: path('/x') };
  paths.want('a', x);
  paths.want('b', x);
  paths.want('a', x);
  expect([...paths.wanting(x)].toSorted()).toEqual(['a', 'b']);
  paths.want('a', { ...x, repository: 'fleet/other' });
  paths.want('b', undefined);
  expect([...paths.wanting(x)]).toEqual([]);
});

test('which policies select which VMs, both ways, and what changed since it was asked', () => {
  const selected = createSelected();
  const policy = policyOf('p', { deny: ['/a'] });
  selected.set('fleet/web', [policy]);
  expect([...selected.vmsOf('VMAccessPolicy', 'fleet/p')]).toEqual(['fleet/web']);
  expect(selected.policiesOf('fleet/web')).toEqual([{ kind: 'VMAccessPolicy', key: 'fleet/p' }]);
  expect(selected.takeChanged()).toEqual([{ kind: 'VMAccessPolicy', key: 'fleet/p' }]);
  selected.set('fleet/web', [policy]);
  expect(selected.takeChanged()).toEqual([]);
  selected.forget('fleet/web');
  expect(selected.takeChanged()).toHaveLength(1);
  expect(selected.policiesOf('fleet/web')).toEqual([]);
  expect(selected.vmsOf('VMAccessPolicy', 'fleet/p').size).toBe(0);
});

describe('a draft', () => {
  const base = () =>
    snapshotOf({
      repositories: { 'fleet/main': { ...row, entries: { '/a': stored('fleet/a') } } },
      vms: { 'fleet/web': vm() },
    });

  test('holds differences only: what is set to what it is leaves no trace, in whatever order its fields stand', () => {
    const draft = createDraft(base());
    draft.setRepository('fleet/main', { authoritative: true, plainTree: 'None', root: 'r' });
    draft.setEntry('fleet/main', path('/a'), stored('fleet/a'));
    draft.setEntry('fleet/main', path('/b'), stored('fleet/b'));
    draft.setEntry('fleet/main', path('/b'), undefined);
    draft.setVm('fleet/web', vm({ enabled: false }), undefined);
    draft.setVm('fleet/web', vm(), undefined);
    expect(draft.empty).toBe(true);
  });

  test('shows what is committed through its changes, and counts how a repository grows', () => {
    const draft = createDraft(base());
    draft.setEntry('fleet/main', path('/b'), stored('fleet/b', 'four'));
    draft.setEntry('fleet/main', path('/a'), { state: 'pending', claim: 'fleet/a' });
    expect(draft.entry('fleet/main', path('/b'))).toEqual(stored('fleet/b', 'four'));
    expect(draft.grown('fleet/main')).toBe(4 - 'fleet/a'.length);
    expect(draft.grown('fleet/other')).toBe(0);
    expect(draft.empty).toBe(false);
  });

  test('lets a catalog go with its repository, and takes no entry where there is none', () => {
    const draft = createDraft(base());
    draft.setEntry('fleet/none', path('/x'), stored('fleet/x'));
    draft.setEntry('fleet/main', path('/b'), stored('fleet/b'));
    draft.setRepository('fleet/main', undefined);
    expect(draft.entry('fleet/main', path('/a'))).toBeUndefined();
    expect([...draft.repositories()]).toEqual([]);
    expect(draft.change.entries.size).toBe(0);
  });

  test('carries the rules that a changed row names, and no others', () => {
    const rules = rulesOf([], ['/a']);
    const digest = digestOf('rules');
    const draft = createDraft(base());
    draft.setVm('fleet/web', vm({ ruleSet: digest }), rules);
    expect([...draft.change.ruleSets]).toEqual([[digest, rules]]);
    draft.setVm('fleet/db', undefined, undefined);
    expect([...draft.change.vms.keys()]).toEqual(['fleet/web']);
  });
});

test('records are the same whatever the order of their fields, and differ in anything else', () => {
  expect(sameRecord({ a: 1, b: { c: [1, 2], d: null } }, { b: { d: null, c: [1, 2] }, a: 1 })).toBe(true);
  expect(sameRecord({ a: [1, 2] }, { a: [2, 1] })).toBe(false);
  expect(sameRecord(undefined, {})).toBe(false);
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      expect(sameRecord(a, structuredClone(a))).toBe(true);
      expect(sameRecord(a, b)).toBe(sameRecord(b, a));
    }),
  );
});

test('the ledger that follows changes says what one made anew from the outcome says', () => {
  const keys = ['fleet/a', 'fleet/b', 'fleet/c'];
  const paths = ['/x', '/y', '/z'];
  const entry = fc.option(
    fc.record({ claim: fc.constantFrom(...keys), text: fc.string({ maxLength: 4 }), pending: fc.boolean() }),
    { nil: undefined },
  );
  const catalog = fc.tuple(entry, entry, entry).filter((all) => {
    // One item holds one path: that is what claims are.
    const claims = all.flatMap((one) => one?.claim ?? []);
    return new Set(claims).size === claims.length;
  });
  const host = fc.option(fc.constantFrom('a', 'b'), { nil: undefined });
  fc.assert(
    fc.property(fc.array(fc.tuple(catalog, host), { minLength: 1, maxLength: 6 }), (revisions) => {
      const made = revisions.map(([entries, at]) => {
        const held = entries.map((one, n): [string, Entry | undefined] => [
          paths[n] ?? '',
          one && (one.pending ? { state: 'pending', claim: one.claim } : stored(one.claim, one.text)),
        ]);
        const present = held.filter((pair): pair is [string, Entry] => pair[1] !== undefined);
        const vms = at === undefined ? {} : { 'fleet/web': vm({ host: at }) };
        const snapshot = snapshotOf({
          repositories: { 'fleet/main': { ...row, entries: Object.fromEntries(present) } },
          vms,
        });
        return { held, snapshot, row: at === undefined ? undefined : vm({ host: at }) };
      });
      const [first, ...later] = made;
      if (first === undefined) return;
      const ledger = createLedger(new Map([['default', first.snapshot]]));
      let base = first.snapshot;
      for (const { held, snapshot, row: vmRow } of later) {
        ledger.apply('default', base, {
          repositories: new Map(),
          entries: new Map([['fleet/main', new Map(held.map(([at, one]) => [path(at), one]))]]),
          vms: new Map([['fleet/web', vmRow]]),
          ruleSets: new Map(),
        });
        base = snapshot;
      }
      const anew = createLedger(new Map([['default', base]]));
      for (const key of keys) expect(ledger.claimOf(key), key).toEqual(anew.claimOf(key));
      expect(ledger.usage('fleet/main')).toEqual(anew.usage('fleet/main'));
      expect(ledger.hostsOf('fleet/main')).toEqual(anew.hostsOf('fleet/main'));
      expect(ledger.datastoresOf('fleet/web')).toEqual(anew.datastoresOf('fleet/web'));
      expect([...ledger.vms()]).toEqual([...anew.vms()]);
    }),
  );
});

describe('a suspended policy', () => {
  const suspended = policyOf('policy', { deny: ['/new'] }, { suspend: true });

  test('stays as it was', () => {
    const applied = createAppliedPolicies(() => []);
    const before = policyOf('policy', { deny: ['/old'] });
    expect(applied.of(before)).toBe(before);
    expect(applied.of(suspended)).toBe(before);
    const after = policyOf('policy', { deny: ['/new'] });
    expect(applied.of(after)).toBe(after);
  });

  test('is read from what is published, when it was so before this process', () => {
    const applied = createAppliedPolicies(() => [rulesOf([], []), rulesOf(['/g'], ['/old'])]);
    expect(applied.of(suspended)?.spec).toMatchObject({ grant: ['/g'], deny: ['/old'], match: 'Whole' });
  });

  test('that never was in force is none; one that was, without a VM, is taken as it stands', () => {
    expect(createAppliedPolicies(() => []).of(suspended)).toBeUndefined();
    const condition = {
      type: 'RulesEffective',
      status: 'True' as const,
      reason: 'Effective',
      message: 'm',
      lastTransitionTime: '2026-11-24T09:00:00Z',
    };
    const known = { ...suspended, status: { observedGeneration: 1, conditions: [condition] } };
    expect(createAppliedPolicies(() => []).of(known)).toBe(known);
  });
});

test('a shelf keeps its records over processes, writes only what changed, and passes over what it cannot read', async () => {
  const documents = createMemoryDocuments();
  const written: string[] = [];
  const watched: typeof documents = {
    ...documents,
    writeDocument: async (name, bytes) => {
      written.push(name);
      await documents.writeDocument(name, bytes);
    },
  };
  const unreadable: string[] = [];
  const open = () => openShelf<{ n: number }>(watched, 'things', (document) => unreadable.push(document));
  const shelf = await open();
  for (let n = 0; n < 200; n++) shelf.set(`key ${n}`, { n });
  await shelf.save();
  await shelf.save();
  expect(new Set(written).size).toBe(written.length);
  written.length = 0;
  shelf.set('key 7', { n: 8 });
  shelf.delete('none');
  await shelf.save();
  expect(written).toHaveLength(1);
  const again = await open();
  expect(again.records.size).toBe(200);
  expect(again.records.get('key 7')).toEqual({ n: 8 });
  for (const key of [...again.records.keys()]) again.delete(key);
  await again.save();
  expect(await documents.documents()).toEqual([]);

  await documents.writeDocument('things-00.json', new TextEncoder().encode('{'));
  await documents.writeDocument('others-00.json', new TextEncoder().encode('{'));
  expect((await open()).records.size).toBe(0);
  expect(unreadable).toEqual(['things-00.json']);
});

test('what is set while a shelf is saved is saved the next time', async () => {
  const documents = createMemoryDocuments();
  const written = Promise.withResolvers<void>();
  const slow = {
    ...documents,
    writeDocument: async (name: string, bytes: Uint8Array) => {
      await written.promise;
      await documents.writeDocument(name, bytes);
    },
  };
  const shelf = await openShelf<string>(slow, 'status', () => {});
  shelf.set('a', 'first');
  const saving = shelf.save();
  shelf.set('a', 'second');
  written.resolve();
  await saving;
  await shelf.save();
  expect((await openShelf<string>(documents, 'status', () => {})).records.get('a')).toBe('second');
});
