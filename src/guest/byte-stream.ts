import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { errnoOf } from '../lib/errors.ts';

/** Bytes in one read. */
const pieceSize = 65_536;

/** Milliseconds until a connect is tried again that found the listener's queue full. */
const queueFullPause = 20;

/** A connection that is read and written in turns, in flat memory: nothing is read ahead. */
export interface ByteStream {
  /**
   * The next bytes, at most 64 KiB; undefined when the peer has ended orderly. They lie in a buffer that the next read
   * overwrites.
   */
  read(): Promise<Uint8Array | undefined>;
  /** Resolves once the kernel has taken all of them. */
  write(bytes: Uint8Array | string): Promise<void>;
  /** Both directions, at once and for good; a pending read or write rejects. */
  close(): void;
}

/**
 * Connects to a Unix stream socket. Rejects with the system's own error (`ENOENT`, `ECONNREFUSED`, `EACCES`), or with the
 * signal's reason. Where the listener's queue is full it waits for its turn, until `signal` aborts.
 */
export async function connectByteStream(path: string, signal: AbortSignal): Promise<ByteStream> {
  for (;;) {
    signal.throwIfAborted();
    try {
      return await connectOnce(path, signal);
    } catch (error) {
      // A blocking connect would wait here; Node's sockets do not block.
      if (errnoOf(error) !== 'EAGAIN') throw error;
    }
    await delay(queueFullPause);
  }
}

function connectOnce(path: string, signal: AbortSignal): Promise<ByteStream> {
  const buffer = Buffer.allocUnsafeSlow(pieceSize);
  let pending: PromiseWithResolvers<Uint8Array | undefined> | undefined;
  let ended = false;
  let failure: Error | undefined;

  const settle = (how: (waiting: PromiseWithResolvers<Uint8Array | undefined>) => void): void => {
    const waiting = pending;
    pending = undefined;
    if (waiting !== undefined) how(waiting);
  };
  const socket: Socket = connect({
    path,
    allowHalfOpen: true,
    onread: {
      buffer,
      callback: (length) => {
        settle(({ resolve }) => resolve(buffer.subarray(0, length)));
        // False stops the reading: the next piece overwrites this one, so it has to be asked for.
        return false;
      },
    },
  });
  socket.pause();
  socket.on('end', () => {
    ended = true;
    settle(({ resolve }) => resolve(undefined));
  });
  socket.on('error', (error) => {
    failure = error;
  });
  socket.on('close', () => settle(({ reject }) => reject(failure ?? new Error('the connection was closed'))));

  const stream: ByteStream = {
    read: async () => {
      if (ended) return undefined;
      if (socket.destroyed) throw failure ?? new Error('the connection was closed');
      pending = Promise.withResolvers();
      const { promise } = pending;
      socket.resume();
      return promise;
    },
    write: (bytes) => writeAll(socket, bytes),
    close: () => socket.destroy(),
  };
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      socket.destroy();
      reject(signal.reason);
    };
    signal.addEventListener('abort', abort, { once: true });
    socket.once('connect', () => {
      signal.removeEventListener('abort', abort);
      resolve(stream);
    });
    socket.once('close', () => {
      signal.removeEventListener('abort', abort);
      reject(failure ?? new Error('the connection was closed'));
    });
  });
}

/** Resolves once the kernel has taken all of `bytes`; rejects when the peer is gone or the socket was closed. */
export function writeAll(socket: Socket, bytes: Uint8Array | string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(bytes, (error) => {
      if (error) reject(error);
      // Node reports success for a write that a close cut short.
      else if (socket.destroyed) reject(new Error('the connection was closed'));
      else resolve();
    });
  });
}
