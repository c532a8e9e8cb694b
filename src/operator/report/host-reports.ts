import { type HostView, hostViews } from '../../core/hosts.ts';
import type { Acknowledgement, StoreWriter } from '../../store/types.ts';

/** What the daemons of each datastore say, as last read. */
export interface HostReports {
  /** Hosts of one datastore by name. */
  views(datastore: string): ReadonlyMap<string, HostView>;
  /** All that one host's daemons say, of every datastore. */
  acknowledgements(host: string): readonly Acknowledgement[];
  hosts(): ReadonlySet<string>;
  /** Reads again. True when a host came, went, or says something that status shows; seq alone does not count. */
  refresh(now: Date): Promise<boolean>;
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
      reports = new Map(read);
      views = new Map(read.map(([name, all]) => [name, hostViews(all, now)]));
      const before = shown;
      shown = JSON.stringify(
        read.map(([name, all]) => [
          name,
          [...(views.get(name) ?? [])].map(([host, { fresh, instances, refused }]) => [
            host,
            fresh,
            instances,
            [...refused],
          ]),
          all.map(({ formats, version, space, errors }) => [formats, version, freePercent(space), errors]),
        ]),
      );
      return shown !== before;
    },
  };
}

/** Free space in per cent, rounded down to tens, so that it seldom changes. */
export function freePercent(space: Acknowledgement['space']): number | undefined {
  if (space === null || space.total <= 0) return undefined;
  return Math.floor((space.free / space.total) * 10) * 10;
}
