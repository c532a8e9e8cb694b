import type { Digest } from '../core/digest.ts';
import { objectOf, type StoredObject, sameRecord } from './canonical.ts';

/**
 * A map from keys to records, kept as a tree of immutable objects named by digest (a Merkle trie), so that a change to one
 * record of 10,000 writes three small objects, and two revisions share all that is equal. The shape follows from the
 * content alone: a subtree of at most `leafSize` records is one leaf, a larger one a branch over the next four bits of
 * the keys' hashes. Equal content, equal digest, whatever the history.
 */
export type Trie<V> = Leaf<V> | Branch<V>;

export interface Leaf<V> {
  readonly kind: 'leaf';
  readonly digest: Digest;
  /** Records below. */
  readonly size: number;
  /** Bytes of all objects below, this one included. */
  readonly bytes: number;
  readonly entries: ReadonlyMap<string, V>;
}

export interface Branch<V> {
  readonly kind: 'branch';
  readonly digest: Digest;
  readonly size: number;
  readonly bytes: number;
  /** By the next four bits of the hash; undefined where nothing lies. */
  readonly children: readonly (Trie<V> | undefined)[];
}

/** Large enough for few files (300 for 10,000 records), small enough that a change among 100 rewrites no more than one among 10,000. */
export const leafSize = 128;
export const fanOut = 16;
/** The hash has 32 bits: at this depth they are used up, and a leaf takes whatever is left. */
export const maxDepth = 8;

const encoder = new TextEncoder();

/** FNV-1a over the key's UTF-8, then the finaliser of MurmurHash3, since FNV alone hardly mixes the low bits. */
export function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) {
    const unit = key.charCodeAt(i);
    if (unit > 0x7f) return finish(hashBytes(encoder.encode(key)));
    hash = Math.imul(hash ^ unit, 0x01000193);
  }
  return finish(hash);
}

function hashBytes(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash;
}

