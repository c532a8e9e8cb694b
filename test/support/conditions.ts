import { expect } from 'vitest';
import type { Condition } from '../../src/core/conditions.ts';
import { ownReasons } from '../../src/core/outcome.ts';
import { errorCodes } from '../../src/lib/errors.ts';

const types = [
  'Ready',
  'Reconciling',
  'Stalled',
  'SourceReady',
  'Verified',
  'Stored',
  'Served',
  'RulesEffective',
  'Programmed',
  'NotSupportedYet',
];
const reasons: ReadonlySet<string> = new Set([...errorCodes, ...ownReasons]);

/** What would make a status differ from one try to the next although nothing happened. */
const unstable = [
  /\d{4}-\d{2}-\d{2}T\d{2}:\d{2}/,
  /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-/,
  /\.gueststore\/tmp\//,
  /\b(?:in|after|for) \d+ ?ms\b/,
  /\bpid \d+/,
];

/** A status as people and kstatus read it. */
export interface ReadStatus {
  readonly observedGeneration?: number;
  readonly conditions?: readonly Condition[];
}

/**
 * Insists on what every status promises: `Ready` always; what is abnormal only while it is true; reasons of the closed
 * set; messages that say something and stay the same while nothing happens; every condition of the observed generation.
 */
export function checkStatus(what: string, status: ReadStatus): readonly Condition[] {
  const { observedGeneration, conditions = [] } = status;
  const facts = conditions.map(({ type }) => type);
  expect(facts, `${what}: conditions`).toContain('Ready');
  expect(new Set(facts).size, `${what}: each condition once`).toBe(facts.length);
  for (const { type, status, reason, message, ...dates } of conditions) {
    const where = `${what}: ${type} (${reason}: ${message})`;
    expect(types, where).toContain(type);
    expect(reasons, where).toContain(reason);
    expect(message.trim(), where).not.toBe('');
    for (const sign of unstable) expect(message, where).not.toMatch(sign);
    if (['Reconciling', 'Stalled', 'NotSupportedYet'].includes(type)) expect(status, where).toBe('True');
    expect(dates.observedGeneration, where).toBe(observedGeneration);
    expect(dates.lastTransitionTime, where).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  }
  const on = (type: string) => conditions.find((one) => one.type === type)?.status === 'True';
  // kstatus: Stalled wins over all, Reconciling means that it is not over; neither goes with Ready.
  expect([on('Ready'), on('Reconciling'), on('Stalled')].filter(Boolean), `${what}: one of the three`).toHaveLength(1);
  return conditions;
}
