import type { ObjectKey } from '../../core/names.ts';
import { type Failure, failureOf, type ItemOutcome, type Outcome } from '../../core/outcome.ts';
import { asGuestStoreError } from '../../lib/errors.ts';
import { createBreath } from '../../lib/lifecycle.ts';
import type { Log } from '../../lib/log.ts';
import type { Snapshot, StoreWriter } from '../../store/types.ts';
import type { Rounds } from '../rounds.ts';
import type { DeclaredKind, ObservedKind, Policy, World } from '../types.ts';
import { createAddresses } from './addresses.ts';
import { createAppliedPolicies } from './applied-policies.ts';
import { createChanges, type Dirty } from './changes.ts';
import type { Contents } from './contents.ts';
import { createDraft, type Draft } from './draft.ts';
import { createExpiries } from './expiries.ts';
import { frozenWorld, thaw } from './frozen-world.ts';
import { addHeldBack, leavingIn, leftoverOf } from './leaving.ts';
import { type Claim, createLedger, type Ledger } from './ledger.ts';
import { noOutcomes, type Outcomes, type Pass } from './pass.ts';
import { passDatastores } from './pass-datastores.ts';
import { passItems } from './pass-items.ts';
import { passPolicies, spoils } from './pass-policies.ts';
import { passRepositories } from './pass-repositories.ts';
import { passVms } from './pass-vms.ts';
import { createPaths } from './paths.ts';
import { createQuietWindow } from './quiet-window.ts';
import { createSelected, type Selected } from './selected.ts';

/** Milliseconds that the world must be quiet before a pass begins, and after which one begins all the same. */
const quietWindow = 50;
const longestWindow = 250;
/** Milliseconds after which a datastore that could not be written is tried again. */
const firstRetry = 1_000;
const lastRetry = 30_000;

/** Turns what was observed into revisions: one commit a pass and datastore. The only writer of the datastores' content. */
export interface Publisher {
  readonly outcomes: Outcomes;
  readonly ledger: Ledger;
  readonly selected: Selected;
  readonly datastores: readonly string[];
  /** How many objects wait for the next pass. */
  readonly waiting: number;
  /** Whether guests still get something for an item that is gone, its grace aside. */
  holdsContent(item: ObjectKey): boolean;
  holdsRepository(repository: ObjectKey): boolean;
  /** The last revision that touched a repository's row or catalog, as far as it is known. */
  revisionOf(repository: ObjectKey): number | undefined;
  /** Something changed. */
  touch(kind: ObservedKind, key: ObjectKey): void;
  /** Begins with everything, then follows what is touched, until the signal aborts. Throws `Superseded`. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when nothing is left to publish, or what is left failed and waits to be tried again. */
  settled(): Promise<void>;
}

export interface PublisherOptions {
  readonly world: World;
  readonly writers: ReadonlyMap<string, StoreWriter>;
  readonly contents: Contents;
  readonly now: () => Date;
  readonly log: Log;
  /** A pass is a round. */
  readonly rounds: Rounds;
  /** Called after a pass, for each object whose status may have changed. */
  readonly onOutcome: (kind: DeclaredKind, key: ObjectKey) => void;
}

