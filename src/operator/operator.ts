import { pause } from '../lib/lifecycle.ts';
import type { Log } from '../lib/log.ts';
import type { FetchHttp, OpenImport } from '../sources/types.ts';
import type { StoreWriter } from '../store/types.ts';
import type { Instruments } from './instruments.ts';
import { createContents } from './publish/contents.ts';
import { createFetcher } from './publish/fetcher.ts';
import { createPublisher, type Publisher } from './publish/publisher.ts';
import { runRechecks } from './publish/rechecks.ts';
import { createHostReports } from './report/host-reports.ts';
import { createReporter } from './report/reporter.ts';
import { createStatuses } from './report/statuses.ts';
import type { StatusSink, World } from './types.ts';

export interface OperatorOptions {
  readonly world: World;
  readonly sink: StatusSink;
  /** By the name that repositories use. The caller closes them, after the operator. */
  readonly writers: ReadonlyMap<string, StoreWriter>;
  /** Import folder by namespace; `''` is for all, where a namespace has none of its own. */
  readonly importFolders: ReadonlyMap<string, string>;
  readonly fetchHttp: FetchHttp;
  readonly openImport: OpenImport;
  /** Milliseconds of silence after which a host that no VM names is retired; a day by default. */
  readonly retireHostsAfter?: number | undefined;
  readonly now: () => Date;
  readonly log: Log;
  readonly instruments: Instruments;
}

/** resource -> desired state -> plan -> apply -> status, until the signal aborts. */
export interface Operator {
  readonly publisher: Publisher;
  /**
   * Until `stop` aborts: then a commit under way is finished, and what it changed is said in status, within a second. Once
   * `lost` aborts nothing more is said. Throws `Superseded` when another operator took over a datastore.
   */
  run(stop: AbortSignal, lost?: AbortSignal): Promise<void>;
  /** Everything observed so far is published, acknowledged by who is alive, and said in status. */
  settled(): Promise<void>;
}

const dayInMilliseconds = 86_400_000;
/** How many sources are fetched at once. */
const transfers = 8;
/** Milliseconds that last words may take. */
const lastWords = 1_000;

export function createOperator(options: OperatorOptions, signal: AbortSignal): Operator {
  const { world, writers, now, instruments } = options;
  const sink = instruments.counted(options.sink);
  const logOf = (logger: string) => options.log.child({ logger });
  const fetcher = createFetcher({
    fetchHttp: options.fetchHttp,
    concurrency: transfers,
    log: logOf('fetcher'),
    onSettled: (item) => publisher.touch('ContentItem', item),
    onEnd: instruments.fetched,
    signal,
  });
  const contents = createContents({
    fetcher,
    openImport: options.openImport,
    importFolders: options.importFolders,
    onBytes: instruments.publisher.progress.step,
  });
  const publisher = createPublisher({
    world,
    writers,
    contents,
    now,
    log: logOf('publisher'),
    rounds: instruments.publisher,
    onOutcome: (kind, key) => reporter.touch(kind, key),
  });
  const reports = createHostReports(writers);
  const progressOf = (item: string) => fetcher.state(item)?.progress;
  const statuses = createStatuses({ world, publisher, reports, progressOf, now });
  const forgetHost = async (host: string) => {
    for (const writer of writers.values()) await writer.forgetHost(host);
  };
  const retireHostsAfter = options.retireHostsAfter ?? dayInMilliseconds;
  const reporting = {
    world,
    publisher,
    statuses,
    reports,
    sink,
    forgetHost,
    retireHostsAfter,
    now,
    log: logOf('reporter'),
    instruments,
  };
  const reporter = createReporter(reporting);
  return {
    publisher,
    run: async (stop, lost = new AbortController().signal) => {
      // Whichever ends first ends the other: a publisher that was superseded must not be reported on.
      const ended = new AbortController();
      const both = AbortSignal.any([stop, ended.signal]);
      const unsaid = new AbortController();
      const { outcomes } = publisher;
      const touch = (item: string) => publisher.touch('ContentItem', item);
      const forget = world.onChange((kind, key) => publisher.touch(kind, key));
      const tell = (item: string) => reporter.touch('ContentItem', item);
      const rechecks = runRechecks(world, outcomes, options.importFolders, touch, tell, both);
      instruments.working({
        publisher: () => publisher.waiting,
        reporter: () => reporter.waiting,
        fetches: () => fetcher.load,
      });
      const reporting = reporter.run(AbortSignal.any([lost, unsaid.signal]));
      const publishing = publisher
        .run(both)
        // What was published is still said.
        .then(() => Promise.race([reporter.said(), reporting, pause(lastWords, unsaid.signal)]))
        .finally(() => unsaid.abort());
      const running = [publishing, reporting, rechecks];
      try {
        await Promise.race(running);
      } finally {
        ended.abort();
        forget();
        await Promise.allSettled(running);
        instruments.rest();
      }
      await Promise.all(running);
    },
    settled: async () => {
      await publisher.settled();
      await fetcher.settled();
      await publisher.settled();
      await reporter.settled();
    },
  };
}
