import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';

/** Resolves when `signal` aborts; never rejects. */
export function stopped(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** Waits `milliseconds`; returns false at once when `signal` aborts first. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(milliseconds, undefined, { signal });
    return true;
  } catch {
    return false;
  }
}

/**
 * For loops over thousands of things: call what it gives after each. Where `longest` milliseconds went by without a pause,
 * timers and sockets get a turn; else it costs next to nothing.
 */
export function createBreath(longest = 15): () => Promise<void> | undefined {
  let since = performance.now();
  return () => {
    if (performance.now() - since < longest) return undefined;
    return nextTurn().then(() => {
      since = performance.now();
    });
  };
}
