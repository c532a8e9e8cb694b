import type { Metrics } from '../lib/metrics.ts';
import type { RequestRecord } from './request-log.ts';

/** Seconds: a cached answer takes tens of microseconds, half a gigabyte to a slow guest minutes. */
const durations = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300];

export interface DaemonMetrics {
  record(record: RequestRecord): void;
  lost(why: string): void;
  /** `at`: milliseconds since 1970. */
  acknowledged(datastore: string, at: number): void;
  notAcknowledged(datastore: string): void;
}

/**
 * What the daemon counts of requests: as plain numbers, which cost nothing until somebody looks. No label has a value
 * that a guest chooses.
 */
export function createDaemonMetrics(metrics: Metrics): DaemonMetrics {
  const counted = new Map<number, Map<RequestRecord['result'], { count: number }>>();
  let bytes = 0;
  metrics.counterOf('gstored_sent_bytes_total', 'Bytes of content sent to guests.', () => bytes);
  const lost = metrics.counter(
    'gstored_lost_total',
    'Connections that ended without a whole request or before its turn, by why.',
  );
  for (const why of ['late', 'gone', 'stopped']) lost.add({ why }, 0);
  const duration = metrics.histogram(
    'gstored_request_duration_seconds',
    'Time from the whole request to the end of its answer.',
    durations,
  );

  const unavailable = metrics.counter('gstored_unavailable_total', 'Requests answered 503, by reason.');
  const heartbeats = metrics.gauge(
    'gstored_heartbeat_timestamp_seconds',
    'When the datastore last took our acknowledgement, in seconds since 1970.',
  );
  const unheard = metrics.counter(
    'gstored_heartbeat_failures_total',
    'Acknowledgements that could not be written to the datastore.',
  );

  function counterOf(status: number, result: RequestRecord['result']): { count: number } {
    const ofStatus = counted.get(status) ?? new Map<RequestRecord['result'], { count: number }>();
    counted.set(status, ofStatus);
    const counter = { count: 0 };
    ofStatus.set(result, counter);
    metrics.counterOf(
      'gstored_requests_total',
      'Requests answered, by status and what became of the answer.',
      () => counter.count,
      { status: `${status}`, result },
    );
    return counter;
  }

  return {
    record(record) {
      const counter = counted.get(record.status)?.get(record.result) ?? counterOf(record.status, record.result);
      counter.count += 1;
      bytes += record.bytes;
      duration.observe(record.duration / 1000);
      // Reasons are words of this program, however a guest comes to one.
      if (record.status === 503) unavailable.add({ reason: record.reason ?? '' });
    },
    lost: (why) => lost.add({ why }),
    acknowledged: (datastore, at) => heartbeats.set(at / 1000, { datastore }),
    notAcknowledged: (datastore) => unheard.add({ datastore }),
  };
}
