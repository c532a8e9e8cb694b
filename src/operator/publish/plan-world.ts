import { createHash } from 'node:crypto';
import type { Entry, RepositoryRow } from '../../core/catalog.ts';
import type { ContentPath } from '../../core/content-path.ts';
import { type Digest, isDigest } from '../../core/digest.ts';
import type { ObjectKey } from '../../core/names.ts';
import type { VmRow } from '../../core/settings.ts';
import type { Snapshot, StoreWriter } from '../../store/types.ts';
import type { World } from '../types.ts';
import { createAddresses } from './addresses.ts';
import { createAppliedPolicies } from './applied-policies.ts';
import { type Attempt, type Contents, localBytes, type Wanted } from './contents.ts';
import { createDraft, type Draft } from './draft.ts';
import { createLedger } from './ledger.ts';
import type { Pass } from './pass.ts';
import { passItems } from './pass-items.ts';
import { passRepositories } from './pass-repositories.ts';
import { passVms } from './pass-vms.ts';
import { createPaths } from './paths.ts';
import { createSelected } from './selected.ts';

/** Stands for bytes that only a source that was not asked could tell. */
export const unknownDigest: Digest = `sha256:${'0'.repeat(64)}`;

/**
 * What would be published if the world were all there is: the operator's own passes, over an empty datastore and without
 * asking a source. A revision for each datastore that repositories name.
 */
export async function planWorld(world: World, signal: AbortSignal): Promise<ReadonlyMap<string, Snapshot>> {
  const names = new Set([...world.repositories.values()].map(({ spec }) => spec.datastore));
  if (names.size === 0) names.add('default');
  const drafts = new Map([...names].map((name) => [name, createDraft(emptySnapshot)]));
  // Only whether it is there counts: nothing here writes.
  const writers = new Map([...names].map((name) => [name, { snapshot: emptySnapshot } as unknown as StoreWriter]));
  const pass: Pass = { world, ledger: createLedger(new Map()), writers, drafts, now: new Date() };
  passRepositories(pass, world.repositories.keys());
  await passItems(pass, sourcelessContents(world), createPaths(), world.items.keys(), signal);
  await passVms(
    pass,
    createAddresses(),
    createSelected(),
    createAppliedPolicies(() => []),
    world.vms.keys(),
  );
  return new Map([...drafts].map(([name, draft]) => [name, snapshotOf(draft)]));
}

/** Content as far as the manifests, or the status that they bear, tell. */
function sourcelessContents(world: World): Contents {
  async function resolve({ item }: Wanted, signal: AbortSignal): Promise<Attempt> {
    const { digest, size } = item.status;
    const sensitive = item.spec.source.secretKeyRef !== undefined;
    if (digest !== undefined && isDigest(digest) && size !== undefined) {
      return found({ digest, size, sensitive });
    }
    const local = await localBytes(item, world, signal).catch(() => undefined);
    if (local === undefined) {
      const { digest: asked } = item.spec;
      return found({ digest: asked !== undefined && isDigest(asked) ? asked : unknownDigest, size: 0, sensitive });
    }
    return found({
      digest: `sha256:${createHash('sha256').update(local.bytes).digest('hex')}`,
      size: local.bytes.length,
      sensitive,
    });
  }
  return { resolve, forget: () => {} };
}

function found(content: { readonly digest: Digest; readonly size: number; readonly sensitive: boolean }): Attempt {
  return {
    content: { ...content, sourceRevision: '' },
    failure: undefined,
    sourceFailure: undefined,
    fetching: false,
    answered: true,
  };
}

const emptySnapshot: Snapshot = {
  seq: 0,
  commit: {
    format: 1,
    seq: 0,
    parent: null,
    epoch: 0,
    by: '',
    index: unknownDigest,
    cause: { kind: 'observed', summary: '' },
    at: '',
    critical: [],
    signature: null,
  },
  repositories: new Map(),
  find: () => undefined,
  entries: () => [],
  catalogDigest: () => undefined,
  vm: () => undefined,
  vms: () => [],
  vmGroups: () => [],
  ruleSet: () => undefined,
};

function snapshotOf(draft: Draft): Snapshot {
  const { repositories, entries, vms, ruleSets } = draft.change;
  return {
    ...emptySnapshot,
    repositories: new Map(present<ObjectKey, RepositoryRow>(repositories)),
    find: (repository, path) => draft.entry(repository, path),
    entries: (repository) => present<ContentPath, Entry>(entries.get(repository) ?? new Map()),
    vm: (key) => draft.vm(key),
    vms: () => present<ObjectKey, VmRow>(vms),
    vmGroups: () => [new Map(present<ObjectKey, VmRow>(vms))],
    ruleSet: (digest) => ruleSets.get(digest),
  };
}

function present<Key, Value>(changes: ReadonlyMap<Key, Value | undefined>): [Key, Value][] {
  return [...changes].flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]));
}
