import type { ObjectKey } from './names.ts';

/** Milliseconds between heartbeats of a daemon, and for how long one counts. */
export const heartbeatInterval = 5_000;
export const heartbeatFresh = 20_000;

/** The part of a daemon's acknowledgement that says how far it is. */
export interface HostReport {
  readonly host: string;
  readonly instance: string;
  readonly seq: number;
  readonly heartbeat: string;
  readonly refused: Readonly<Record<string, { readonly reason: string; readonly message: string }>>;
}

/** One host: its daemons may overlap, so it serves the lowest seq of those that are alive. */
export interface HostView {
  readonly host: string;
  readonly fresh: boolean;
  /** 0 while nothing is served. */
  readonly seq: number;
  readonly instances: number;
  /** The latest heartbeat, RFC 3339. */
  readonly heartbeat: string;
  readonly refused: ReadonlyMap<ObjectKey, { readonly reason: string; readonly message: string }>;
}

/** Hosts by name. A heartbeat is fresh for 20 s by the clock of who reads it; one from the future counts as now. */
export function hostViews(reports: readonly HostReport[], now: Date): ReadonlyMap<string, HostView> {
  const views = new Map<string, HostView>();
  for (const [host, all] of Map.groupBy(reports, (report) => report.host)) {
    const alive = all.filter(({ heartbeat }) => now.getTime() - Date.parse(heartbeat) <= heartbeatFresh);
    const speaking = alive.length > 0 ? alive : all;
    views.set(host, {
      host,
      fresh: alive.length > 0,
      seq: Math.min(...speaking.map(({ seq }) => seq)),
      instances: alive.length,
      heartbeat:
        all
          .map(({ heartbeat }) => heartbeat)
          .toSorted()
          .at(-1) ?? '',
      refused: new Map(speaking.flatMap(({ refused }) => Object.entries(refused))),
    });
  }
  return views;
}

/** Which of the hosts that matter serve revision `seq`: those with a heartbeat are waited for, the others are named. */
export interface Reach {
  readonly current: readonly string[];
  readonly behind: readonly string[];
  readonly unreachable: readonly string[];
}

export function reachOf(seq: number, hosts: Iterable<string>, views: ReadonlyMap<string, HostView>): Reach {
  const reach = { current: [] as string[], behind: [] as string[], unreachable: [] as string[] };
  for (const host of [...new Set(hosts)].toSorted()) {
    const view = views.get(host);
    if (view?.fresh !== true) reach.unreachable.push(host);
    else if (view.seq >= seq) reach.current.push(host);
    else reach.behind.push(host);
  }
  return reach;
}
