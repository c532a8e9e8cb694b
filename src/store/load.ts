import { readFile } from 'node:fs/promises';
import type { Entry } from '../core/catalog.ts';
import { unknownCritical } from '../core/critical.ts';
import type { Digest } from '../core/digest.ts';
import type { RuleSet, VmRow } from '../core/settings.ts';
import { GuestStoreError } from '../lib/errors.ts';
import { digestOf } from './canonical.ts';
import { storeFailure } from './failure.ts';
import { corrupt } from './fields.ts';
import { readableFormats } from './format.ts';
import type { Layout } from './layout.ts';
import { createLimit } from './limit.ts';
import { type IndexedRepository, parseEntry, parseIndex, parseNode, parseRuleSet, parseVmRow } from './records.ts';
import type { Parts, RepositoryPart } from './snapshot.ts';
import { fanOut, hashOf, leavesOf, maxDepth, type Trie } from './trie.ts';
import type { Commit } from './types.ts';

/** Files read at once. */
const width = 16;

/** Loads what a commit points at, remembering what the last one had: only objects that are new are read. */
export interface Loader {
  /** Throws `StoreCorrupt`, `StoreUnavailable` or `FormatNotSupported`; what was loaded before stays remembered. */
  load(commit: Commit): Promise<Parts>;
}

export function createLoader(layout: Layout): Loader {
  const limit = createLimit(width);
  let entryNodes: Nodes<Entry> = new Map();
  let vmNodes: Nodes<VmRow> = new Map();
  let ruleSets: ReadonlyMap<Digest, RuleSet> = new Map();
  const namedBy = createRuleSetNames();
  const read = (digest: Digest) => limit(() => readObject(layout, digest));

  return {
    async load(commit) {
      refuseUnknown(`commit ${commit.seq}`, commit);
      const index = parseIndex(await read(commit.index), objectName(layout, commit.index));
      refuseUnknown(`index of commit ${commit.seq}`, index);
      const loadEntries = createTrieLoader(layout, read, parseEntry, entryNodes);
      const loadVms = createTrieLoader(layout, read, parseVmRow, vmNodes);
      const [repositories, vms] = await Promise.all([
        Promise.all(
          Array.from(index.repositories, async ([key, part]) => [key, await loadPart(part, loadEntries.load)] as const),
        ),
        loadVms.load(index.vms),
      ]);
      const parts: Parts = {
        repositories: new Map(repositories),
        vms,
        ruleSets: await loadRuleSets(layout, read, namedBy(vms), ruleSets),
      };
      entryNodes = loadEntries.used;
      vmNodes = loadVms.used;
      ruleSets = parts.ruleSets;
      return parts;
    },
  };
}

type Nodes<V> = ReadonlyMap<Digest, Trie<V>>;
type Read = (digest: Digest) => Promise<string>;

function refuseUnknown(what: string, record: { readonly format: number; readonly critical: readonly string[] }): void {
  const unknown = unknownCritical(record);
  if (readableFormats.includes(record.format) && unknown.length === 0) return;
  const need = unknown.length > 0 ? `needs ${unknown.join(', ')}` : `has format ${record.format}`;
  const message = `datastore: ${what} ${need}, which this version (formats ${readableFormats.join(', ')}) cannot read; upgrade it`;
  throw new GuestStoreError('FormatNotSupported', message);
}

async function loadPart(
  indexed: IndexedRepository,
  load: (digest: Digest) => Promise<RepositoryPart['catalog']>,
): Promise<RepositoryPart> {
  const catalog = await load(indexed.catalog);
  if (catalog.size !== indexed.items)
    throw corrupt(`datastore: index says ${indexed.items} items, catalog ${indexed.catalog} holds ${catalog.size}`);
  return { row: indexed.row, catalog, bytes: indexed.bytes };
}

interface TrieLoader<V> {
  load(root: Digest): Promise<Trie<V>>;
  /** Every node of the tries that were loaded. */
  readonly used: Nodes<V>;
}

