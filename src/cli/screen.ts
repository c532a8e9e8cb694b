import { pause } from '../lib/lifecycle.ts';
import type { Io } from './io.ts';

/** Milliseconds between looks at what is to be shown. */
const interval = 250;

/** Shows a text that changes: in place on a terminal, else once more whenever it differs. */
export function createScreen(out: Io['stdout']) {
  let shown = '';

  function show(text: string): void {
    if (text === shown) return;
    if (out.isTTY === true) {
      const width = out.columns ?? 80;
      const lines = text.split('\n').map((line) => (line.length > width ? `${line.slice(0, width - 1)}…` : line));
      // Up over what was shown, and clear from there on.
      const up = shown === '' ? '' : `\x1b[${shown.split('\n').length - 1}A\x1b[J`;
      out.write(up + lines.join('\n'));
    } else out.write(shown === '' ? text : `\n${text}`);
    shown = text;
  }

  return {
    /** Until the signal aborts. */
    run: async (text: () => string, signal: AbortSignal): Promise<void> => {
      do show(text());
      while (await pause(interval, signal));
      show(text());
    },
  };
}
