import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type ControllerOptions,
  createController,
  done,
  type Reconcile,
  type ReconcileContext,
} from '../../../src/kube/controller.ts';
import { GuestStoreError } from '../../../src/lib/errors.ts';
import { silent } from '../../../src/lib/log.ts';
import { createMetrics } from '../../../src/lib/metrics.ts';
import { createVirtualTimers } from '../../support/virtual-timers.ts';

function setUp(reconcile: Reconcile, more: Partial<ControllerOptions> = {}) {
  const timers = createVirtualTimers();
  const metrics = createMetrics();
  const controller = createController({
    name: 'widget',
    reconcile,
    concurrency: 2,
    timeout: 1_000,
    log: silent,
    metrics,
    timers,
    random: () => 1,
    ...more,
  });
  const stop = new AbortController();
  return { controller, timers, metrics, stop };
}

/** Lets everything that can go on without time passing go on. */
async function settle(): Promise<void> {
  for (let turns = 0; turns < 50; turns += 1) await Promise.resolve();
}

test('retries after the back-off, terminates until a change, and looks again when asked to', async () => {
  const runs: string[] = [];
  const outcomes: Record<string, Awaited<ReturnType<Reconcile>>[]> = {
    'a/retry': [{ result: 'retry', error: new GuestStoreError('StoreUnavailable', 'full') }],
    'a/terminal': [{ result: 'terminal', error: new GuestStoreError('InvalidRule', 'no') }],
    'a/after': [{ result: 'after', milliseconds: 5_000 }],
  };
  const { controller, timers, stop } = setUp(async (key) => {
    runs.push(key);
    return outcomes[key]?.shift() ?? done;
  });
  const running = controller.run(stop.signal);
  for (const key of Object.keys(outcomes)) controller.enqueue(key);
  await settle();
  expect(runs).toEqual(['a/retry', 'a/terminal', 'a/after']);
  timers.advance(500);
  await settle();
  timers.advance(5_000);
  await settle();
  expect(runs.slice(3)).toEqual(['a/retry', 'a/after']);
  timers.advance(3_600_000);
  await settle();
  expect(runs).toHaveLength(5);
  controller.enqueue('a/terminal');
  await settle();
  expect(runs.at(-1)).toBe('a/terminal');
  stop.abort();
  await running;
});

test.each([
  { thrown: new GuestStoreError('DigestMismatch', 'x'), again: false },
  { thrown: new GuestStoreError('SourceUnavailable', 'x'), again: true },
  { thrown: new TypeError('a bug'), again: true },
])('what is thrown ($thrown) is retried: $again', async ({ thrown, again }) => {
  let runs = 0;
  const { controller, timers, metrics, stop } = setUp(async () => {
    runs += 1;
    throw thrown;
  });
  const running = controller.run(stop.signal);
  controller.enqueue('x');
  await settle();
  timers.advance(500);
  await settle();
  expect(runs).toBe(again ? 2 : 1);
  expect(metrics.render()).toContain(`controller_runtime_reconcile_total{controller="widget",result="error"} ${runs}`);
  stop.abort();
  await running;
});

test('a server that asks for patience gets it', async () => {
  let runs = 0;
  const { controller, timers, stop } = setUp(async () => {
    runs += 1;
    throw new GuestStoreError('ApiUnavailable', 'busy', { retryAfter: 30_000 });
  });
  const running = controller.run(stop.signal);
  controller.enqueue('x');
  await settle();
  timers.advance(29_999);
  await settle();
  expect(runs).toBe(1);
  timers.advance(1);
  await settle();
  expect(runs).toBe(2);
  stop.abort();
  await running;
});

test('what failed for want of an answer comes as soon as the server is back, other failures in their time', async () => {
  const runs: string[] = [];
  let back = new AbortController();
  const reconcile: Reconcile = async (key) => {
    runs.push(key);
    const code = key === 'api' ? 'ApiUnavailable' : 'StoreUnavailable';
    throw new GuestStoreError(code, 'away');
  };
  const { controller, timers, stop } = setUp(reconcile, { backAgain: () => back.signal });
  const running = controller.run(stop.signal);
  controller.enqueue('api');
  controller.enqueue('store');
  for (let tries = 0; tries < 8; tries += 1) {
    await settle();
    timers.advance(120_000);
  }
  await settle();
  expect(runs.slice(-2)).toEqual(['api', 'store']);
  const before = runs.length;
  const over = back;
  back = new AbortController();
  over.abort();
  await settle();
  expect(runs.slice(before)).toEqual(['api']);
  stop.abort();
  await running;
});

