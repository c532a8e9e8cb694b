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
