import { afterEach, expect, test } from 'vitest';
import { watchLoopDelay } from '../../../src/lib/loop-delay.ts';
import { createMetrics } from '../../../src/lib/metrics.ts';
import { serveMetrics } from '../../../src/lib/metrics-server.ts';
import { eventually } from '../../support/eventually.ts';

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

test('an event loop that is blocked for most of the time is told, and one that came free again is not', async () => {
  const metrics = createMetrics();
  const { check } = stack.use(watchLoopDelay({ metrics, prefix: 'gstored', window: 2_000 }));
  await eventually(() => (/loop_delay_seconds_count [1-9]/.test(metrics.render()) ? true : undefined));
  expect(check.trouble()).toBeUndefined();

  block(1_900);

  await eventually(
    () => expect(check.trouble()).toMatch(/^the event loop was blocked for (1\.[89]|2) s of the last 2 s$/) ?? true,
  );
  const slow = Number(/gstored_loop_delay_seconds_bucket\{le="0.5"\} (\d+)/.exec(metrics.render())?.[1]);
  const all = Number(/gstored_loop_delay_seconds_count (\d+)/.exec(metrics.render())?.[1]);
  // It counts by the time that it lasted: as 37 moments of 50 ms, of which 27 came more than half a second late.
  expect(all - slow).toBeGreaterThanOrEqual(20);
  await eventually(() => (check.trouble() === undefined ? true : undefined));
});

test('what every process has is served under the usual names, and what cannot be read answers nothing else', async () => {
  const metrics = createMetrics();
  const probes = { alive: [], ready: [{ name: 'caches', trouble: () => 'not listed yet' }] };
  const served = stack.use(
    await serveMetrics({ address: '127.0.0.1:0', metrics, prefix: 'gstored', version: '1.2.3', probes }),
  );
  const get = async (path: string) => {
    const response = await fetch(`http://${served.address}${path}`);
    return { status: response.status, body: await response.text() };
  };
  const { body } = await get('/metrics');
  const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(body)?.[1]);
  expect(value('process_resident_memory_bytes')).toBeGreaterThan(10e6);
  expect(value('process_virtual_memory_bytes')).toBeGreaterThan(value('process_resident_memory_bytes'));
  expect(value('process_open_fds')).toBeGreaterThan(3);
  expect(value('process_max_fds')).toBeGreaterThan(value('process_open_fds'));
  expect(value('process_cpu_seconds_total')).toBeGreaterThan(0);
  expect(Math.abs(value('process_start_time_seconds') - (Date.now() / 1000 - process.uptime()))).toBeLessThan(5);
  expect(value('nodejs_heap_size_used_bytes')).toBeGreaterThan(1e6);
  expect(value('nodejs_eventloop_lag_p99_seconds')).toBeGreaterThanOrEqual(0);
  expect(body).toContain('gstored_build_info{version="1.2.3"} 1');

  expect(await get('/healthz?verbose')).toEqual({ status: 200, body: '[+]event-loop ok\nhealthz check passed\n' });
  expect(await get('/readyz')).toEqual({
    status: 503,
    body: '[-]caches failed: not listed yet\nreadyz check failed\n',
  });
  expect((await get('/nowhere')).status).toBe(404);
  expect((await get('//')).status).toBe(404);
});

/** Holds the thread, as a long computation or a stopped process does. */
function block(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
