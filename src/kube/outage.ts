import type { Timers } from './timers.ts';

/** Milliseconds without any answer that make an outage; less is a hiccup, which short waits outlast anyway. */
const shortest = 3_000;

/** Whether one server answers, as all requests to it together show: whoever waits can be told when it is back. */
export interface OutageWatch {
  /** Any answer, a refusal too. */
  answered(): void;
  unanswered(): void;
  /** A signal that aborts at the next answer after an outage. */
  ended(): AbortSignal;
}

export function createOutageWatch(timers: Timers): OutageWatch {
  let answeredAt = Number.NEGATIVE_INFINITY;
  let silent = false;
  let next = new AbortController();
  return {
    answered() {
      const outage = silent && timers.now() - answeredAt >= shortest;
      silent = false;
      answeredAt = timers.now();
      if (!outage) return;
      const ended = next;
      next = new AbortController();
      ended.abort();
    },
    unanswered() {
      silent = true;
    },
    ended: () => next.signal,
  };
}