test('a key that waits for another comes when that has arrived, also when it arrived during the look', async () => {
  const runs: string[] = [];
  const reconcile: Reconcile = async (key) => {
    runs.push(key);
    // Here it has just looked, and not seen it.
    if (key === 'early' && runs.filter((run) => run === key).length === 1) controller.arrived('repository');
    return { result: 'waitFor', dependency: key === 'other' ? 'somebody' : 'repository' };
  };
  const { controller, timers, stop } = setUp(reconcile);
  const running = controller.run(stop.signal);
  controller.enqueue('early');
  await settle();
  expect(runs).toEqual(['early', 'early']);
  controller.enqueueAll(['late', 'other']);
  await settle();
  expect(runs.slice(2)).toEqual(['late', 'other']);
  timers.advance(3_600_000);
  await settle();
  expect(runs).toHaveLength(4);
  controller.arrived('repository');
  controller.arrived('nobody waits for this');
  await settle();
  expect(runs.slice(4).toSorted()).toEqual(['early', 'late']);
  stop.abort();
  await running;
});

test('a key that waits for another looks by itself when the time that it gave is over', async () => {
  let runs = 0;
  const { controller, timers, stop } = setUp(async () => {
    runs += 1;
    return { result: 'waitFor', dependency: 'never', milliseconds: 5_000 };
  });
  const running = controller.run(stop.signal);
  controller.enqueue('x');
  await settle();
  timers.advance(4_999);
  await settle();
  expect(runs).toBe(1);
  timers.advance(1);
  await settle();
  expect(runs).toBe(2);
  stop.abort();
  await running;
});

test('whenever it is stopped, the run of a key ends first, and the next term looks at all that was asked for', async () => {
  const keys = ['a/1', 'a/2', 'b/1', 'c'];
  const step = fc.oneof(
    fc.record({ do: fc.constant('enqueue' as const), key: fc.constantFrom(...keys) }),
    fc.record({ do: fc.constant('finish' as const) }),
    fc.record({ do: fc.constant('restart' as const) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      /** Asked for, and not looked at to the end since. */
      const owed = new Set<string>();
      const open = new Map<string, () => void>();
      const reconcile: Reconcile = async (key, { signal }) => {
        expect(open.has(key)).toBe(false);
        const asked = owed.delete(key);
        try {
          await new Promise<void>((resolve, reject) => {
            open.set(key, resolve);
            signal.addEventListener('abort', () => reject(signal.reason), { once: true });
          });
        } catch (error) {
          if (asked) owed.add(key);
          throw error;
        } finally {
          open.delete(key);
        }
        return done;
      };
      const { controller } = setUp(reconcile, { timeout: 1_000_000 });
      let stop = new AbortController();
      let running = controller.run(stop.signal);
      const finishOne = async () => {
        for (const [, finish] of [...open].slice(0, 1)) finish();
        await settle();
      };
      for (const one of steps) {
        if (one.do === 'enqueue') {
          owed.add(one.key);
          controller.enqueue(one.key);
          await settle();
        } else if (one.do === 'finish') await finishOne();
        else {
          stop.abort();
          await running;
          expect(open.size).toBe(0);
          stop = new AbortController();
          running = controller.run(stop.signal);
          await settle();
        }
      }
      for (let rounds = 0; rounds < 50 && open.size > 0; rounds += 1) await finishOne();
      expect([...owed]).toEqual([]);
      stop.abort();
      await running;
    }),
    { numRuns: 200 },
  );
});

/** A run that lasts until its signal aborts. */
function untilAborted({ signal }: Pick<ReconcileContext, 'signal'>): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
}

test('a run that takes too long is aborted and comes again', async () => {
  let runs = 0;
  const { controller, timers, stop } = setUp(async (_, context) => {
    runs += 1;
    return runs === 1 ? untilAborted(context) : done;
  });
  const running = controller.run(stop.signal);
  controller.enqueue('x');
  await settle();
  timers.advance(1_000);
  await settle();
  timers.advance(500);
  await settle();
  expect(runs).toBe(2);
  stop.abort();
  await running;
});

test('stopping aborts what runs and waits for it; the next term begins with what was cut short', async () => {
  const runs: string[] = [];
  let ended = 0;
  const { controller, stop } = setUp(async (key, context) => {
    runs.push(key);
    if (runs.length > 2) return done;
    await untilAborted(context).finally(() => {
      ended += 1;
    });
    return done;
  });
  const running = controller.run(stop.signal);
  for (const key of ['a', 'b', 'c']) controller.enqueue(key);
  await settle();
  expect(runs).toEqual(['a', 'b']);
  stop.abort();
  await running;
  expect(ended).toBe(2);

  const next = new AbortController();
  const again = controller.run(next.signal);
  await settle();
  expect(runs.slice(2).toSorted()).toEqual(['a', 'b', 'c']);
  next.abort();
  await again;
});
