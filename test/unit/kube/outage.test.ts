import { expect, test } from 'vitest';
import { createOutageWatch } from '../../../src/kube/outage.ts';
import { createVirtualTimers } from '../../support/virtual-timers.ts';

function setUp() {
  const timers = createVirtualTimers();
  const watch = createOutageWatch(timers);
  watch.answered();
  return { timers, watch };
}

test('the first answer after an outage is told, once, to all who wait', () => {
  const { timers, watch } = setUp();
  const [one, other] = [watch.ended(), watch.ended()];
  watch.unanswered();
  timers.advance(3_000);
  watch.unanswered();
  expect(one.aborted).toBe(false);
  watch.answered();
  expect([one.aborted, other.aborted]).toEqual([true, true]);
  const later = watch.ended();
  watch.answered();
  expect(later.aborted).toBe(false);
});

test('a request that fails among others that do not is no outage, however often it fails', () => {
  const { timers, watch } = setUp();
  const ended = watch.ended();
  for (let n = 0; n < 20; n += 1) {
    timers.advance(1_000);
    watch.unanswered();
    watch.answered();
  }
  expect(ended.aborted).toBe(false);
});

test('nobody asked and nobody missed an answer: silence alone is no outage', () => {
  const { timers, watch } = setUp();
  const ended = watch.ended();
  timers.advance(3_600_000);
  watch.answered();
  expect(ended.aborted).toBe(false);
});
