import { type HostView, hostViews } from '../../core/hosts.ts';
import type { Acknowledgement, StoreWriter } from '../../store/types.ts';

/** What the daemons of each datastore say, as last read. */
export interface HostReports {
  /** Hosts of one datastore by name. */
  views(datastore: string): ReadonlyMap<string, HostView>;
  /** All that one host's daemons say, of every datastore. */
  acknowledgements(host: string): readonly Acknowledgement[];
  hosts(): ReadonlySet<string>;
  /** Reads again, and tells what is new since the last time. */
  refresh(now: Date): Promise<HostNews>;
}

export interface HostNews {
  /** Somebody serves another revision, came or went: whoever waits for hosts may look again. */
  readonly moved: boolean;
  /** A GuestStoreHost may have to say something else; seq and heartbeat alone do not count. */
  readonly shown: boolean;
  /** Hosts that speak now and did not, or that say something else about their VMs. */
  readonly came: ReadonlySet<string>;
  /** Hosts that spoke and do not now. */
  readonly went: ReadonlySet<string>;
}

export function createHostReports(writers: ReadonlyMap<string, StoreWriter>): HostReports {
  let reports = new Map<string, readonly Acknowledgement[]>();
  let views = new Map<string, ReadonlyMap<string, HostView>>();
  let shown = '';
  return {
    views: (datastore) => views.get(datastore) ?? new Map(),
    acknowledgements: (host) => [...reports.values()].flat().filter((report) => report.host === host),
    hosts: () => new Set([...views.values()].flatMap((byHost) => [...byHost.keys()])),
    refresh: async (now) => {
      const read = await Promise.all(
        [...writers].map(async ([name, writer]) => [name, await writer.acknowledgements()] as const),
      );
      const before = views;
      reports = new Map(read);
      views = new Map(read.map(([name, all]) => [name, hostViews(all, now)]));
      const news = newsBetween(before, views);
      const said = shownOf(read, views);
      const changed = said !== shown;
      shown = said;
      return { ...news, shown: changed || news.came.size > 0 || news.went.size > 0 };
    },
  };
}

type Views = ReadonlyMap<string, ReadonlyMap<string, HostView>>;

function newsBetween(before: Views, after: Views): Omit<HostNews, 'shown'> {
  const [came, went] = [new Set<string>(), new Set<string>()];
  let moved = false;
  for (const datastore of new Set([...before.keys(), ...after.keys()])) {
    const [was, is] = [before.get(datastore), after.get(datastore)];
    for (const host of new Set([...(was?.keys() ?? []), ...(is?.keys() ?? [])])) {
      const [old, view] = [was?.get(host), is?.get(host)];
      if (old?.fresh === true && view?.fresh !== true) went.add(host);
      if (view?.fresh === true && (old?.fresh !== true || refusalsOf(old) !== refusalsOf(view))) came.add(host);
      moved ||= old?.seq !== view?.seq;
    }
  }
  return { moved: moved || came.size > 0 || went.size > 0, came, went };
}

function refusalsOf({ refused }: HostView): string {
  return refused.size === 0 ? '' : JSON.stringify([...refused]);
}

function shownOf(read: readonly (readonly [string, readonly Acknowledgement[]])[], views: Views): string {
  return JSON.stringify(
    read.map(([name, all]) => [
      [...(views.get(name) ?? [])].map(([host, { instances }]) => [host, instances]),
      all.map(({ formats, version, space, errors }) => [formats, version, freePercent(space), errors]),
    ]),
  );
}

/** Free space in per cent, rounded down to tens, so that it seldom changes. */
export function freePercent(space: Acknowledgement['space']): number | undefined {
  if (space === null || space.total <= 0) return undefined;
  return Math.floor((space.free / space.total) * 10) * 10;
}
