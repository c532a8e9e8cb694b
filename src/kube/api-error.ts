import { GuestStoreError } from '../lib/errors.ts';

/** metav1.Status, as far as it is used. */
export interface StatusBody {
  readonly kind?: string;
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: StatusDetails;
}

export interface StatusDetails {
  readonly group?: string;
  readonly kind?: string;
  readonly name?: string;
  readonly uid?: string;
  readonly retryAfterSeconds?: number;
  readonly causes?: readonly { readonly reason?: string; readonly message?: string; readonly field?: string }[];
}

/**
 * The API server said no, or nothing. `code` is `ApiUnavailable` where waiting alone may help (no answer, 429, 5xx), else
 * `ApiRefused`.
 */
export class ApiError extends GuestStoreError {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** metav1.StatusReason such as `NotFound`, `Conflict`, `AlreadyExists`, `Expired`; without an answer `Unreachable` or `Timeout`. */
  readonly reason: string;
  readonly details: StatusDetails;

  constructor(status: number, body: StatusBody, what: string, retryAfter?: number, options?: ErrorOptions) {
    const reason = body.reason ?? reasonOf(status);
    const waiting = status === 0 || status === 429 || status >= 500;
    super(waiting ? 'ApiUnavailable' : 'ApiRefused', `${what}: ${body.message ?? reason}`, {
      ...options,
      retryAfter: retryAfter ?? secondsToMilliseconds(body.details?.retryAfterSeconds),
    });
    this.status = status;
    this.reason = reason;
    this.details = body.details ?? {};
  }
}

export function isApiError(thrown: unknown, reason: string): thrown is ApiError {
  return thrown instanceof ApiError && thrown.reason === reason;
}

/** The version asked for is no longer kept: list again. Comes as an HTTP status, and as an ERROR event within a watch. */
export function isExpired(thrown: unknown): boolean {
  return (
    thrown instanceof ApiError && (thrown.status === 410 || thrown.reason === 'Expired' || thrown.reason === 'Gone')
  );
}

/** Bodies that are no Status come from proxies, and from handlers that write plain text. */
export function parseStatus(text: string): StatusBody {
  try {
    const body = JSON.parse(text) as StatusBody;
    if (typeof body === 'object' && body !== null && body.kind === 'Status') return body;
  } catch {
    // Plain text.
  }
  return text === '' ? {} : { message: text.slice(0, 500).trim() };
}

const reasons: Readonly<Record<number, string>> = {
  0: 'Unreachable',
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Gone',
  422: 'Invalid',
  429: 'TooManyRequests',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

function reasonOf(status: number): string {
  return reasons[status] ?? `HTTP ${status}`;
}

function secondsToMilliseconds(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * 1000;
}
