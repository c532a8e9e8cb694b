import type { Dispatcher } from 'undici';
import { GuestStoreError } from '../lib/errors.ts';

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
