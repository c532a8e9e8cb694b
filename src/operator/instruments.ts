import { ownReasons } from '../core/outcome.ts';
import { asGuestStoreError, errorCodes } from '../lib/errors.ts';
import type { Check } from '../lib/health.ts';
import type { Log } from '../lib/log.ts';
import type { Labels, Metrics } from '../lib/metrics.ts';
import { progressCheck } from '../lib/progress.ts';
import type { StoreWriter } from '../store/types.ts';
import { createRounds, type Rounds } from './rounds.ts';
import { watchSpace } from './space.ts';
import type { StatusSink } from './types.ts';

/** What the operator counts and how it tells that it goes on: made once a process, whoever leads how often. */
export interface Instruments extends Disposable {
  readonly publisher: Rounds;
  readonly reporter: Rounds;
  /** Looks at what the hosts' daemons say. */
  readonly hosts: Rounds;
  /** Liveness: none of them hangs. */
  readonly checks: readonly Check[];
  /** Opens a datastore, and counts what is done with it. */
  opened(datastore: string, open: () => Promise<StoreWriter>): Promise<StoreWriter>;
  /** The same sink, with its writes counted. */
  counted(sink: StatusSink): StatusSink;
  fetched(fetch: FetchEnd): void;
  /** An operator works, with this much before it. */
  working(loads: Loads): void;
  /** None works any more. */
  rest(): void;
}

/** How one look at a source on the network ended. */
export interface FetchEnd {
  readonly result: 'fetched' | 'unchanged' | 'failed';
  /** An error's code, where it failed. */
  readonly code?: string;
  /** Received, also where it failed. */
  readonly bytes: number;
}

/** Objects that wait for a round, and fetches. */
export interface Loads {
  readonly publisher: () => number;
  readonly reporter: () => number;
  readonly fetches: () => { readonly running: number; readonly waiting: number };
}

/** An object of ours as far as its readiness goes. */
export interface Shown {
  readonly kind: string;
  readonly status: { readonly conditions?: readonly ShownCondition[] | undefined };
}

interface ShownCondition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
}

export interface InstrumentsOptions {
  readonly metrics: Metrics;
  readonly log: Log;
  /** Folder by name. */
  readonly datastores: ReadonlyMap<string, string>;
  /** All declared objects and hosts, as they are known now. */
  readonly objects: () => Iterable<Shown>;
  /** Milliseconds without a step after which work that waits is stuck; five minutes by default. */
  readonly stuckAfter?: number | undefined;
}

