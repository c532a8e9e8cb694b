import type { Dispatcher } from 'undici';
import { GuestStoreError } from '../lib/errors.ts';
import type { Transport } from './transport.ts';

/**
 * The same transport for somebody who may lose the right to write: once `mayWrite` is false, what would change something
 * fails with `Superseded`. It is asked in the moment in which the request would leave, however long that has waited for a
 * connection: a process that was stopped and wakes sends nothing that it meant to send before.
 */
export function fenced(transport: Transport, mayWrite: () => boolean): Transport {
  return {
    ...transport,
    call: (call, signal) => transport.call(call.method === 'GET' ? call : { ...call, mayBegin: mayWrite }, signal),
  };
}

/** A dispatcher that asks `mayBegin` before the first byte of each request. */
export function guarded(dispatcher: Dispatcher, mayBegin: () => boolean): Dispatcher {
  return dispatcher.compose((dispatch) => (options, handler) => dispatch(options, guardedHandler(handler, mayBegin)));
}

function guardedHandler(handler: Dispatcher.DispatchHandler, mayBegin: () => boolean): Dispatcher.DispatchHandler {
  return {
    onRequestStart(controller, context) {
      if (!mayBegin()) throw new GuestStoreError('Superseded', 'not sent: this process leads no more');
      handler.onRequestStart?.(controller, context);
    },
    onRequestUpgrade: (...given) => handler.onRequestUpgrade?.(...given),
    onResponseStart: (...given) => handler.onResponseStart?.(...given),
    onResponseData: (...given) => handler.onResponseData?.(...given),
    onResponseEnd: (...given) => handler.onResponseEnd?.(...given),
    onResponseError: (...given) => handler.onResponseError?.(...given),
  };
}
