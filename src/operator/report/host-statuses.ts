import { type Condition, conditionOf, dated, type Fact } from '../../core/conditions.ts';
import { heard } from '../../core/outcome.ts';
import type { Acknowledgement } from '../../store/types.ts';
import type { HostStatus, WrittenStatus } from '../types.ts';
import { freePercent } from './host-reports.ts';

/** What people see of one host: never heartbeat or seq, and space in steps, so that it seldom changes. */
export function hostStatus(
  host: string,
  fresh: boolean,
  reports: readonly Acknowledgement[],
  vms: number,
  previous: readonly Condition[],
  /** Of the object. */
  generation: number,
  now: Date,
): HostStatus {
  const formats = reports
    .map(({ formats }) => new Set(formats))
    .reduce((a, b) => a.intersection(b), new Set(reports[0]?.formats));
  const version = reports.map((report) => report.version).toSorted()[0];
  const space = reports.find((report) => report.space !== null)?.space ?? null;
  const percent = freePercent(space);
  return {
    observedGeneration: generation,
    conditions: dated(hostFacts(host, fresh, reports), previous, generation, now),
    formats: [...formats].toSorted((a, b) => a - b),
    instances: new Set(reports.map(({ instance }) => instance)).size,
    vms,
    ...(version === undefined ? {} : { version }),
    ...(space === null || percent === undefined ? {} : { space: { total: space.total, freePercent: percent } }),
  };
}

/** What was last said of a host stays on it while it is suspended, well or not. */
export function restingHost(before: WrittenStatus, generation: number, now: Date): WrittenStatus {
  const reason = 'Suspended';
  const message = 'What its daemons last said stays here while spec.suspend is true; set it to false to go on.';
  const well = conditionOf(before.conditions, 'Ready')?.status === 'True';
  const facts: readonly Fact[] = well
    ? [{ type: 'Ready', status: 'True', reason, message }]
    : [
        { type: 'Ready', status: 'False', reason, message },
        { type: 'Stalled', status: 'True', reason, message },
      ];
  return { ...before, observedGeneration: generation, conditions: dated(facts, before.conditions, generation, now) };
}

function hostFacts(host: string, fresh: boolean, reports: readonly Acknowledgement[]): Fact[] {
  if (!fresh) {
    const message = `No daemon of host ${host} has spoken for 20 s; start "gueststore daemon --host ${host}" there, or look at its log.`;
    return [
      { type: 'Ready', status: 'False', reason: 'HeartbeatMissing', message },
      { type: 'Stalled', status: 'True', reason: 'HeartbeatMissing', message: 'Only its daemon can change that.' },
    ];
  }
  const [error] = reports.flatMap(({ errors }) => errors);
  if (error !== undefined) {
    const { reason, message } = heard({ reason: error.code, message: error.message }, 'Internal');
    return [
      { type: 'Ready', status: 'False', reason, message },
      { type: 'Reconciling', status: 'True', reason, message: 'The daemon tries again by itself.' },
    ];
  }
  const refused = reports.reduce((sum, report) => sum + Object.keys(report.refused).length, 0);
  const message = refused === 0 ? 'The daemon speaks.' : `The daemon speaks; it refuses ${refused} VMs, which say why.`;
  return [{ type: 'Ready', status: 'True', reason: 'Heartbeat', message }];
}
