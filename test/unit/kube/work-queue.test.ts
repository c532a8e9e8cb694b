import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createWorkQueue, type WorkQueue } from '../../../src/kube/work-queue.ts';
import { createVirtualTimers } from '../../support/virtual-timers.ts';

const never = new AbortController().signal;

function setUp() {
  const timers = createVirtualTimers();
  return { timers, queue: createWorkQueue({ timers, random: () => 1, pace: { first: 500, longest: 600_000 } }) };
}

async function drain(queue: WorkQueue): Promise<string[]> {
  const keys: string[] = [];
  while (queue.depth > 0) {
    const taken = await queue.take(never);
    if (taken !== undefined) keys.push(taken.key);
  }
  return keys;
}

test('a key that is added twice is taken once', async () => {
  const { queue } = setUp();
  queue.add('a/x');
  queue.add('a/x');
  expect(await drain(queue)).toEqual(['a/x']);
});

test('a key that is added while it is worked on comes again when that is done, and not before', async () => {
  const { queue } = setUp();
  queue.add('a/x');
  await queue.take(never);
  queue.add('a/x');
  queue.add('a/x');
  expect(queue.depth).toBe(0);
  queue.done('a/x');
  expect(await drain(queue)).toEqual(['a/x']);
});

test('namespaces take turns', async () => {
  const { queue } = setUp();
  for (const key of ['a/1', 'a/2', 'a/3', 'b/1', 'c/1', 'b/2']) queue.add(key);
  expect(await drain(queue)).toEqual(['a/1', 'b/1', 'c/1', 'a/2', 'b/2', 'a/3']);
});

test('changes go before resyncs, and a change lifts a key that waits as a resync', async () => {
  const { queue } = setUp();
  for (const key of ['a/1', 'a/2', 'a/3']) queue.add(key, 'resync');
  queue.add('a/4');
  queue.add('a/3');
  queue.add('a/4', 'resync');
  expect(await drain(queue)).toEqual(['a/4', 'a/3', 'a/1', 'a/2']);
});

test('waits double up to the longest, and begin again after forget', () => {
  const { queue, timers } = setUp();
  const waits = Array.from({ length: 13 }, () => {
    const delay = queue.retry('a/x');
    timers.advance(delay);
    return delay;
  });
  expect(waits.slice(0, 4)).toEqual([500, 1000, 2000, 4000]);
  expect(waits.slice(-2)).toEqual([600_000, 600_000]);
  queue.forget('a/x');
  expect(queue.retry('a/x')).toBe(500);
});

test('jitter takes up to half of a wait, and the server may ask for a longer one', () => {
  const timers = createVirtualTimers();
  const queue = createWorkQueue({ timers, random: () => 0 });
  expect(queue.retry('a/x')).toBe(250);
  expect(queue.retry('a/x', 7_000)).toBe(7_000);
});

test('of several waits for one key the shortest counts', () => {
  const { queue, timers } = setUp();
  queue.addAfter('a/x', 1000);
  queue.addAfter('a/x', 10);
  queue.addAfter('a/x', 500);
  timers.advance(9);
  expect(queue.depth).toBe(0);
  timers.advance(1);
  expect(queue.depth).toBe(1);
});

test('a change does not wait for a retry; a resync does', () => {
  const { queue, timers } = setUp();
  queue.retry('a/x');
  queue.add('a/x', 'resync');
  expect(queue.depth).toBe(0);
  queue.add('a/x', 'change');
  expect(queue.depth).toBe(1);
  timers.advance(500);
  expect(queue.depth).toBe(1);
});

test('a taker that is stopped leaves its key to the others', async () => {
  const { queue } = setUp();
  const stop = new AbortController();
  const first = queue.take(stop.signal);
  const second = queue.take(never);
  queue.add('a/x');
  // Woken already, and stopped before it came to look.
  stop.abort();
  expect(await first).toBeUndefined();
  expect(await second).toMatchObject({ key: 'a/x' });
});

/** What anybody may do to a queue, in any order. */
const step = fc.oneof(
  fc.record({
    do: fc.constant('add' as const),
    key: key(),
    priority: fc.constantFrom('change' as const, 'resync' as const),
  }),
  fc.record({ do: fc.constant('after' as const), key: key(), wait: fc.nat(1000) }),
  fc.record({ do: fc.constant('advance' as const), wait: fc.nat(2000) }),
  fc.record({ do: fc.constant('take' as const) }),
  fc.record({ do: fc.constant('succeed' as const) }),
  fc.record({ do: fc.constant('fail' as const) }),
);

