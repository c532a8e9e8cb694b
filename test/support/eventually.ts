import { setTimeout as delay } from 'node:timers/promises';

/**
 * Asks again and again until `probe` neither throws nor gives undefined, and returns what it gave. After `timeout`
 * milliseconds throws the last error: a condition with a deadline, where a sleep would only hope.
 */
export async function eventually<T>(probe: () => Promise<T | undefined> | T | undefined, timeout = 15_000): Promise<T> {
  const deadline = performance.now() + timeout;
  for (;;) {
    const late = performance.now() > deadline;
    try {
      const value = await probe();
      if (value !== undefined) return value;
      if (late) throw new Error(`still undefined after ${timeout} ms`);
    } catch (error) {
      if (late) throw error;
    }
    await delay(20);
  }
}
