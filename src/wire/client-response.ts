/** A head that has not ended within so many bytes is an error. */
export const clientHeadLimit = 65_535;

/** `bodyAt` is where the body begins in the bytes that were given. */
export type ClientResponse =
  | { readonly state: 'incomplete' }
  | { readonly state: 'content'; readonly length: number; readonly bodyAt: number }
  | { readonly state: 'forbidden' | 'not-found' }
  | { readonly state: 'malformed'; readonly reason: string };

const lengthName = 'Content-Length: ';

/**
 * Reads an answer as VMware's client does, which is strict about the first line and careless about the rest: the length is
 * the first `Content-Length: ` anywhere in the head, spelled just so, and digits after it count until they end (none
 * is 0). `received` is everything since the connection began.
 */
export function parseClientResponse(received: Uint8Array): ClientResponse {
  // One character a byte, so that indexes are those of the bytes.
  const text = Buffer.from(received.buffer, received.byteOffset, Math.min(received.length, clientHeadLimit)).toString(
    'latin1',
  );
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) {
    return received.length < clientHeadLimit
      ? { state: 'incomplete' }
      : { state: 'malformed', reason: `the head of the answer is longer than ${clientHeadLimit} bytes` };
  }
  const head = text.slice(0, end + 2);
  const status = /^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1];
  if (status === '403') return { state: 'forbidden' };
  if (status === '404') return { state: 'not-found' };
  if (status !== '200') {
    const line = head.slice(0, Math.min(head.indexOf('\r\n'), 80));
    return { state: 'malformed', reason: `the answer begins with ${JSON.stringify(line)}` };
  }
  const at = head.indexOf(lengthName);
  if (at < 0) return { state: 'malformed', reason: 'the answer does not say how long the content is' };
  const length = Number(/^\d*/.exec(head.slice(at + lengthName.length))?.[0] ?? '');
  if (!Number.isSafeInteger(length)) return { state: 'malformed', reason: 'the announced length is beyond all bounds' };
  return { state: 'content', length, bodyAt: end + 4 };
}
