import { type Condition, conditionOf, dated, type Fact } from '../../core/conditions.ts';
import { type Reach, reachOf } from '../../core/hosts.ts';
import type { ObjectKey } from '../../core/names.ts';
import { heard, type Outcome } from '../../core/outcome.ts';
import { datastoreFacts, itemFacts, policyFacts, repositoryFacts, vmFacts } from '../../core/status.ts';
import type { Publisher } from '../publish/publisher.ts';
import type { DeclaredKind, World, WrittenStatus } from '../types.ts';
import type { HostReports } from './host-reports.ts';

/** A status that is to be written, and whether hosts are still waited for. */
export interface Report {
  readonly status: WrittenStatus;
  readonly waiting: boolean;
}

export interface StatusesOptions {
  readonly world: World;
  readonly publisher: Publisher;
  readonly reports: HostReports;
  readonly progressOf: (item: ObjectKey) => { readonly bytes: number; readonly total: number | undefined } | undefined;
  readonly now: () => Date;
}

/** A list in status is for a look; the whole is for `explain`. */
const maxListed = 64;

/** Computes the status of any declared object from its outcome and what the hosts say; undefined while it has none. */
export function createStatuses(options: StatusesOptions) {
  const { world, publisher, reports, progressOf, now } = options;
  const { outcomes, ledger, selected } = publisher;
  /** The newest revision of each object that all its hosts were once seen to serve: who was Ready stays so. */
  const reached = new Map<string, number>();

  function statusOf(kind: DeclaredKind, key: ObjectKey, previous: WrittenStatus | undefined): Report | undefined {
    if (kind === 'ContentItem') return itemStatus(key, previous);
    if (kind === 'GuestStoreRepository') return repositoryStatus(key, previous);
    if (kind === 'GuestVM') return vmStatus(key, previous);
    if (kind === 'GuestStoreDatastore') return datastoreStatus(key, previous);
    return policyStatus(kind, key, previous);
  }

  function itemStatus(key: ObjectKey, previous: WrittenStatus | undefined): Report | undefined {
    const outcome = outcomes.items.get(key);
    if (outcome === undefined) return undefined;
    const repository = outcome.repository ?? '';
    const reach = settledReach('ContentItem', key, outcome, previous, reachIn(repository, outcome.seq ?? 0));
    const { served } = outcome;
    const progress = outcome.fetching ? progressOf(key) : undefined;
    // Asked anew by an operator that has just started: until bytes come, what the source said last is the news.
    if (outcome.fetching && progress === undefined && sourceFailed(outcome, previous)) {
      return { status: previous, waiting: false };
    }
    const shown = served !== undefined && !served.sensitive ? served.digest : undefined;
    const servedDigest = reach.behind.length === 0 ? shown : previous?.servedDigest;
    return report(outcome, itemFacts(outcome, reach), previous, reach, {
      digest: shown,
      size: served?.size,
      sourceRevision: outcome.sourceRevision || undefined,
      servedDigest,
      progress,
    });
  }

  function repositoryStatus(key: ObjectKey, previous: WrittenStatus | undefined): Report | undefined {
    const outcome = outcomes.repositories.get(key);
    if (outcome === undefined) return undefined;
    const reach = settledReach('GuestStoreRepository', key, outcome, previous, reachIn(key, outcome.seq ?? 0));
    const revision = publisher.revisionOf(key) ?? numberOf(previous?.revision) ?? outcome.seq;
    const newest = reachIn(key, publisher.revisionOf(key) ?? 0);
    const unreachable = newest.unreachable.slice(0, maxListed);
    const written = report(outcome, repositoryFacts(outcome, reach), previous, reach, {
      revision,
      items: outcome.items,
      bytes: outcome.bytes,
      hosts: {
        total: newest.current.length + newest.behind.length + newest.unreachable.length,
        current: newest.current.length,
        ...(unreachable.length > 0 ? { unreachable } : {}),
      },
    });
    return { ...written, waiting: written.waiting || newest.behind.length > 0 };
  }

  function vmStatus(key: ObjectKey, previous: WrittenStatus | undefined): Report | undefined {
    const outcome = outcomes.vms.get(key);
    if (outcome === undefined) return undefined;
    const datastore = ledger.datastoresOf(key)[0] ?? '';
    const views = reports.views(datastore);
    const reach = settledReach('GuestVM', key, outcome, previous, reachOf(outcome.seq ?? 0, [outcome.host], views));
    const view = views.get(outcome.host);
    const said = view?.fresh === true ? view.refused.get(key) : undefined;
    const refused = said && heard(said, 'ChannelRefused');
    const facts = vmFacts(outcome, reach, refused);
    const applied = reach.current.length > 0 && refused === undefined && outcome.failure === undefined;
    const why = outcome.failure ?? refused ?? conditionOf(facts as Condition[], 'Ready');
    return report(outcome, facts, previous, reach, {
      repository: outcome.repository,
      ruleSet: outcome.ruleSet,
      rules: { grant: outcome.grants, deny: outcome.denies },
      policies: outcome.policies.slice(0, maxListed),
      grant: outcome.exported?.grant,
      deny: outcome.exported?.deny,
      targets: [
        { name: 'daemon', applied, ...(applied ? {} : { reason: why?.reason ?? '', message: why?.message ?? '' }) },
      ],
    });
  }

  function datastoreStatus(name: string, previous: WrittenStatus | undefined): Report | undefined {
    const outcome = outcomes.datastores.get(name);
    if (outcome === undefined) return undefined;
    const { namespaces, repositories, refused, bytes } = outcome;
    const reach: Reach = { current: [], behind: [], unreachable: [] };
    return report(outcome, datastoreFacts(outcome), previous, reach, { namespaces, repositories, refused, bytes });
  }

  function policyStatus(
    kind: 'VMAccessPolicy' | 'ClusterVMAccessPolicy',
    key: ObjectKey,
    previous: WrittenStatus | undefined,
  ): Report | undefined {
    const outcome = (kind === 'VMAccessPolicy' ? outcomes.policies : outcomes.clusterPolicies).get(key);
    if (outcome === undefined) return undefined;
    let programmed = 0;
    const seen: { -readonly [Part in keyof Reach]: string[] } = { current: [], behind: [], unreachable: [] };
    for (const vm of selected.vmsOf(kind, key)) {
      const { host = '', seq, failure } = outcomes.vms.get(vm) ?? {};
      const view = reports.views(ledger.datastoresOf(vm)[0] ?? '').get(host);
      if (view?.fresh !== true) seen.unreachable.push(host);
      else if (view.seq < Math.min(seq ?? 0, outcome.seq ?? 0)) seen.behind.push(host);
      else {
        seen.current.push(host);
        if (failure === undefined && outcome.failure === undefined) programmed += 1;
      }
    }
    const raw = {
      current: [...new Set(seen.current)],
      behind: [...new Set(seen.behind)].toSorted(),
      unreachable: [...new Set(seen.unreachable)],
    };
    const reach = settledReach(kind, key, outcome, previous, raw);
    const written = report(outcome, policyFacts(outcome, reach), previous, reach, {
      matched: outcome.matched,
      programmed,
    });
    return { ...written, waiting: written.waiting || raw.behind.length > 0 };
  }

  function reachIn(repository: ObjectKey, seq: number): Reach {
    const datastore = world.repositories.get(repository)?.spec.datastore ?? '';
    return reachOf(seq, ledger.hostsOf(repository), reports.views(datastore));
  }

  /** Waiting for hosts is for what is new; a host that starts later, or an operator that does, sends nobody back. */
  function settledReach(
    kind: DeclaredKind,
    key: ObjectKey,
    outcome: Outcome,
    previous: WrittenStatus | undefined,
    reach: Reach,
  ): Reach {
    if (outcome.seq === undefined) return reach;
    const name = `${kind} ${key}`;
    const known = reached.get(name);
    const wasReady =
      known === undefined &&
      previous?.observedGeneration === outcome.generation &&
      conditionOf(previous.conditions, 'Ready')?.status === 'True' &&
      outcome.inherited;
    if (reach.behind.length === 0 || wasReady) reached.set(name, outcome.seq);
    else if (known === undefined || known < outcome.seq) return reach;
    return { ...reach, behind: [], current: [...reach.current, ...reach.behind] };
  }

  function report(
    outcome: Outcome,
    facts: readonly Fact[],
    previous: WrittenStatus | undefined,
    reach: Reach,
    own: Readonly<Record<string, unknown>>,
  ): Report {
    const handled = outcome.handled ?? previous?.lastHandledReconcileAt;
    return {
      status: {
        observedGeneration: outcome.generation,
        ...(handled === undefined ? {} : { lastHandledReconcileAt: handled }),
        conditions: dated(facts, previous?.conditions ?? [], outcome.generation, now()),
        ...Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined)),
      },
      waiting: outcome.seq !== undefined && reach.behind.length > 0,
    };
  }

  return { statusOf, forget: (kind: DeclaredKind, key: ObjectKey) => reached.delete(`${kind} ${key}`) };
}

function sourceFailed({ generation }: Outcome, previous: WrittenStatus | undefined): previous is WrittenStatus {
  const before = previous?.observedGeneration === generation ? previous.conditions : [];
  return conditionOf(before, 'SourceReady')?.status === 'False';
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

export type Statuses = ReturnType<typeof createStatuses>;
