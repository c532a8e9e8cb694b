import { expect, test } from 'vitest';
import { silent } from '../../src/lib/log.ts';
import { createMetrics } from '../../src/lib/metrics.ts';
import { createRounds } from '../../src/operator/rounds.ts';

function setUp() {
  const metrics = createMetrics();
  let depth = 0;
  const rounds = createRounds({ name: 'publisher', metrics, log: silent, depth: () => depth });
  const value = (series: string) =>
    metrics
      .render()
      .split('\n')
      .find((line) => line.startsWith(`${series} `))
      ?.split(' ')[1];
  const waits = (objects: number) => {
    depth = objects;
  };
  return { rounds, value, waits };
}

test('what came before a round that went well is done; what came meanwhile waits', async () => {
  const { rounds, value, waits } = setUp();
  expect(rounds.pending).toBe(0);
  waits(3);
  rounds.touched();
  expect(rounds.pending).toBeGreaterThan(0);
  await rounds.run(async () => {
    rounds.touched();
    return true;
  });
  expect(rounds.pending).toBeGreaterThan(0);
  expect(value('workqueue_depth{name="publisher"}')).toBe('3');
  expect(rounds.progress.idle).toBeGreaterThan(0);
  waits(0);
  await rounds.run(async () => true);
  expect([rounds.pending, rounds.progress.idle]).toEqual([0, 0]);
  expect(rounds.lastSuccess).toBeLessThanOrEqual(Date.now());
  expect(value('controller_runtime_reconcile_total{controller="publisher",result="success"}')).toBe('2');
  expect(value('controller_runtime_reconcile_time_seconds_count{controller="publisher"}')).toBe('2');
  expect(value('workqueue_queue_duration_seconds_count{name="publisher"}')).toBe('2');
  expect(value('workqueue_adds_total{name="publisher"}')).toBe('2');
});

test('what a round could not do is still pending, and counted as an error and a retry', async () => {
  const { rounds, value } = setUp();
  rounds.touched();
  await rounds.run(async () => false);
  await expect(rounds.run(() => Promise.reject(new Error('superseded')))).rejects.toThrow('superseded');
  expect(rounds.pending).toBeGreaterThan(0);
  expect(rounds.lastSuccess).toBeUndefined();
  expect(value('controller_runtime_reconcile_total{controller="publisher",result="error"}')).toBe('2');
  expect(value('controller_runtime_reconcile_errors_total{controller="publisher"}')).toBe('2');
  expect(value('workqueue_retries_total{name="publisher"}')).toBe('2');
  rounds.stop();
  expect([rounds.pending, rounds.progress.idle]).toEqual([0, 0]);
});
