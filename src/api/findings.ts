import type { Kind, Resource } from './resources.generated.ts';

/** The way to a field: property names and list indexes. */
export type FieldPath = readonly (string | number)[];

/** One thing that is wrong (or doubtful) with a manifest, and how to mend it. */
export interface Finding {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** As `spec.grant[3]`; empty for the document as a whole. */
  readonly field: string;
  readonly reason: string;
  readonly wayOut: string;
}

/** What became of one document. Warnings say what the API server cannot see. */
export type Verdict =
  | {
      readonly outcome: 'accepted';
      /** Typed, with all defaults filled in as the API server would. */
      readonly resource: Resource;
      readonly warnings: readonly Finding[];
    }
  | {
      readonly outcome: 'refused';
      /** What it claims to be, as far as that could be told: a refused policy must still be missed by its name. */
      readonly kind: Kind | undefined;
      readonly name: string | undefined;
      readonly namespace: string | undefined;
      readonly faults: readonly Finding[];
      readonly warnings: readonly Finding[];
    }
  /** Of another API group: not ours to judge. */
  | { readonly outcome: 'foreign'; readonly apiVersion: string; readonly kind: string };

/** `spec.grant[3]`, `metadata.labels[example.com/tier]`. */
export function fieldName(path: FieldPath): string {
  return path
    .map((part, index) => {
      if (typeof part === 'string' && /^\w+$/.test(part)) return index === 0 ? part : `.${part}`;
      return `[${part}]`;
    })
    .join('');
}
