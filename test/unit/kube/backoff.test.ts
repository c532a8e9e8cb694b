import { expect, test } from 'vitest';
import { createBackoff } from '../../../src/kube/backoff.ts';
import { createVirtualTimers } from '../../support/virtual-timers.ts';

const pace = { first: 800, longest: 30_000, forgetAfter: 120_000 };

test('doubles to the longest, and begins again only after a healthy time', () => {
  const timers = createVirtualTimers();
  const backoff = createBackoff(pace, timers, () => 1);
  const fail = () => {
    const delay = backoff.next();
    timers.advance(delay);
    return delay;
  };
  expect(Array.from({ length: 8 }, fail)).toEqual([800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
  timers.advance(119_000);
  expect(fail()).toBe(30_000);
  timers.advance(121_000);
  expect(fail()).toBe(800);
});

test('jitter takes at most half', () => {
  expect(createBackoff(pace, createVirtualTimers(), () => 0).next()).toBe(400);
});