function createTrieLoader<V>(
  layout: Layout,
  read: Read,
  parse: (key: string, raw: unknown) => V,
  known: Nodes<V>,
): TrieLoader<V> {
  const used = new Map<Digest, Trie<V>>();

  /** `prefix` holds the low bits that every key's hash below has: a record in the wrong place would never be found. */
  async function load(digest: Digest, depth: number, prefix: number): Promise<Trie<V>> {
    const remembered = known.get(digest);
    if (remembered !== undefined) {
      keep(remembered);
      return remembered;
    }
    const text = await read(digest);
    const what = objectName(layout, digest);
    const node = parseNode(text, what);
    const trie = node.kind === 'leaf' ? leaf(node.entries) : await branch(node.children);
    used.set(digest, trie);
    return trie;

    function leaf(raw: readonly (readonly [string, unknown])[]): Trie<V> {
      const mask = depth === maxDepth ? 0xffffffff : 2 ** (4 * depth) - 1;
      const entries = new Map<string, V>();
      for (const [key, record] of raw) {
        if ((hashOf(key) & mask) >>> 0 !== prefix) throw corrupt(`${what}: "${key}" lies in the wrong place`);
        entries.set(key, parse(key, record));
      }
      return { kind: 'leaf', digest, size: entries.size, bytes: text.length, entries };
    }

    async function branch(named: readonly (readonly [number, Digest])[]): Promise<Trie<V>> {
      if (depth === maxDepth) throw corrupt(`${what}: lies too deep`);
      const children: (Trie<V> | undefined)[] = Array.from({ length: fanOut }, () => undefined);
      await Promise.all(
        named.map(async ([slot, child]) => {
          children[slot] = await load(child, depth + 1, prefix + slot * 2 ** (4 * depth));
        }),
      );
      const below = children.filter((child) => child !== undefined);
      return {
        kind: 'branch',
        digest,
        size: below.reduce((total, child) => total + child.size, 0),
        bytes: below.reduce((total, child) => total + child.bytes, text.length),
        children,
      };
    }
  }

  function keep(trie: Trie<V>): void {
    used.set(trie.digest, trie);
    if (trie.kind === 'branch') for (const child of trie.children) if (child !== undefined) keep(child);
  }

  return { load: (root) => load(root, 0, 0), used };
}

/** Which rule sets rows name; a leaf that was asked before is not looked through again. */
function createRuleSetNames(): (vms: Trie<VmRow>) => ReadonlySet<Digest> {
  const byLeaf = new WeakMap<ReadonlyMap<string, VmRow>, ReadonlySet<Digest>>();
  const ofLeaf = (leaf: ReadonlyMap<string, VmRow>) => {
    const known = byLeaf.get(leaf);
    if (known !== undefined) return known;
    const found = new Set(leaf.values().flatMap(({ ruleSet }) => (ruleSet === null ? [] : [ruleSet])));
    byLeaf.set(leaf, found);
    return found;
  };
  return (vms) => new Set(leavesOf(vms).flatMap(ofLeaf));
}

async function loadRuleSets(
  layout: Layout,
  read: Read,
  named: ReadonlySet<Digest>,
  known: ReadonlyMap<Digest, RuleSet>,
): Promise<ReadonlyMap<Digest, RuleSet>> {
  const loaded = Array.from(named, async (digest) => {
    const ruleSet = known.get(digest) ?? parseRuleSet(await read(digest), objectName(layout, digest));
    return [digest, ruleSet] as const;
  });
  return new Map(await Promise.all(loaded));
}

/** An object's text, proven to be what its name says. */
async function readObject(layout: Layout, digest: Digest): Promise<string> {
  const path = layout.object(digest);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (thrown) {
    throw storeFailure(thrown, 'read object', path);
  }
  if (digestOf(text) !== digest)
    throw corrupt(`${objectName(layout, digest)} does not hold what its name says; restore it from a backup`);
  return text;
}

function objectName(layout: Layout, digest: Digest): string {
  return `datastore: object ${layout.object(digest)}`;
}
