/** Heads of the host are a few hundred bytes. */
const headLimit = 16_384;

/** `bodyAt` is where the body begins in the bytes that were given. */
export type ChannelResponse =
  | { readonly state: 'incomplete' }
  | { readonly state: 'content'; readonly length: number; readonly bodyAt: number }
  | { readonly state: 'forbidden' | 'not-found' }
  | { readonly state: 'trouble'; readonly reason: string };

/**
 * Reads what the host answers on an HTTP channel. Stricter than the guest's clients are: content only with one exact length,
 * and anything but a clean 200, 403 or 404 is trouble, since guests delete configuration on the latter two.
 */
export function parseChannelResponse(received: Uint8Array): ChannelResponse {
  const text = Buffer.from(received.buffer, received.byteOffset, Math.min(received.length, headLimit)).toString(
    'latin1',
  );
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) {
    return received.length < headLimit
      ? { state: 'incomplete' }
      : { state: 'trouble', reason: `the host's answer has a head longer than ${headLimit} bytes` };
  }
  const [statusLine = '', ...headers] = text.slice(0, end).split('\r\n');
  const status = /^HTTP\/1\.1 (\d{3})(?: |$)/.exec(statusLine)?.[1];
  if (status === '403') return { state: 'forbidden' };
  if (status === '404') return { state: 'not-found' };
  if (status !== '200') {
    return { state: 'trouble', reason: `the host answered ${JSON.stringify(statusLine.slice(0, 80))}` };
  }
  if (headers.some((header) => /^transfer-encoding[ \t]*:/i.test(header))) {
    return { state: 'trouble', reason: 'the host announced a transfer coding instead of a length' };
  }
  const [length, ...more] = headers.flatMap((header) => /^content-length:[ \t]*(.*?)[ \t]*$/i.exec(header)?.[1] ?? []);
  if (length === undefined || more.length > 0 || !/^\d{1,15}$/.test(length)) {
    return { state: 'trouble', reason: 'the host announced no exact length' };
  }
  return { state: 'content', length: Number(length), bodyAt: end + 4 };
}
