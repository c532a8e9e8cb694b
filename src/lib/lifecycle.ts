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

/** Carries out work that says where it may be interrupted, and lets timers and sockets have their turn there. */
export async function unhurried<T>(work: Generator<void, T>): Promise<T> {
  const breathe = createBreath();
  let step = work.next();
  for (; step.done !== true; step = work.next()) await breathe();
  return step.value;
}

/**
 * Ends this process now, with that exit code, whatever hangs in it. An ordinary exit waits for system calls that other
 * threads are in, and a file system that does not answer never lets them go; a first process of a container cannot be killed
 * from within. So the process becomes another program, which does nothing but exit.
 */
export function exitAtOnce(code: number): never {
  process.execve?.(process.execPath, [process.execPath, '--eval', `process.exit(${code})`], {});
  // Not to be had on this system.
  process.exit(code);
}