function finish(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Which child of a branch at `depth` a hash belongs to: the low bits first. */
export function slotOf(hash: number, depth: number): number {
  return (hash >>> (4 * depth)) & (fanOut - 1);
}

export function find<V>(trie: Trie<V>, key: string): V | undefined {
  const hash = hashOf(key);
  let node: Trie<V> | undefined = trie;
  for (let depth = 0; node?.kind === 'branch'; depth++) node = node.children[slotOf(hash, depth)];
  return node?.entries.get(key);
}

/** In no particular order. */
export function* entriesOf<V>(trie: Trie<V>): Generator<readonly [string, V]> {
  if (trie.kind === 'leaf') yield* trie.entries;
  else for (const child of trie.children) if (child !== undefined) yield* entriesOf(child);
}

/** The records leaf by leaf: two revisions share the very maps in which nothing changed. */
export function* leavesOf<V>(trie: Trie<V>): Generator<ReadonlyMap<string, V>> {
  if (trie.kind === 'leaf') yield trie.entries;
  else for (const child of trie.children) if (child !== undefined) yield* leavesOf(child);
}

export function emptyTrie<V>(): Trie<V> {
  return leafOf(new Map<string, V>(), () => {});
}

/**
 * The trie with the changes made: undefined removes. The very same object when they change nothing. `emit` is given each
 * object that the old trie did not hold. May be interrupted after each.
 */
export function* changed<V extends object>(
  trie: Trie<V>,
  changes: ReadonlyMap<string, V | undefined>,
  emit: Emit,
): Generator<void, Trie<V>> {
  if (changes.size === 0) return trie;
  const list = Array.from(changes, ([key, value]) => ({ key, hash: hashOf(key), value }));
  return (yield* changeNode(trie, 0, list, emit)) ?? leafOf(new Map<string, V>(), emit);
}

interface Change<V> {
  readonly key: string;
  readonly hash: number;
  readonly value: V | undefined;
}

type Emit = (object: StoredObject) => void;

type Changing<V> = Generator<void, Trie<V> | undefined>;

function changeNode<V extends object>(
  node: Trie<V> | undefined,
  depth: number,
  changes: readonly Change<V>[],
  emit: Emit,
): Changing<V> {
  return node?.kind === 'branch' ? changeBranch(node, depth, changes, emit) : changeLeaf(node, depth, changes, emit);
}

function* changeLeaf<V extends object>(
  leaf: Leaf<V> | undefined,
  depth: number,
  changes: readonly Change<V>[],
  emit: Emit,
): Changing<V> {
  let entries: Map<string, V> | undefined;
  for (const { key, value } of changes) {
    const old = leaf?.entries.get(key);
    if (old === value || (old !== undefined && value !== undefined && sameRecord(old, value))) continue;
    entries ??= new Map(leaf?.entries);
    if (value === undefined) entries.delete(key);
    else entries.set(key, value);
  }
  return entries === undefined ? leaf : yield* nodeOf(entries, depth, emit);
}

function* changeBranch<V extends object>(
  branch: Branch<V>,
  depth: number,
  changes: readonly Change<V>[],
  emit: Emit,
): Changing<V> {
  const children = [...branch.children];
  // A branch that shrinks to a leaf never names the new children: what they would emit is held back until that is known.
  const emitted: StoredObject[] = [];
  for (const [slot, group] of Map.groupBy(changes, ({ hash }) => slotOf(hash, depth)))
    children[slot] = yield* changeNode(children[slot], depth + 1, group, (object) => emitted.push(object));
  if (children.every((child, slot) => child === branch.children[slot])) return branch;
  if (sum(children, 'size') <= leafSize) return yield* nodeOf(new Map(children.flatMap(entriesOfChild)), depth, emit);
  for (const object of emitted) emit(object);
  return branchOf(children, emit);
}

function entriesOfChild<V>(child: Trie<V> | undefined): (readonly [string, V])[] {
  return child === undefined ? [] : [...entriesOf(child)];
}

function* nodeOf<V>(entries: ReadonlyMap<string, V>, depth: number, emit: Emit): Changing<V> {
  if (entries.size === 0) return undefined;
  yield;
  if (entries.size <= leafSize || depth === maxDepth) return leafOf(entries, emit);
  const slots = Map.groupBy(entries, ([key]) => slotOf(hashOf(key), depth));
  const children: (Trie<V> | undefined)[] = [];
  for (let slot = 0; slot < fanOut; slot++) children.push(yield* nodeOf(new Map(slots.get(slot)), depth + 1, emit));
  return branchOf(children, emit);
}

function leafOf<V>(entries: ReadonlyMap<string, V>, emit: Emit): Leaf<V> {
  const object = objectOf({ kind: 'leaf', entries });
  emit(object);
  return { kind: 'leaf', digest: object.digest, size: entries.size, bytes: object.text.length, entries };
}

function branchOf<V>(children: readonly (Trie<V> | undefined)[], emit: Emit): Branch<V> {
  const named = children.flatMap((child, slot) => (child === undefined ? [] : [[slot.toString(16), child.digest]]));
  const object = objectOf({ kind: 'branch', children: Object.fromEntries(named) });
  emit(object);
  const size = sum(children, 'size');
  return { kind: 'branch', digest: object.digest, size, bytes: object.text.length + sum(children, 'bytes'), children };
}

function sum<V>(children: readonly (Trie<V> | undefined)[], field: 'size' | 'bytes'): number {
  return children.reduce((total, child) => total + (child?.[field] ?? 0), 0);
}

/** One key whose record differs between two tries. */
export interface Difference<V> {
  readonly key: string;
  readonly before: V | undefined;
  readonly after: V | undefined;
}

/** What differs; subtrees that both share are not looked at. */
export function* differences<V extends object>(
  before: Trie<V> | undefined,
  after: Trie<V> | undefined,
): Generator<Difference<V>> {
  if (before?.digest === after?.digest) return;
  if (before?.kind === 'branch' && after?.kind === 'branch') {
    for (let slot = 0; slot < fanOut; slot++) yield* differences(before.children[slot], after.children[slot]);
    return;
  }
  const old = new Map(entriesOfChild(before));
  for (const [key, value] of after === undefined ? [] : entriesOf(after)) {
    const was = old.get(key);
    old.delete(key);
    if (was === undefined || !sameRecord(was, value)) yield { key, before: was, after: value };
  }
  for (const [key, value] of old) yield { key, before: value, after: undefined };
}
