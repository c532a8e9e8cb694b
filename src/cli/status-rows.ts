import type { Finding } from '../api/findings.ts';
import { type Condition, conditionOf } from '../core/conditions.ts';
import { keyOf } from '../core/names.ts';
import { orderOfKinds } from './kind-words.ts';

/** What stands in a status table of any object. */
export interface StatusObject {
  readonly kind: string;
  readonly metadata: { readonly namespace?: string; readonly name: string };
  readonly status: { readonly conditions?: readonly Condition[] };
}

export const statusHeader = ['KIND', 'NAME', 'READY', 'REASON', 'MESSAGE'] as const;

export function statusRows(objects: Iterable<StatusObject>): string[][] {
  return [...objects]
    .toSorted((a, b) => place(a.kind) - place(b.kind) || (keyOf(a.metadata) < keyOf(b.metadata) ? -1 : 1))
    .map(({ kind, metadata, status }) => {
      const ready = conditionOf(status.conditions, 'Ready');
      const { reason = 'Pending', message = 'Not looked at yet.' } = ready ?? {};
      return [kind, keyOf(metadata), ready?.status ?? 'Unknown', reason, message];
    });
}

function place(kind: string): number {
  return (orderOfKinds as readonly string[]).indexOf(kind);
}

/** Files that could not be taken: a row each, with place, reason and way out of the first fault. */
export function troubleRows(
  trouble: Iterable<{ readonly file: string; readonly findings: readonly Finding[] }>,
): string[][] {
  return [...trouble].map(({ file, findings }) => {
    const [first] = findings;
    const more = findings.length > 1 ? ` (and ${findings.length - 1} more)` : '';
    const message = first === undefined ? '' : `${formatFinding(first)}${more}`;
    return [
      'Manifest',
      file,
      'False',
      'InvalidManifest',
      `${message}; the last good objects of the file stay in force`,
    ];
  });
}

/** `file:line: field: reason; way out`. */
export function formatFinding({ file, line, field, reason, wayOut }: Finding): string {
  return `${file}:${line}: ${field === '' ? '' : `${field}: `}${reason}; ${wayOut}`;
}
