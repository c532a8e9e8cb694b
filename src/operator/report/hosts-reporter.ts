import { type Condition, conditionOf } from '../../core/conditions.ts';
import { sameRecord } from '../../store/canonical.ts';
import type { HostAsks, HostStatus, StatusSink, World, WrittenStatus } from '../types.ts';
import { happeningsBetween } from './happenings.ts';
import type { HostReports } from './host-reports.ts';
import { hostStatus, restingHost } from './host-statuses.ts';

/** Writes what each host's daemons say onto its GuestStoreHost, and retires hosts that are gone for good. */
export interface HostsReporter {
  /** Hosts that do not speak and that no VM names: only time decides about them. */
  readonly silent: number;
  /** Somebody edited a host's object, or asks for a look at it, or the last write failed. */
  readonly asked: boolean;
  /** `attempt` makes one write, and says whether it was made. */
  write(attempt: Attempt, signal: AbortSignal): Promise<void>;
}

type Attempt = (object: string, write: () => Promise<void>, signal: AbortSignal) => Promise<boolean>;

export interface HostsReporterOptions {
  readonly world: World;
  readonly datastores: readonly string[];
  readonly reports: HostReports;
  readonly sink: StatusSink;
  /** Removes what a silent host's daemons left in the datastores. */
  readonly forgetHost: (host: string) => Promise<void>;
  /** Milliseconds of silence after which a host that no VM names is retired. */
  readonly retireAfter: number;
  readonly now: () => Date;
}

export function createHostsReporter(options: HostsReporterOptions): HostsReporter {
  const { world, datastores, reports, sink, retireAfter, now } = options;
  const hosts = new Map<string, WrittenStatus>();
  /** Hosts of which this run has seen an acknowledgement. */
  const spoke = new Set<string>();
  /** What an earlier run said: not written again where it still holds. */
  let earlier: Map<string, WrittenStatus> | undefined;
  let silent = 0;
  let failed = false;

  async function write(attempt: Attempt, signal: AbortSignal): Promise<void> {
    earlier ??= new Map(sink.hostStatuses());
    const vms = vmsByHost(world);
    silent = 0;
    failed = false;
    for (const host of new Set([...reports.hosts(), ...vms.keys(), ...hosts.keys(), ...earlier.keys()])) {
      const fresh = datastores.some((name) => reports.views(name).get(host)?.fresh === true);
      const wanted = fresh || vms.has(host);
      if (!wanted && isGone(host) && (await retire(host, attempt, signal))) continue;
      if (!wanted) silent += 1;
      await writeOne(host, fresh, vms.get(host) ?? 0, attempt, signal);
    }
  }

  async function writeOne(host: string, fresh: boolean, vms: number, attempt: Attempt, signal: AbortSignal) {
    const said = reports.acknowledgements(host);
    if (said.length > 0) spoke.add(host);
    const before = hosts.get(host) ?? earlier?.get(host);
    const asks = sink.hostAsks(host);
    const generation = asks?.generation ?? 1;
    const suspended = asks?.suspended === true && before !== undefined;
    const shown = suspended
      ? restingHost(before, generation, now())
      : hostStatus(host, fresh, said, vms, before?.conditions ?? [], generation, now());
    const handled = (suspended ? undefined : asks?.request) ?? before?.lastHandledReconcileAt;
    const status = { ...shown, ...(handled === undefined ? {} : { lastHandledReconcileAt: handled }) } as HostStatus;
    if (!sameRecord(status, before)) {
      const told = await attempt(`GuestStoreHost ${host}`, () => sink.writeHost(host, status, signal), signal);
      // The first word of a host is no news.
      if (!told) {
        failed = true;
        return;
      }
      if (before !== undefined)
        for (const one of happeningsBetween(before, status)) sink.event('GuestStoreHost', host, one);
    }
    hosts.set(host, status);
  }

  /** Its daemons said good-bye while we looked, or it has been silent for as long as it takes. */
  function isGone(host: string): boolean {
    const said = reports.acknowledgements(host);
    if (said.length === 0 && spoke.has(host)) return true;
    const heartbeats = said.map(({ heartbeat }) => Date.parse(heartbeat));
    const since =
      heartbeats.length > 0
        ? Math.max(...heartbeats)
        : silentSince((hosts.get(host) ?? earlier?.get(host))?.conditions);
    return now().getTime() - since > retireAfter;
  }

  async function retire(host: string, attempt: Attempt, signal: AbortSignal): Promise<boolean> {
    const done = await attempt(
      `GuestStoreHost ${host}`,
      async () => {
        await options.forgetHost(host);
        await sink.removeHost(host, signal);
      },
      signal,
    );
    if (done) {
      hosts.delete(host);
      spoke.delete(host);
      earlier?.delete(host);
    }
    return done;
  }

  return {
    get silent() {
      return silent;
    },
    get asked() {
      return failed || [...hosts].some(([host, status]) => isBehind(status, sink.hostAsks(host)));
    },
    write,
  };
}

/** Whether a host's object asks for more than its status answers. */
function isBehind({ observedGeneration, lastHandledReconcileAt }: WrittenStatus, asks: HostAsks | undefined): boolean {
  if (asks === undefined) return false;
  const { generation, suspended, request } = asks;
  return (
    observedGeneration !== generation || (!suspended && request !== undefined && request !== lastHandledReconcileAt)
  );
}

/** Milliseconds since 1970 when a status began to say that nobody speaks; never, where it does not. */
function silentSince(conditions: readonly Condition[] | undefined): number {
  const ready = conditionOf(conditions, 'Ready');
  if (ready?.reason !== 'HeartbeatMissing') return Number.POSITIVE_INFINITY;
  return Date.parse(ready.lastTransitionTime);
}

function vmsByHost({ vms }: World): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { spec } of vms.values()) {
    if (spec.host !== undefined) counts.set(spec.host, (counts.get(spec.host) ?? 0) + 1);
  }
  return counts;
}
