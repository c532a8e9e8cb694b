import type { Socket } from 'node:net';
import { type PluginRequest, parsePluginRequest } from '../wire/plugin-request.ts';

/** `reason` is why there is nothing to answer. */
export type Received = Exclude<PluginRequest, { readonly state: 'incomplete' }>;

/**
 * Reads one request from a client whose turn it is. The time of `timeout` milliseconds begins now and is not prolonged by
 * bytes that drip in. Nothing is read after a whole request.
 */
export function receiveRequest(client: Socket, timeout: number): Promise<Received> {
  return new Promise((resolve) => {
    let received: Uint8Array = new Uint8Array();
    const settle = (outcome: Received): void => {
      clearTimeout(timer);
      client.off('data', take).off('end', end).off('close', close).pause();
      resolve(outcome);
    };
    const take = (piece: Uint8Array): void => {
      received = received.length === 0 ? piece : Buffer.concat([received, piece]);
      const request = parsePluginRequest(received);
      if (request.state !== 'incomplete') settle(request);
    };
    const end = (): void => settle({ state: 'refused', reason: 'the client closed before the end of its request' });
    const close = (): void =>
      settle({ state: 'refused', reason: 'the connection broke before the end of the request' });
    const timer = setTimeout(
      () => settle({ state: 'refused', reason: `no whole request arrived within ${timeout} ms` }),
      timeout,
    );
    client.on('data', take).on('end', end).on('close', close).resume();
  });
}