const reasons: ReadonlySet<string> = new Set([...ownReasons, ...errorCodes]);
/** Seconds: an empty folder takes a millisecond, ten thousand new rows seconds. */
const commitBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export function createInstruments(options: InstrumentsOptions): Instruments {
  const { metrics, log, stuckAfter = 300_000 } = options;
  let loads: Loads | undefined;
  const publisher = createRounds({ name: 'publisher', metrics, log, depth: () => loads?.publisher() ?? 0 });
  const reporter = createRounds({ name: 'reporter', metrics, log, depth: () => loads?.reporter() ?? 0 });
  const hosts = createRounds({ name: 'hosts', metrics, log, depth: () => 0 });
  const all = [publisher, reporter, hosts];
  const open = new Map<string, boolean>();
  const writers = new Map<string, StoreWriter>();
  const space = watchSpace(metrics, options.datastores);
  countObjects(metrics, options.objects);

  metrics.gaugeOf(
    'gueststore_pending_seconds',
    'Age of the oldest change that is not published; 0 when all is.',
    () => publisher.pending / 1000,
  );
  metrics.gaugeOf(
    'gueststore_last_successful_pass_timestamp_seconds',
    'When a pass of the publisher last went well, in seconds since 1970.',
    () => (publisher.lastSuccess === undefined ? undefined : publisher.lastSuccess / 1000),
  );
  metrics.gaugesOf('gueststore_datastore_open', 'Whether the leader could open the datastore.', () =>
    open.entries().map(([datastore, well]) => [{ datastore }, well ? 1 : 0] as const),
  );
  metrics.gaugesOf('gueststore_datastore_seq', 'Newest revision of the datastore, as the leader knows it.', () =>
    writers.entries().map(([datastore, { snapshot }]) => [{ datastore }, snapshot.seq] as const),
  );
  metrics.gaugeOf('gueststore_fetches_running', 'Sources that are being fetched.', () => loads?.fetches().running ?? 0);
  metrics.gaugeOf(
    'gueststore_fetches_waiting',
    'Sources that wait for their turn to be fetched.',
    () => loads?.fetches().waiting ?? 0,
  );
  const fetches = metrics.counter('gueststore_fetches_total', 'Looks at sources on the network, by result.');
  const fetchFailures = metrics.counter(
    'gueststore_fetch_failures_total',
    'Fetches that failed, by code of the error.',
  );
  const fetchedBytes = metrics.counter('gueststore_fetched_bytes_total', 'Bytes received from sources on the network.');
  for (const result of ['fetched', 'unchanged', 'failed']) fetches.add({ result }, 0);
  fetchedBytes.add({}, 0);
  const statusWrites = metrics.counter('gueststore_status_writes_total', 'Statuses written, by kind and result.');
  const commits = metrics.counter('gueststore_commits_total', 'Revisions published.');
  const commitFailures = metrics.counter(
    'gueststore_commit_failures_total',
    'Revisions that could not be published, by code of the error.',
  );
  const commitTimes = metrics.histogram(
    'gueststore_commit_duration_seconds',
    'How long the datastore takes to publish a revision.',
    commitBuckets,
  );
  for (const datastore of options.datastores.keys()) {
    commits.add({ datastore }, 0);
    for (const code of ['StoreUnavailable', 'StoreCorrupt']) commitFailures.add({ datastore, code }, 0);
  }

  function countedWriter(datastore: string, writer: StoreWriter): StoreWriter {
    const publish: StoreWriter['publish'] = async (...change) => {
      const start = performance.now();
      try {
        const commit = await writer.publish(...change);
        if (commit !== undefined) {
          commits.add({ datastore });
          commitTimes.observe((performance.now() - start) / 1000, { datastore });
        }
        return commit;
      } catch (thrown) {
        commitFailures.add({ datastore, code: asGuestStoreError(thrown, 'StoreUnavailable').code });
        throw thrown;
      }
    };
    return Object.assign(Object.create(writer) as StoreWriter, { publish });
  }

  return {
    publisher,
    reporter,
    hosts,
    checks: [
      progressCheck('publisher', publisher.progress, stuckAfter, 'what changed'),
      progressCheck('reporter', reporter.progress, stuckAfter, 'status'),
      progressCheck('hosts', hosts.progress, stuckAfter, 'a look at the hosts'),
    ],
    opened: async (datastore, openWriter) => {
      publisher.progress.busy();
      try {
        const writer = countedWriter(datastore, await openWriter());
        writers.set(datastore, writer);
        open.set(datastore, true);
        return writer;
      } catch (thrown) {
        open.set(datastore, false);
        throw thrown;
      } finally {
        publisher.progress.step();
      }
    },
    counted: (sink) => {
      const count = async (kind: string, write: () => Promise<void>) => {
        try {
          await write();
          statusWrites.add({ kind, result: 'written' });
        } catch (thrown) {
          statusWrites.add({ kind, result: 'failed' });
          throw thrown;
        }
      };
      const writeStatus: StatusSink['writeStatus'] = (kind, ...rest) =>
        count(kind, () => sink.writeStatus(kind, ...rest));
      const writeHost: StatusSink['writeHost'] = (...all) => count('GuestStoreHost', () => sink.writeHost(...all));
      return Object.assign(Object.create(sink) as StatusSink, { writeStatus, writeHost });
    },
    fetched: ({ result, code, bytes }) => {
      fetches.add({ result });
      if (code !== undefined) fetchFailures.add({ code });
      fetchedBytes.add({}, bytes);
    },
    working: (now) => {
      loads = now;
    },
    rest: () => {
      loads = undefined;
      writers.clear();
      open.clear();
      for (const rounds of all) rounds.stop();
    },
    [Symbol.dispose]: () => space[Symbol.dispose](),
  };
}

/** A reason that is none of ours (an older version's, or written by hand) is `Other`: the labels stay few. */
function countObjects(metrics: Metrics, objects: () => Iterable<Shown>): void {
  metrics.gaugesOf('gueststore_objects', 'Objects by kind, readiness and its reason.', () =>
    countBy(objects(), ({ kind, status }) => {
      const { status: ready = 'Unknown', reason = '' } = status.conditions?.find(({ type }) => type === 'Ready') ?? {};
      return { kind, ready, reason: reason === '' || reasons.has(reason) ? reason : 'Other' };
    }),
  );
  metrics.gaugesOf('gueststore_stalled_objects', 'Objects that only a change by people can make ready, by kind.', () =>
    countBy(objects(), ({ kind, status }) =>
      status.conditions?.some(({ type, status }) => type === 'Stalled' && status === 'True') ? { kind } : undefined,
    ),
  );
}

function countBy(objects: Iterable<Shown>, labelsOf: (object: Shown) => Labels | undefined) {
  const counts = new Map<string, [Labels, number]>();
  for (const object of objects) {
    const labels = labelsOf(object);
    if (labels === undefined) continue;
    const name = Object.values(labels).join(' ');
    const known = counts.get(name);
    if (known === undefined) counts.set(name, [labels, 1]);
    else known[1] += 1;
  }
  return counts.values();
}
