import type { Socket } from 'node:net';
import { asGuestStoreError, messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { HttpDate, responseHead } from '../wire/response-head.ts';
import { writeAll } from './byte-stream.ts';
import type { Channel, ChannelConnection, HostAnswer } from './channel.ts';
import type { Served } from './client-queue.ts';
import { receiveRequest } from './receive-request.ts';

/** All in milliseconds. */
export interface ServeTimes {
  /** For a whole request, counted from the client's turn. */
  readonly receive: number;
  /** For the connection to the host. */
  readonly connect: number;
  /** Between two writes to the client, and before the first. */
  readonly inactivity: number;
}

/**
 * Serves one client: request, question to the host, answer. Only 200, 403 and 404 are ever spoken; whatever else happens is
 * a silent close, so that trouble never looks like a decision. Without a way to the host all that wait are dropped too.
 */
export function createServe(
  channel: Channel,
  times: ServeTimes,
  log: Log,
  now: () => number,
): (client: Socket) => Promise<Served> {
  const date = new HttpDate();

  return async (client) => {
    const start = now();
    const request = await receiveRequest(client, times.receive);
    if (request.state === 'refused') {
      log.warn({ reason: request.reason }, 'request refused');
      return 'next';
    }
    const path = printable(request.path);
    const connection = await connectFor(client).catch((error: unknown) => {
      log.error(
        { path, code: asGuestStoreError(error, 'ChannelUnavailable').code, reason: messageOf(error) },
        'no host',
      );
      return undefined;
    });
    if (connection === undefined) return 'drop';

    // Whatever closes the client closes the connection: a failed write, the timer, the end of the plugin.
    client.once('close', () => connection.close());
    const idle = setTimeout(
      () => client.destroy(new Error(`nothing moved for ${times.inactivity} ms`)),
      times.inactivity,
    );
    try {
      const answer = await connection.ask(request.path);
      await relay(client, answer, date.at(now()), () => idle.refresh());
      const size = answer.answer === 'content' ? answer.size : undefined;
      log.info({ path, answer: answer.answer, size, milliseconds: now() - start }, 'request served');
    } catch (error) {
      log.warn({ path, reason: messageOf(client.errored ?? error), milliseconds: now() - start }, 'request failed');
    } finally {
      clearTimeout(idle);
      connection.close();
    }
    return 'next';
  };

  async function connectFor(client: Socket): Promise<ChannelConnection> {
    const gone = new AbortController();
    const abort = (): void => gone.abort(new Error('the client was closed'));
    const late = setTimeout(() => gone.abort(new Error(`no connection within ${times.connect} ms`)), times.connect);
    client.once('close', abort);
    try {
      return await channel.connect(gone.signal);
    } finally {
      clearTimeout(late);
      client.off('close', abort);
    }
  }
}

/** `moved` is called after each write that the client took. */
async function relay(client: Socket, answer: HostAnswer, date: string, moved: () => void): Promise<void> {
  switch (answer.answer) {
    case 'forbidden':
      return writeAll(client, responseHead(403, 0, date));
    case 'not-found':
      return writeAll(client, responseHead(404, 0, date));
    case 'content':
      await writeAll(client, responseHead(200, answer.size, date));
      moved();
      // In turns: the next piece is read when the client has taken this one.
      for await (const piece of answer.pieces) {
        await writeAll(client, piece);
        moved();
      }
  }
}

/** Guest-chosen bytes for the log: what is not printable ASCII stands as `%XX`. */
function printable(path: Uint8Array): string {
  return Buffer.from(path)
    .toString('latin1')
    .replace(/[^\x21-\x24\x26-\x7e]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}
