import { GuestStoreError } from '../lib/errors.ts';

/** Characters of a path that messages show. */
const shownPath = 200;

/** The URL of an item's `spec.source.http.url`. Throws SourceRefused; the text is not repeated, it may hold a password. */
export function parseSourceUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null) throw new GuestStoreError('SourceRefused', 'spec.source.http.url is not a valid URL; mend it');
  const fault = faultOf(url);
  if (fault !== undefined) throw new GuestStoreError('SourceRefused', `${shown(url)}: spec.source.http.url ${fault}`);
  url.hash = '';
  return url;
}

/**
 * Where a redirect leads. Throws SourceRefused for a target that may not be followed; messages name only `where`, since
 * the target is text that a server sent.
 */
export function redirectTarget(from: URL, location: string | undefined, where: string): URL {
  const refuse = (why: string) =>
    new GuestStoreError(
      'SourceRefused',
      `${where}: the server's redirect ${why}; set spec.source.http.url to the file`,
    );
  const url = location === undefined ? null : URL.parse(location, from);
  if (url === null) throw refuse('names no valid target');
  const fault = faultOf(url);
  if (fault !== undefined) throw refuse(fault);
  if (from.protocol === 'https:' && url.protocol === 'http:') throw refuse('leads from https to http');
  url.hash = '';
  return url;
}

/** A URL as messages and logs may show it: scheme, host and path. A query may be a signature, user info a password. */
export function shown(url: URL): string {
  const path = url.pathname.length > shownPath ? `${url.pathname.slice(0, shownPath)}…` : url.pathname;
  return `${url.protocol}//${url.host}${path}`;
}

function faultOf(url: URL): string | undefined {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return 'must be http or https';
  if (url.username !== '' || url.password !== '') return 'must not carry a user name or password';
  return undefined;
}
