import type { Writable } from 'node:stream';

/** What a command may touch of the process that it runs in. */
export interface Io {
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean };
  /** Aborts on SIGTERM and SIGINT: finish what is under way and return. */
  readonly signal: AbortSignal;
}

/** 0 done, 1 failed, 2 used wrongly; `getcontent` has codes of its own. */
export type ExitCode = number;
