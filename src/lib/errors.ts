/**
 * What went wrong, as a word to branch on. The reasons that appear in conditions are drawn from the same set
 * (docs/reasons.md), so that a log line and a status name one thing alike.
 */
export type ErrorCode =
  // The user's to mend; trying again changes nothing.
  | 'InvalidArgument'
  | 'InvalidManifest'
  | 'InvalidPath'
  | 'InvalidRule'
  | 'TooManyRules'
  | 'DigestMismatch'
  | 'TooLarge'
  | 'QuotaExceeded'
  | 'SourceNotFound'
  | 'SourceRefused'
  | 'SecretNotGranted'
  | 'PathConflict'
  | 'RootConflict'
  | 'ChannelConflict'
  | 'ChannelRefused'
  | 'ForeignFile'
  | 'ForeignStore'
  | 'FormatNotSupported'
  | 'NotSupportedYet'
  // May heal by itself.
  | 'SourceUnavailable'
  | 'SourceStalled'
  | 'StoreUnavailable'
  | 'StoreCorrupt'
  | 'Superseded'
  | 'ApiUnavailable'
  | 'ApiRefused'
  | 'ChannelUnavailable'
  | 'Aborted'
  | 'Internal';

const terminal: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'InvalidArgument',
  'InvalidManifest',
  'InvalidPath',
  'InvalidRule',
  'TooManyRules',
  'DigestMismatch',
  'TooLarge',
  'QuotaExceeded',
  'SourceRefused',
  'SecretNotGranted',
  'PathConflict',
  'RootConflict',
  'ChannelConflict',
  'ChannelRefused',
  'ForeignStore',
  'FormatNotSupported',
  'NotSupportedYet',
]);

/** The one error class of the program: `code` to branch on, `message` for people, `cause` for the log. */
export class GuestStoreError extends Error {
  override readonly name = 'GuestStoreError';
  readonly code: ErrorCode;
  /** Milliseconds that the other side asked to be left alone; undefined when it did not say. */
  readonly retryAfter: number | undefined;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions & { readonly retryAfter?: number | undefined }) {
    super(message, options);
    this.code = code;
    this.retryAfter = options?.retryAfter;
  }

  /** True when only a change by the user can help, false when trying again may. */
  get terminal(): boolean {
    return terminal.has(this.code);
  }
}

/** Whatever was thrown, as our own error; foreign ones become `code` with their errno name in the message. */
export function asGuestStoreError(thrown: unknown, code: ErrorCode = 'Internal'): GuestStoreError {
  if (thrown instanceof GuestStoreError) return thrown;
  return new GuestStoreError(code, messageOf(thrown), { cause: thrown });
}

/** The text of anything thrown. Node's system errors begin with their errno name, which is kept. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The errno name of a failed system call (`ENOSPC`), or undefined for any other error. */
export function errnoOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' && 'errno' in thrown
    ? thrown.code
    : undefined;
}