export function createPublisher(options: PublisherOptions): Publisher {
  const { world, writers, log, rounds, onOutcome } = options;
  const ledger = createLedger(snapshotsOf(writers));
  const outcomes = noOutcomes();
  const selected = createSelected();
  const changes = createChanges(world, ledger, writers, selected, () =>
    [...outcomes.repositories].flatMap(([key, { failure }]) => (failure === undefined ? [] : [key])),
  );
  const addresses = createAddresses();
  const paths = createPaths();
  const applied = createAppliedPolicies(() => publishedRuleSets(writers));
  const revisions = new Map<ObjectKey, number>();
  const window = createQuietWindow(quietWindow, longestWindow);
  const expiries = createExpiries((item) => touch('ContentItem', item));
  const waiting: (() => void)[] = [];
  let resting = false;
  changes.addAll();
  rounds.touched();
  window.touch();
  for (const { snapshot } of writers.values()) {
    for (const repository of snapshot.repositories.keys()) {
      for (const [, entry] of snapshot.entries(repository)) expiries.watch(entry, options.now());
    }
  }

  function touch(kind: ObservedKind, key: ObjectKey): void {
    resting = false;
    changes.add(kind, key);
    rounds.touched();
    window.touch();
  }

  async function run(signal: AbortSignal): Promise<void> {
    let retry: NodeJS.Timeout | undefined;
    try {
      for (let failures = 0; !signal.aborted; ) {
        await window.next(signal);
        if (signal.aborted) break;
        clearTimeout(retry);
        const published = await rounds.run(() => pass(signal));
        failures = published ? 0 : failures + 1;
        if (changes.size === 0 || !published) rest();
        if (published) continue;
        // What changes meanwhile does not wait for it: another datastore may be well.
        retry = setTimeout(window.touch, Math.min(firstRetry * 2 ** (failures - 1), lastRetry));
      }
    } finally {
      clearTimeout(retry);
      rest();
      expiries.clear();
    }
  }

  function holdsRepository(repository: ObjectKey): boolean {
    return [...writers.values()].some(({ snapshot }) => snapshot.repositories.has(repository));
  }

  function rest(): void {
    resting = true;
    for (const resolve of waiting.splice(0)) resolve();
  }

  /**
   * One pass over all that changed. False when a datastore could not be written, or its plain trees lag behind: what
   * changed stays changed.
   */
  async function pass(signal: AbortSignal): Promise<boolean> {
    const dirty = changes.take();
    try {
      return await passOver(dirty, signal);
    } catch (thrown) {
      changes.restore(dirty);
      if (signal.aborted) return true;
      throw thrown;
    } finally {
      thaw(world);
    }
  }

  async function passOver(dirty: Dirty, signal: AbortSignal): Promise<boolean> {
    const bases = snapshotsOf(writers);
    const drafts = new Map([...bases].map(([name, snapshot]) => [name, createDraft(snapshot)]));
    const work: Pass = {
      world: world.frozen?.() ?? frozenWorld(world),
      ledger,
      writers,
      drafts,
      now: options.now(),
    };

    const repositories = passRepositories(work, dirty.repositories);
    const items = await passItems(work, options.contents, paths, dirty.items, signal);
    const vms = await passVms(work, addresses, selected, applied, dirty.vms);
    const failures = new Map<string, Failure>();
    for (const [name, draft] of drafts) {
      const failure = await publish(work, name, draft, bases.get(name), items, signal);
      if (failure !== undefined) failures.set(name, failure);
    }

    addHeldBack(work, dirty, failures, { repositories, items, vms });
    const end = ends(snapshotsOf(writers), failures);
    await record(outcomes.repositories, dirty.repositories, repositories, (key, outcome) => {
      const name = work.world.repositories.get(key)?.spec.datastore ?? '';
      const lagging = outcome.failure ?? treeFailure(writers.get(name));
      const changed = drafts.get(name)?.change.repositories.has(key);
      return end(name, { ...outcome, failure: lagging }, outcomes.repositories.get(key), changed, holdsRepository(key));
    });
    await record(outcomes.items, [...dirty.items, ...items.keys()], items, (key, outcome) => {
      const claim = ledger.claimOf(key);
      const changed = claim && drafts.get(claim.datastore)?.change.entries.get(claim.repository)?.has(claim.path);
      const failure = outcome.failure ?? (claim && blockedFailure(writers.get(claim.datastore), claim));
      const name = claim?.datastore ?? work.world.repositories.get(outcome.repository ?? '')?.spec.datastore ?? '';
      const there = claim !== undefined && (!outcome.suspended || outcome.served !== undefined);
      return end(name, { ...outcome, failure }, outcomes.items.get(key), changed, there);
    });
    // What keeps a VM from being programmed is its policies' trouble too, and so is that it is over.
    const troubled = () => [...dirty.vms, ...vms.keys()].filter((key) => spoils(outcomes.vms.get(key)?.failure));
    const spoiled = troubled();
    await record(outcomes.vms, [...dirty.vms, ...vms.keys()], vms, (key, outcome) => {
      const [name = [...writers.keys()][0] ?? ''] = ledger.datastoresOf(key);
      return end(
        name,
        outcome,
        outcomes.vms.get(key),
        drafts.get(name)?.change.vms.has(key),
        ledger.datastoresOf(key).length > 0,
      );
    });
    const concerned = new Set([...spoiled, ...troubled()]);
    const policies = await recordPolicies(work.world, dirty, [...concerned].flatMap(selected.policiesOf));
    // In one moment, so that what changed together is one batch.
    for (const { kind, key } of policies) onOutcome(kind, key);
    tell(dirty, items.keys(), vms.keys(), drafts.values());
    recordDatastores(work, dirty);
    if (failures.size > 0) changes.restore(dirty);
    return failures.size === 0 && !trailing();
  }

  /** Whether a plain tree lags behind; who says so in status is looked at again with the next try. */
  function trailing(): boolean {
    let trails = false;
    for (const writer of writers.values()) {
      const { snapshot, blocked, leftovers, treeTrouble } = writer;
      if (!trailsBehind(writer)) continue;
      trails = true;
      if (leftovers.length > 0) for (const [kind, key] of leavingIn(world)) changes.add(kind, key);
      for (const [repository, paths] of blocked) {
        for (const path of paths.keys()) {
          const entry = snapshot.find(repository, path);
          if (entry !== undefined) changes.add('ContentItem', entry.claim);
        }
      }
      if (treeTrouble === undefined) continue;
      for (const key of snapshot.repositories.keys()) changes.add('GuestStoreRepository', key);
    }
    return trails;
  }

  /** Makes one datastore's draft its next revision; returns why that failed. Throws `Superseded`. */
  async function publish(
    work: Pass,
    name: string,
    draft: Draft,
    base: Snapshot | undefined,
    items: Map<ObjectKey, ItemOutcome>,
    signal: AbortSignal,
  ): Promise<Failure | undefined> {
    const writer = writers.get(name);
    if (writer === undefined || base === undefined) return undefined;
    // Without a change it only lets the plain trees catch up.
    if (draft.empty && !trailsBehind(writer)) return undefined;
    try {
      await withdrawForeign(writer, draft, base, items);
      const commit = await writer.publish(draft.change, { kind: 'observed', summary: summaryOf(draft) }, signal);
      if (commit === undefined) return undefined;
      ledger.apply(name, base, draft.change);
      for (const repository of [...draft.change.repositories.keys(), ...draft.change.entries.keys()]) {
        revisions.set(repository, commit.seq);
      }
      for (const paths of draft.change.entries.values()) {
        for (const entry of paths.values()) expiries.watch(entry, work.now);
      }
      log.info({ datastore: name, seq: commit.seq, cause: commit.cause.summary }, 'revision published');
      return undefined;
    } catch (thrown) {
      signal.throwIfAborted();
      const error = asGuestStoreError(thrown, 'StoreUnavailable');
      if (error.code === 'Superseded') throw error;
      // A commit stands although the sync of its folder failed: what is counted must follow it.
      if (writer.snapshot.seq > base.seq) ledger.apply(name, base, draft.change);
      log.error({ datastore: name, code: error.code, err: error }, 'revision not published');
      return failureOf(error);
    }
  }

  /** After their repositories: whatever changed in one of them changes what is counted. */
  function recordDatastores(work: Pass, dirty: Dirty): void {
    const changed = [...work.drafts].filter(([, draft]) => !draft.empty).map(([name]) => name);
    const named = [...dirty.repositories].flatMap((key) => work.world.repositories.get(key)?.spec.datastore ?? []);
    const names = new Set([...dirty.datastores, ...changed, ...named]);
    const fresh = passDatastores(work, names, outcomes.repositories);
    for (const name of names) {
      const outcome = fresh.get(name);
      if (outcome === undefined) outcomes.datastores.delete(name);
      else outcomes.datastores.set(name, outcome);
      onOutcome('GuestStoreDatastore', name);
    }
  }

  /** Returns all that were looked at. */
  async function recordPolicies(
    { policies, clusterPolicies }: World,
    dirty: Dirty,
    concerned: ReturnType<Selected['policiesOf']>,
  ): Promise<readonly { readonly kind: Policy['kind']; readonly key: ObjectKey }[]> {
    const recorded: { readonly kind: Policy['kind']; readonly key: ObjectKey }[] = [];
    const changed = [...selected.takeChanged(), ...concerned];
    for (const [kind, all, known] of [
      ['VMAccessPolicy', policies, outcomes.policies],
      ['ClusterVMAccessPolicy', clusterPolicies, outcomes.clusterPolicies],
    ] as const) {
      const touched = kind === 'VMAccessPolicy' ? dirty.policies : dirty.clusterPolicies;
      const keys = new Set([...touched, ...changed.filter((one) => one.kind === kind).map(({ key }) => key)]);
      const fresh = passPolicies(all, kind, keys, selected, outcomes.vms);
      await record(known, keys, fresh, (key, outcome) => {
        const before = known.get(key);
        const own = touched.has(key) || before?.seq === undefined;
        const policy = all.get(key);
        const inForce = policy === undefined || applied.of(policy) !== undefined;
        // What a suspended one says now is not in force, and what it said before is.
        if (!inForce || (outcome.failure !== undefined && !outcome.suspended)) return outcome;
        if (!own) return { ...outcome, seq: before.seq, inherited: before.inherited };
        const vms = [...selected.vmsOf(kind, key)].flatMap((vm) => outcomes.vms.get(vm) ?? []);
        const seq = vms.reduce((latest, vm) => Math.max(latest, vm.seq ?? 0), 0);
        return { ...outcome, seq, inherited: vms.every(({ inherited }) => inherited) };
      });
      for (const key of keys) recorded.push({ kind, key });
    }
    return recorded;
  }

  /** Names every object whose status may differ now. */
  function tell(dirty: Dirty, items: Iterable<ObjectKey>, vms: Iterable<ObjectKey>, drafts: Iterable<Draft>): void {
    const repositories = new Set(dirty.repositories);
    for (const { change } of drafts) {
      for (const key of [...change.entries.keys(), ...change.repositories.keys()]) repositories.add(key);
      for (const row of change.vms.values()) if (row?.repository) repositories.add(row.repository);
    }
    for (const key of repositories) {
      const outcome = outcomes.repositories.get(key);
      if (outcome !== undefined) outcomes.repositories.set(key, { ...outcome, ...ledger.usage(key) });
      onOutcome('GuestStoreRepository', key);
    }
    for (const key of new Set([...dirty.items, ...items])) onOutcome('ContentItem', key);
    for (const key of new Set([...dirty.vms, ...vms])) onOutcome('GuestVM', key);
  }

  return {
    outcomes,
    ledger,
    selected,
    datastores: [...writers.keys()],
    get waiting() {
      // At the start, everything.
      return Number.isFinite(changes.size) ? changes.size : declaredIn(world);
    },
    holdsContent: (item) => {
      const claim = ledger.claimOf(item);
      const entry = claim && writers.get(claim.datastore)?.snapshot.find(claim.repository, claim.path);
      if (entry?.claim === item && entry.state !== 'retired') return true;
      return leftoverOf(world, writers, 'ContentItem', item) !== undefined;
    },
    holdsRepository: (key) =>
      holdsRepository(key) || leftoverOf(world, writers, 'GuestStoreRepository', key) !== undefined,
    revisionOf: (repository) => revisions.get(repository),
    touch,
    run,
    settled: () => (resting ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  };
}

/**
 * A file of somebody else in the plain tree is never overwritten: what should lie there is not published, and its item
 * says so. What was published before stays.
 */
async function withdrawForeign(
  writer: StoreWriter,
  draft: Draft,
  base: Snapshot,
  items: Map<ObjectKey, ItemOutcome>,
): Promise<void> {
  for (const [repository, paths] of await writer.findForeign(draft.change)) {
    for (const [path, message] of paths) {
      const wanted = draft.entry(repository, path);
      if (wanted === undefined) continue;
      const before = base.find(repository, path);
      draft.setEntry(repository, path, before ?? { state: 'pending', claim: wanted.claim });
      const outcome = items.get(wanted.claim);
      if (outcome === undefined) continue;
      const served = before?.state === 'stored' ? outcome.served : undefined;
      items.set(wanted.claim, { ...outcome, served, failure: obstacleOf(message) });
    }
  }
}

/** Guests are served, people who look into the plain tree are not yet. */
function blockedFailure(writer: StoreWriter | undefined, { repository, path }: Claim): Failure | undefined {
  const message = writer?.blocked.get(repository)?.get(path);
  return message === undefined ? undefined : obstacleOf(message);
}

/** What the store says of a place in the plain tree: that somebody's file lies there, or that the file system failed. */
function obstacleOf(message: string): Failure {
  const reason = message.startsWith('datastore: ') ? 'StoreUnavailable' : 'ForeignFile';
  return { reason, message, terminal: false };
}

function trailsBehind({ blocked, leftovers, treeTrouble }: StoreWriter): boolean {
  return blocked.size + leftovers.length > 0 || treeTrouble !== undefined;
}

function treeFailure(writer: StoreWriter | undefined): Failure | undefined {
  return writer?.treeTrouble && failureOf(asGuestStoreError(writer.treeTrouble, 'StoreUnavailable'));
}

/** How an outcome ends: with the revision since which it is so, or with the datastore's failure. */
function ends(published: ReadonlyMap<string, Snapshot>, failures: ReadonlyMap<string, Failure>) {
  return <One extends Outcome & { readonly fetching?: boolean }>(
    datastore: string,
    outcome: One,
    before: Outcome | undefined,
    changed: boolean | undefined,
    /** Whether the datastore holds anything of it. */
    there: boolean,
  ): One => {
    const latest = published.get(datastore)?.seq ?? 0;
    const kept = { seq: before?.seq ?? latest, inherited: before?.inherited ?? true };
    // It asks for nothing, so nothing that failed is its own; what it has, it keeps.
    if (outcome.suspended) return there ? { ...outcome, ...kept } : { ...outcome, seq: undefined };
    const failure = outcome.failure ?? failures.get(datastore);
    if (failure !== undefined || outcome.fetching === true) return { ...outcome, failure, seq: undefined };
    return changed === true ? { ...outcome, seq: latest, inherited: false } : { ...outcome, ...kept };
  };
}

/** Whoever looks meanwhile sees old outcomes beside new ones: all that may differ is told again in the end. */
async function record<One extends Outcome>(
  known: Map<ObjectKey, One>,
  keys: Iterable<ObjectKey>,
  fresh: ReadonlyMap<ObjectKey, One>,
  end: (key: ObjectKey, outcome: One) => One,
): Promise<void> {
  const breathe = createBreath();
  for (const key of new Set(keys)) {
    const outcome = fresh.get(key);
    if (outcome === undefined) known.delete(key);
    else known.set(key, end(key, outcome));
    await breathe();
  }
}

function summaryOf({ change }: Draft): string {
  const items = change.entries.values().reduce((sum, paths) => sum + paths.size, 0);
  return `${change.repositories.size} repositories, ${items} paths, ${change.vms.size} VMs`;
}

function declaredIn({ repositories, items, policies, clusterPolicies, vms }: World): number {
  return repositories.size + items.size + policies.size + clusterPolicies.size + vms.size;
}

function snapshotsOf(writers: ReadonlyMap<string, StoreWriter>): Map<string, Snapshot> {
  return new Map([...writers].map(([name, { snapshot }]) => [name, snapshot]));
}

function* publishedRuleSets(writers: ReadonlyMap<string, StoreWriter>) {
  for (const { snapshot } of writers.values()) {
    for (const digest of new Set([...snapshot.vms()].map(([, { ruleSet }]) => ruleSet))) {
      const ruleSet = digest === null ? undefined : snapshot.ruleSet(digest);
      if (ruleSet !== undefined) yield ruleSet;
    }
  }
}
