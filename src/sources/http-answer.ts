import { GuestStoreError } from '../lib/errors.ts';

/** Header fields as they came; one that came several times is a list. */
export type Fields = Readonly<Record<string, string | readonly string[] | undefined>>;

/** What a server calls the version that it gives. */
export interface Validators {
  /** ETag, else Last-Modified, else empty. Only what has the form of one: it ends up in status. */
  readonly revision: string;
  /** What a resumed request names to get the rest of these very bytes; undefined when nothing is exact enough for that. */
  readonly ifRange: string | undefined;
}

/** The place of a 206 answer's bytes in the whole; `last` is inclusive. */
export interface ContentRange {
  readonly first: number;
  readonly last: number;
  readonly total: number | undefined;
}

const longestTag = 256;
const longestWait = 24 * 60 * 60 * 1000;
const entityTag = /^(?:W\/)?"[\x21\x23-\x7e]*"$/;
const httpDate = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/** RFC 9110 section 13.1.5: a weak tag never, a date only when it is at least a second before the answer's own. */
export function validatorsOf(fields: Fields): Validators {
  const tag = matching(fields, 'etag', entityTag);
  if (tag !== undefined) return { revision: tag, ifRange: tag.startsWith('W/') ? undefined : tag };
  const modified = matching(fields, 'last-modified', httpDate);
  const date = matching(fields, 'date', httpDate);
  const exact = modified !== undefined && date !== undefined && Date.parse(date) - Date.parse(modified) >= 1000;
  return { revision: modified ?? '', ifRange: exact ? modified : undefined };
}

/** Fields that ask for the content only if it is no longer `known`, a revision that `validatorsOf` gave. */
export function conditionOf(known: string | undefined): Record<string, string> {
  if (known === undefined) return {};
  if (entityTag.test(known)) return { 'if-none-match': known };
  return httpDate.test(known) ? { 'if-modified-since': known } : {};
}

/** Bytes that the answer announces; undefined when it does not. */
export function announcedSize(fields: Fields): number | undefined {
  const length = single(fields, 'content-length');
  return length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined;
}

export function contentRangeOf(fields: Fields): ContentRange | undefined {
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(single(fields, 'content-range') ?? '') ?? [];
  if (first === undefined || last === undefined) return undefined;
  return { first: Number(first), last: Number(last), total: total === '*' ? undefined : Number(total) };
}

/** Throws SourceRefused for a body in any coding: its bytes would not be those of the digest. */
export function refuseCoding(fields: Fields, where: string): void {
  const coding = fields['content-encoding'];
  if (coding === undefined || coding === '' || coding === 'identity') return;
  throw new GuestStoreError(
    'SourceRefused',
    `${where}: the server answered in a content coding although none was asked for; switch its compression off for this file`,
  );
}

/** The error that a status means which carries no content. */
export function errorOfStatus(status: number, fields: Fields, where: string): GuestStoreError {
  const answered = `${where}: the server answered ${status}`;
  if (status === 404 || status === 410)
    return new GuestStoreError('SourceNotFound', `${answered}; put the file there or correct spec.source.http.url`);
  if (status === 401 || status === 403)
    return new GuestStoreError('SourceRefused', `${answered}; make the file readable without credentials`);
  if (status === 408 || status === 425 || status === 429 || status >= 500)
    return new GuestStoreError('SourceUnavailable', `${answered}; it will be tried again`, {
      retryAfter: retryAfterOf(fields),
    });
  if (status >= 400) return new GuestStoreError('SourceRefused', `${answered}; correct spec.source.http.url`);
  return new GuestStoreError('SourceUnavailable', `${answered}, where 200 was expected; it will be tried again`);
}

/** Milliseconds, at most a day. A date counts from the answer's own `Date`, whatever our clock says. */
export function retryAfterOf(fields: Fields): number | undefined {
  const text = single(fields, 'retry-after');
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Math.min(Number(text) * 1000, longestWait);
  const date = matching(fields, 'date', httpDate);
  if (date === undefined || !httpDate.test(text)) return undefined;
  return Math.min(Math.max(Date.parse(text) - Date.parse(date), 0), longestWait);
}

/** A field that came exactly once. */
export function single(fields: Fields, name: string): string | undefined {
  const value = fields[name];
  return typeof value === 'string' ? value : undefined;
}

function matching(fields: Fields, name: string, form: RegExp): string | undefined {
  const value = single(fields, name);
  return value !== undefined && value.length <= longestTag && form.test(value) ? value : undefined;
}
