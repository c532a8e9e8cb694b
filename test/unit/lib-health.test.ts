import { expect, test } from 'vitest';
import { answerProbe, type Check } from '../../src/lib/health.ts';
import { createProgress, progressCheck } from '../../src/lib/progress.ts';

const well: Check = { name: 'caches', trouble: () => undefined };
const ill: Check = { name: 'datastore/nas', trouble: () => 'it holds no revision yet' };

test.each([
  { checks: [well], query: '', status: 200, body: 'ok\n' },
  { checks: [well], query: 'verbose', status: 200, body: '[+]caches ok\nreadyz check passed\n' },
  {
    checks: [well, ill],
    query: '',
    status: 503,
    body: '[+]caches ok\n[-]datastore/nas failed: it holds no revision yet\nreadyz check failed\n',
  },
  { checks: [well, ill], query: 'exclude=datastore/nas', status: 200, body: 'ok\n' },
  {
    checks: [ill],
    query: 'verbose&exclude=datastore/nas&exclude=nobody',
    status: 200,
    body: '[+]datastore/nas excluded: ok\nwarn: there is no check "nobody" to exclude\nreadyz check passed\n',
  },
])('$checks.length checks, "?$query": $status', ({ checks, query, status, body }) => {
  expect(answerProbe('readyz', checks, new URLSearchParams(query))).toEqual({ status, body });
});

test('work that waits is stuck when no step of it was done for so long, and only then', () => {
  let now = 0;
  const progress = createProgress(() => now);
  const check = progressCheck('publisher', progress, 60_000, 'what changed');
  const after = (milliseconds: number) => {
    now += milliseconds;
    return check.trouble();
  };
  expect(after(1_000_000), 'nothing waits').toBeUndefined();
  progress.busy();
  expect(after(59_999)).toBeUndefined();
  progress.busy();
  expect(after(1), 'more work is no step').toBe('what changed waits, and nothing of it was done for 60 s');
  progress.step();
  expect(after(59_999), 'a step').toBeUndefined();
  progress.rest();
  expect(after(1_000_000), 'all done').toBeUndefined();
});
