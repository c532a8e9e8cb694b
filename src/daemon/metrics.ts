import type { Metrics } from '../lib/metrics.ts';
import type { RequestRecord } from './request-log.ts';

/** Seconds: a cached answer takes tens of microseconds, half a gigabyte to a slow guest minutes. */
const durations = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300];

export interface DaemonMetrics {
  record(record: RequestRecord): void;
  lost(why: string): void;
}

/** What the daemon counts of requests. No label has a value that a guest chooses. */
export function createDaemonMetrics(metrics: Metrics): DaemonMetrics {
  const requests = metrics.counter(
    'gueststore_daemon_requests_total',
    'Requests answered, by status and what became of the answer.',
  );
  const bytes = metrics.counter('gueststore_daemon_sent_bytes_total', 'Bytes of content sent to guests.');
  const lost = metrics.counter(
    'gueststore_daemon_heads_lost_total',
    'Connections that ended without a whole request, by why.',
  );
  const duration = metrics.histogram(
    'gueststore_daemon_request_duration_seconds',
    'Time from the whole request to the end of its answer.',
    durations,
  );
  /** Labels are made once for each of the few combinations there are. */
  const labels = new Map<string, { status: string; result: string }>();
  return {
    record({ status, result, bytes: sent, duration: milliseconds }) {
      const key = `${status} ${result}`;
      let known = labels.get(key);
      if (known === undefined) {
        known = { status: `${status}`, result };
        labels.set(key, known);
      }
      requests.add(known);
      if (sent > 0) bytes.add(undefined, sent);
      duration.observe(milliseconds / 1000);
    },
    lost: (why) => lost.add({ why }),
  };
}
