import { createServer } from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';

// Loaded into a program of ours with `--import`: tells at a Unix socket what only the process itself knows. Each answer
// begins a new measurement of the event loop's delay.

/** Milliseconds between two looks at the loop; a delay is what a look comes late. */
const resolution = 10;

export interface ProbeAnswer {
  /** Bytes: now, and the most since the process started as seen once a second. */
  readonly heapUsed: number;
  readonly mostHeap: number;
  readonly mostRss: number;
  /** Milliseconds since the last answer. */
  readonly loop: { readonly p99: number; readonly max: number; readonly looks: number };
}

const path = process.env.BENCH_PROBE;
if (path !== undefined) {
  const delay = monitorEventLoopDelay({ resolution });
  delay.enable();
  let [mostHeap, mostRss] = [0, 0];
  const look = () => {
    const { heapUsed, rss } = process.memoryUsage();
    mostHeap = Math.max(mostHeap, heapUsed);
    mostRss = Math.max(mostRss, rss);
    return heapUsed;
  };
  setInterval(look, 1_000).unref();
  const server = createServer((request, response) => {
    const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - resolution);
    const loop = { p99: late(delay.percentile(99)), max: late(delay.max), looks: delay.count };
    // With --expose-gc, what is really needed can be told from what waits to be collected.
    if (request.url === '/collected') for (let round = 0; round < 3; round += 1) globalThis.gc?.();
    const heapUsed = look();
    response.end(JSON.stringify({ heapUsed, mostHeap, mostRss, loop } satisfies ProbeAnswer));
    delay.reset();
  });
  server.listen(path).unref();
}
