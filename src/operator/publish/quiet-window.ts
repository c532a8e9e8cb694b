import { pause } from '../../lib/lifecycle.ts';

/** Gathers what changes close together into one pass. */
export interface QuietWindow {
  touch(): void;
  /** Resolves once something was touched and then nothing for `quiet` ms, after `longest` ms at the latest, or on abort. */
  next(signal: AbortSignal): Promise<void>;
}

/** `quiet` and `longest` in milliseconds. */
export function createQuietWindow(quiet: number, longest: number): QuietWindow {
  let first: number | undefined;
  let last = 0;
  let touched = Promise.withResolvers<void>();
  return {
    touch: () => {
      last = performance.now();
      first ??= last;
      touched.resolve();
    },
    next: async (signal) => {
      signal.addEventListener('abort', () => touched.resolve(), { once: true });
      await touched.promise;
      while (!signal.aborted) {
        const left = Math.min(last + quiet, (first ?? last) + longest) - performance.now();
        if (left <= 0) break;
        await pause(left, signal);
      }
      first = undefined;
      touched = Promise.withResolvers();
    },
  };
}
