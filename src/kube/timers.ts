/** Time as this room uses it: monotonic, so that nobody's change of the wall clock shortens or stretches a wait. */
export interface Timers {
  /** Milliseconds since some moment; never goes back. */
  now(): number;
  /** Calls `then` after `milliseconds`, unless the function that it returns is called before. */
  after(milliseconds: number, then: () => void): () => void;
}

export const systemTimers: Timers = {
  now: () => performance.now(),
  after(milliseconds, then) {
    const timer = setTimeout(then, milliseconds);
    return () => clearTimeout(timer);
  },
};

/** Resolves after `milliseconds` with true, or with false as soon as `signal` aborts; never rejects. */
export function wait(milliseconds: number, signal: AbortSignal, timers: Timers = systemTimers): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const finish = (whole: boolean) => {
      cancel();
      signal.removeEventListener('abort', aborted);
      resolve(whole);
    };
    const aborted = () => finish(false);
    const cancel = timers.after(milliseconds, () => finish(true));
    signal.addEventListener('abort', aborted, { once: true });
  });
}
