import type { Entry, RepositoryRow } from '../core/catalog.ts';
import { parseContentPath } from '../core/content-path.ts';
import type { Digest } from '../core/digest.ts';
import type { ObjectKey } from '../core/names.ts';
import type { RuleRecord, RuleSet, VmRow } from '../core/settings.ts';
import { corrupt, type Fields, fieldsOf, isRecord, parseJson } from './fields.ts';
import { storeFormat } from './format.ts';
import type { Commit, StoreIdentity } from './types.ts';

/** What a commit points at: everything else is found from here. */
export interface Index {
  readonly format: number;
  readonly repositories: ReadonlyMap<ObjectKey, IndexedRepository>;
  /** Root of the trie of VM rows. */
  readonly vms: Digest;
  readonly critical: readonly string[];
}

export interface IndexedRepository {
  readonly row: RepositoryRow;
  /** Root of the trie of entries, by content path. */
  readonly catalog: Digest;
  /** Entries in the catalog. */
  readonly items: number;
  /** Sum of the sizes of all entries that have bytes. */
  readonly bytes: number;
}

export function parseIdentity(text: string, what: string): StoreIdentity {
  const fields = fieldsOf(parseJson(text, what), what);
  return { format: fields.count('format'), id: fields.text('id'), installation: fields.text('installation') };
}

export function parseCommit(text: string, what: string): Commit {
  const fields = fieldsOf(parseJson(text, what), what);
  const cause = fields.fields('cause');
  const kind = cause.text('kind');
  return {
    format: fields.count('format'),
    seq: fields.count('seq'),
    parent: fields.raw.parent === null ? null : fields.digest('parent'),
    epoch: fields.count('epoch'),
    // Written since some versions only.
    by: typeof fields.raw.by === 'string' ? fields.raw.by : '',
    index: fields.digest('index'),
    // A cause of a later version is told as an ordinary one: it is for people.
    cause: { kind: kind === 'epoch' ? kind : 'observed', summary: cause.text('summary') },
    at: fields.time('at'),
    critical: fields.texts('critical'),
    signature: fields.textOrNull('signature'),
  };
}

export function indexRecord(index: Omit<Index, 'format' | 'critical'>): unknown {
  return { kind: 'index', format: storeFormat, critical: [], ...index };
}

export function parseIndex(text: string, what: string): Index {
  const fields = kindOf(text, 'index', what);
  const repositories = Object.entries(fields.fields('repositories').raw).map(([key, raw]) => {
    const repository = fieldsOf(raw, `${what}: repository ${key}`);
    return [key, parseIndexed(repository, `${what}: repository ${key}`)] as const;
  });
  return {
    format: fields.count('format'),
    repositories: new Map(repositories),
    vms: fields.digest('vms'),
    critical: fields.texts('critical'),
  };
}

function parseIndexed(fields: Fields, what: string): IndexedRepository {
  return {
    row: parseRepositoryRow(fields.raw.row, what),
    catalog: fields.digest('catalog'),
    items: fields.count('items'),
    bytes: fields.count('bytes'),
  };
}

function parseRepositoryRow(raw: unknown, what: string): RepositoryRow {
  const fields = fieldsOf(raw, what);
  const root = fields.text('root');
  if (!isRoot(root)) throw corrupt(`${what}: "root" is not a folder of the datastore`);
  const plainTree = fields.text('plainTree');
  return {
    root,
    plainTree: plainTree === 'Publish' ? 'Publish' : 'None',
    authoritative: fields.flag('authoritative'),
    ...criticalOf(fields),
  };
}

/** A root follows the grammar of content paths without the leading `/`, and never leads into the store itself. */
export function isRoot(root: string): boolean {
  try {
    parseContentPath(`/${root}`);
  } catch {
    return false;
  }
  return root.split('/')[0] !== '.gueststore';
}

/** A node of a trie as it lies on disk: records still undecoded, children by slot. */
export type RawNode =
  | { readonly kind: 'leaf'; readonly entries: readonly (readonly [string, unknown])[] }
  | { readonly kind: 'branch'; readonly children: readonly (readonly [number, Digest])[] };

