import { type Condition, conditionOf } from '../../core/conditions.ts';
import type { Event, WrittenStatus } from '../types.ts';

/** Not ready, and nothing wrong. */
const asExpected: ReadonlySet<string> = new Set(['Publishing', 'Fetching', 'WaitingForHosts', 'Suspended']);

/**
 * What is worth an event between two statuses of one object: `Ready` turns or gives another reason, other content is
 * published, a source fails or answers again behind content that stays. Reasons are those of the conditions; what merely
 * goes on is no event.
 */
export function happeningsBetween(before: WrittenStatus | undefined, after: WrittenStatus): readonly Event[] {
  const ready = turned('Ready', before, after);
  if (ready !== undefined) return [eventOf(ready)];
  const source = before === undefined ? undefined : turned('SourceReady', before, after);
  const published = before !== undefined && isDigest(after.digest) && after.digest !== before.digest;
  return [
    ...(source === undefined ? [] : [eventOf(source)]),
    ...(published ? [{ type: 'Normal', reason: 'Published', message: `Published ${after.digest}.` } as const] : []),
  ];
}

/** The condition, where it says something else than before. */
function turned(type: string, before: WrittenStatus | undefined, after: WrittenStatus): Condition | undefined {
  const [was, is] = [conditionOf(before?.conditions, type), conditionOf(after.conditions, type)];
  return is?.status === was?.status && is?.reason === was?.reason ? undefined : is;
}

function eventOf({ status, reason, message }: Condition): Event {
  return { type: status === 'True' || asExpected.has(reason) ? 'Normal' : 'Warning', reason, message };
}

function isDigest(value: unknown): boolean {
  return typeof value === 'string';
}
