import type { Socket } from 'node:net';

/** What becomes of the others once a client has been served: `drop` closes all that wait, without an answer. */
export type Served = 'next' | 'drop';

export interface ClientQueue {
  /** Takes a connection in, or closes it at once when too many are there. */
  accept(client: Socket): void;
  /** Closes every connection, and each that still comes. Resolves when the current one is done with. */
  close(): Promise<void>;
}

/**
 * First come, first served, one at a time. `limit` counts the current client too; 0 refuses everybody and a negative one
 * nobody. A waiting client is not read and has no timer. `serve` never rejects; its client is closed afterwards.
 */
export function createClientQueue(
  limit: number,
  serve: (client: Socket) => Promise<Served>,
  onTurnedAway: () => void,
): ClientQueue {
  const waiting: Socket[] = [];
  let current: Socket | undefined;
  let turn: Promise<void> = Promise.resolve();
  let isClosed = false;

  const dropWaiting = (): void => {
    for (const client of waiting.splice(0)) client.destroy();
  };
  const run = async (): Promise<void> => {
    for (current = waiting.shift(); current !== undefined; current = waiting.shift()) {
      const outcome = await serve(current);
      current.destroy();
      if (outcome === 'drop') dropWaiting();
    }
  };
  return {
    accept: (client) => {
      // Who is gone is noticed when it is read or written; until then an error has no other listener.
      client.on('error', () => {});
      const present = waiting.length + (current === undefined ? 0 : 1);
      if (isClosed || (limit >= 0 && present >= limit)) {
        client.destroy();
        onTurnedAway();
        return;
      }
      waiting.push(client);
      if (current === undefined) turn = run();
    },
    close: async () => {
      isClosed = true;
      dropWaiting();
      current?.destroy();
      await turn;
    },
  };
}