export function parseNode(text: string, what: string): RawNode {
  const fields = fieldsOf(parseJson(text, what), what);
  const kind = fields.text('kind');
  if (kind === 'leaf') return { kind, entries: Object.entries(fields.fields('entries').raw) };
  if (kind !== 'branch') throw corrupt(`${what}: expected a leaf or a branch, found "${kind}"`);
  const children = fields.fields('children');
  const slots = Object.keys(children.raw).map((slot) => {
    if (!/^[0-9a-f]$/.test(slot)) throw corrupt(`${what}: "${slot}" is no slot`);
    return [Number.parseInt(slot, 16), children.digest(slot)] as const;
  });
  return { kind, children: slots };
}

export function parseEntry(path: string, raw: unknown): Entry {
  const what = `entry ${path}`;
  parseContentPath(path);
  const fields = fieldsOf(raw, what);
  const claimed = { claim: fields.text('claim'), ...criticalOf(fields) };
  const state = fields.text('state');
  if (state === 'pending') return { ...claimed, state };
  if (state !== 'stored' && state !== 'retired') throw corrupt(`${what}: unknown state "${state}"`);
  const bytes = {
    digest: fields.digest('digest'),
    size: fields.count('size'),
    since: fields.time('since'),
    ...(fields.raw.sensitive === true ? { sensitive: true as const } : {}),
  };
  if (state === 'stored') return { ...claimed, ...bytes, state };
  return { ...claimed, ...bytes, state, until: fields.time('until') };
}

export function parseVmRow(key: string, raw: unknown): VmRow {
  const fields = fieldsOf(raw, `VM ${key}`);
  return {
    host: fields.text('host'),
    channel: parseChannel(fields.fields('channel')),
    repository: fields.textOrNull('repository'),
    ruleSet: fields.raw.ruleSet === null ? null : fields.digest('ruleSet'),
    enabled: fields.flag('enabled'),
    refused: fields.textOrNull('refused'),
    ...(fields.raw.catalog === undefined ? {} : { catalog: fields.digest('catalog') }),
    ...criticalOf(fields),
  };
}

function parseChannel(fields: Fields): VmRow['channel'] {
  const kind = fields.text('kind');
  // Kinds that this version does not know come through as they are: the daemon refuses them by name.
  if (kind !== 'hybridUDS') return { ...fields.raw, kind } as VmRow['channel'];
  return {
    kind,
    path: fields.text('path'),
    port: fields.count('port'),
    ...(fields.raw.uid === undefined ? {} : { uid: fields.count('uid') }),
    ...(fields.raw.gid === undefined ? {} : { gid: fields.count('gid') }),
  };
}

export function parseRuleSet(text: string, what: string): RuleSet {
  const rules = kindOf(text, 'rules', what).fields('rules');
  const { ceiling } = rules.raw;
  return {
    grant: rules.list('grant').map((raw) => parseRule(raw, what)),
    deny: rules.list('deny').map((raw) => parseRule(raw, what)),
    ceiling: isRecord(ceiling)
      ? {
          mustDeny: fieldsOf(ceiling, what)
            .list('mustDeny')
            .map((raw) => parseRule(raw, what)),
        }
      : noCeiling(ceiling, what),
    ...criticalOf(rules),
  };
}

function noCeiling(raw: unknown, what: string): null {
  if (raw === null) return null;
  throw corrupt(`${what}: "ceiling" is neither an object nor null`);
}

function parseRule(raw: unknown, what: string): RuleRecord {
  const fields = fieldsOf(raw, what);
  const policy = fields.fields('policy');
  const match = fields.text('match');
  if (match !== 'Whole' && match !== 'Search') throw corrupt(`${what}: unknown match "${match}"`);
  return {
    pattern: fields.text('pattern'),
    match,
    policy: {
      kind: policy.text('kind'),
      name: policy.text('name'),
      ...(policy.raw.namespace === undefined ? {} : { namespace: policy.text('namespace') }),
    },
    index: fields.count('index'),
  };
}

function criticalOf(fields: Fields): { readonly critical?: readonly string[] } {
  const critical = fields.optionalTexts('critical');
  return critical === undefined ? {} : { critical };
}

function kindOf(text: string, expected: string, what: string): Fields {
  const fields = fieldsOf(parseJson(text, what), what);
  const kind = fields.text('kind');
  if (kind !== expected) throw corrupt(`${what}: expected ${expected}, found "${kind}"`);
  return fields;
}
