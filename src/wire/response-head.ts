/** Every status that the daemon answers with, in the words that VMware's own client reads them. */
const reasonPhrases = {
  200: 'OK',
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  413: 'Content Too Large',
  414: 'URI Too Long',
  431: 'Request Header Fields Too Large',
  501: 'Not Implemented',
  503: 'Service Unavailable',
  505: 'HTTP Version Not Supported',
} as const;

export type ResponseStatus = keyof typeof reasonPhrases;

/** Seconds after which a client may ask again when it was answered 503. */
export const retryAfterSeconds = 5;

/** Fields that some statuses must or should carry besides. */
const extraFields: Partial<Record<ResponseStatus, string>> = {
  405: 'Allow: GET\r\n',
  503: `Retry-After: ${retryAfterSeconds}\r\n`,
};

/**
 * A response head, byte for byte in the spelling and order that VMware's own client is used to: it looks for
 * `Content-Length: ` as a text and wants a reason phrase. `length` is the body's, in bytes; `date` as `HttpDate` gives it.
 */
export function responseHead(status: ResponseStatus, length: number, date: string): string {
  return (
    `HTTP/1.1 ${status} ${reasonPhrases[status]}\r\nDate: ${date}\r\nServer: VMGuestStore\r\nAccept-Ranges: bytes\r\n` +
    `Content-Length: ${length}\r\nContent-Type: application/octet-stream\r\n${extraFields[status] ?? ''}` +
    `Connection: close\r\n\r\n`
  );
}

/** The date of a response, made once a second: `Mon, 23 Nov 2026 07:06:52 GMT` (RFC 9110, IMF-fixdate). */
export class HttpDate {
  /** The second (since 1970) that `text` names: who keeps ready responses compares it. */
  second = Number.NaN;
  text = '';

  /** `milliseconds` since 1970. */
  at(milliseconds: number): string {
    const second = Math.floor(milliseconds / 1000);
    if (second !== this.second) {
      this.second = second;
      this.text = new Date(second * 1000).toUTCString();
    }
    return this.text;
  }
}
