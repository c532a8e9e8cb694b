import { formatTable } from '../../src/cli/table.ts';
import type { SoakResult } from './run-soak.ts';

/** For people: what stayed flat, what was done, and what went wrong. */
export function soakTable({ flatness, faults, edits, requests, failures }: SoakResult): string {
  const rows = flatness.map(({ what, first, last, allowed, flat }) => [
    what,
    first.toFixed(1),
    last.toFixed(1),
    `<= ${allowed.toFixed(1)}`,
    flat ? 'yes' : 'no',
  ]);
  const struck = [...faults].map(([name, times]) => `${name} ${times}`).join(', ');
  return [
    formatTable(['WHAT', 'FIRST THIRD', 'LAST THIRD', 'ALLOWED', 'FLAT'], rows),
    `${edits} edits, ${requests} requests of guests; faults: ${struck}`,
    failures.length === 0 ? 'soak: all is well' : `soak failed:\n${failures.map((one) => `  ${one}`).join('\n')}`,
  ].join('\n');
}
