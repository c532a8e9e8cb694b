import { isIP } from 'node:net';
import type { Readable } from 'node:stream';
import { GuestStoreError } from '../lib/errors.ts';
import { type AddressGuard, egressRefused } from './http-address.ts';
import { errorOfStatus, type Fields, refuseCoding, single } from './http-answer.ts';
import type { Agents } from './http-connect.ts';
import { failureOf, refusalError } from './http-failure.ts';
import { redirectTarget, shown } from './http-url.ts';

const maxRedirects = 5;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** The head of an answer that is no redirect and no error, with its body still to be read or given up. */
export interface Opened {
  readonly status: number;
  readonly fields: Fields;
  readonly body: Readable;
  /** What messages about this transfer begin with. */
  readonly where: string;
}

export type OpenUrl = (start: URL, fields: Readonly<Record<string, string>>, signal: AbortSignal) => Promise<Opened>;

/**
 * Asks for a URL and follows at most five redirects; every hop is judged like the first. `stall`: milliseconds
 * without a byte of the body; `headTimeout`: milliseconds until the head is whole. Throws as FetchHttp does.
 */
export function createOpenUrl(agents: Agents, guard: AddressGuard, stall: number, headTimeout: number): OpenUrl {
  return async (start, asked, signal) => {
    const visited = new Set<string>();
    let url = start;
    for (;;) {
      const where = `http source ${shown(start)}${visited.size === 0 ? '' : ' (redirected)'}`;
      if (visited.has(url.href)) throw new GuestStoreError('SourceRefused', `${where}: the redirects run in a circle`);
      if (visited.size > maxRedirects)
        throw new GuestStoreError('SourceRefused', `${where}: more than ${maxRedirects} redirects; set the final URL`);
      visited.add(url.href);
      // What a proxy resolves cannot be judged by its address.
      const unseen = guard.resolves && agents.proxied(url) && !isAddress(url.hostname);
      const refusal = guard.refusalOf(url.hostname) ?? (unseen ? egressRefused : undefined);
      if (refusal !== undefined) throw refusalError(refusal, where);
      const { statusCode, headers, body } = await headOf(url, asked, where, signal);
      if (!redirects.has(statusCode)) return accepted({ status: statusCode, fields: headers, body, where });
      giveUp(body);
      url = redirectTarget(url, single(headers, 'location'), where);
    }
  };

  async function headOf(url: URL, asked: Readonly<Record<string, string>>, where: string, signal: AbortSignal) {
    // One clock for resolving, connecting, a proxy and the head: answers of the kind "103, more to come" do not reset it.
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), headTimeout);
    try {
      return await agents.forUrl(url).request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method: 'GET',
        headers: { 'user-agent': 'gueststore', accept: '*/*', 'accept-encoding': 'identity', ...asked },
        signal: AbortSignal.any([signal, late.signal]),
        headersTimeout: stall,
        bodyTimeout: stall,
      });
    } catch (thrown) {
      if (late.signal.aborted && !signal.aborted)
        throw new GuestStoreError('SourceStalled', `${where}: the server does not answer; it will be tried again`);
      throw failureOf(thrown, where, signal);
    } finally {
      clearTimeout(timer);
    }
  }
}

function isAddress(hostname: string): boolean {
  return isIP(hostname.replace(/^\[|\]$/g, '')) !== 0;
}

/** Ends a transfer whose bytes nobody wants; its connection goes with it. */
export function giveUp(body: Readable): void {
  // Who destroys a stream is told so by an error event, which is no news here.
  body.on('error', () => undefined).destroy();
}

function accepted(opened: Opened): Opened {
  const { status, fields, body, where } = opened;
  try {
    if (status !== 200 && status !== 206 && status !== 304) throw errorOfStatus(status, fields, where);
    refuseCoding(fields, where);
    return opened;
  } catch (refusal) {
    giveUp(body);
    throw refusal;
  }
}
