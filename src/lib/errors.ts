/** Codes with who can help: `user`, since trying again changes nothing, or `time`. */
const codes = {
  InvalidArgument: 'user',
  InvalidManifest: 'user',
  InvalidPath: 'user',
  InvalidRule: 'user',
  TooManyRules: 'user',
  DigestMismatch: 'user',
  TooLarge: 'user',
  QuotaExceeded: 'user',
  SourceRefused: 'user',
  SecretNotGranted: 'user',
  EgressNotPermitted: 'user',
  PathConflict: 'user',
  RootConflict: 'user',
  ChannelConflict: 'user',
  ChannelRefused: 'user',
  ForeignStore: 'user',
  FormatNotSupported: 'user',
  NotSupportedYet: 'user',
  SourceNotFound: 'time',
  SourceUnavailable: 'time',
  SourceStalled: 'time',
  ForeignFile: 'time',
  StoreUnavailable: 'time',
  StoreCorrupt: 'time',
  Superseded: 'time',
  ApiUnavailable: 'time',
  ApiRefused: 'time',
  ChannelUnavailable: 'time',
  Aborted: 'time',
  Internal: 'time',
} as const satisfies Readonly<Record<string, 'user' | 'time'>>;

/**
 * What went wrong, as a word to branch on. The reasons that appear in conditions are drawn from the same set
 * (docs/reasons.md), so that a log line and a status name one thing alike.
 */
export type ErrorCode = keyof typeof codes;

export const errorCodes = Object.keys(codes) as readonly ErrorCode[];

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
    return codes[this.code] === 'user';
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