function key(): fc.Arbitrary<string> {
  return fc.constantFrom('a/1', 'a/2', 'b/1', 'c');
}

test('whatever comes in whatever order: never twice at once, and nothing that was asked for is forgotten', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { queue, timers } = setUp();
      const working: string[] = [];
      /** Asked for and not yet looked at since. */
      const owed = new Set<string>();
      const take = async () => {
        const taken = await queue.take(never);
        if (taken === undefined) throw new Error('stopped');
        expect(working).not.toContain(taken.key);
        owed.delete(taken.key);
        working.push(taken.key);
      };
      const finish = (how: 'succeed' | 'fail') => {
        const finished = working.shift();
        if (finished === undefined) return;
        if (how === 'succeed') queue.forget(finished);
        else {
          queue.retry(finished);
          owed.add(finished);
        }
        queue.done(finished);
      };

      for (const one of steps) {
        if (one.do === 'add') {
          owed.add(one.key);
          queue.add(one.key, one.priority);
        } else if (one.do === 'after') {
          owed.add(one.key);
          queue.addAfter(one.key, one.wait);
        } else if (one.do === 'advance') timers.advance(one.wait);
        else if (one.do !== 'take') finish(one.do);
        else if (queue.depth > 0) await take();
      }

      while (working.length > 0) finish('succeed');
      for (let rounds = 0; owed.size > 0 && rounds < 100; rounds += 1) {
        timers.advance(600_000);
        while (queue.depth > 0) {
          await take();
          finish('succeed');
        }
      }
      expect([...owed]).toEqual([]);
    }),
    { numRuns: 500 },
  );
});

const someKeys = fc.array(
  fc.record({
    namespace: fc.constantFrom('a', 'b', 'c', 'd'),
    name: fc.nat(20),
    priority: fc.constantFrom('change' as const, 'resync' as const),
  }),
  { maxLength: 60 },
);

test('whatever waits, no resync goes before a change, and no namespace is two ahead of one that still has keys', async () => {
  await fc.assert(
    fc.asyncProperty(someKeys, async (added) => {
      const { queue } = setUp();
      const wanted = new Map<string, 'change' | 'resync'>();
      for (const { namespace, name, priority } of added) {
        const key = `${namespace}/${name}`;
        queue.add(key, priority);
        if (wanted.get(key) !== 'change') wanted.set(key, priority);
      }
      const order = await drain(queue);
      expect(order.toSorted()).toEqual([...wanted.keys()].toSorted());
      const priorities = order.map((key) => wanted.get(key));
      expect(priorities.lastIndexOf('change')).toBeLessThan(
        priorities.indexOf('resync') < 0 ? order.length : priorities.indexOf('resync'),
      );
      for (const priority of ['change', 'resync'] as const) {
        const lanes = order.filter((key) => wanted.get(key) === priority).map((key) => key.split('/')[0] ?? '');
        for (let taken = 1; taken <= lanes.length; taken += 1) {
          const waiting = new Set(lanes.slice(taken));
          const count = (lane: string) => lanes.slice(0, taken).filter((one) => one === lane).length;
          const most = Math.max(...lanes.slice(0, taken).map(count));
          for (const lane of waiting) expect(most - count(lane)).toBeLessThanOrEqual(1);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('whichever keys fail and succeed, each one’s wait lies between half and the whole of its own doubling', () => {
  const steps = fc.array(
    fc.record({ key: key(), fails: fc.boolean(), random: fc.double({ min: 0, max: 1, noNaN: true }) }),
  );
  fc.assert(
    fc.property(steps, (all) => {
      let random = 0;
      const timers = createVirtualTimers();
      const queue = createWorkQueue({ timers, random: () => random, pace: { first: 500, longest: 600_000 } });
      const failures = new Map<string, number>();
      for (const one of all) {
        random = one.random;
        if (!one.fails) {
          queue.forget(one.key);
          failures.delete(one.key);
          continue;
        }
        const failed = failures.get(one.key) ?? 0;
        failures.set(one.key, failed + 1);
        const whole = Math.min(500 * 2 ** failed, 600_000);
        const wait = queue.retry(one.key);
        expect(wait).toBeGreaterThanOrEqual(whole / 2);
        expect(wait).toBeLessThanOrEqual(whole);
      }
    }),
  );
});
