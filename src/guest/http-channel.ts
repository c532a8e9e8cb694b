import { GuestStoreError, messageOf } from '../lib/errors.ts';
import { type ChannelResponse, parseChannelResponse } from '../wire/channel-response.ts';
import { encodeChannelRequest } from '../wire/client-request.ts';
import { type ByteStream, connectByteStream } from './byte-stream.ts';
import type { Channel, ChannelConnection, HostAnswer } from './channel.ts';

/** The host behind a Unix socket, speaking HTTP: one connection a request. */
export function createHttpChannel(socketPath: string): Channel {
  return {
    connect: async (signal) => {
      try {
        return connectionOf(await connectByteStream(socketPath, signal));
      } catch (error) {
        signal.throwIfAborted();
        throw unavailable(`cannot connect to the host at ${socketPath}: ${messageOf(error)}`, error);
      }
    },
  };
}

function connectionOf(stream: ByteStream): ChannelConnection {
  return {
    ask: async (path) => {
      await ask(stream, path);
      return readAnswer(stream);
    },
    close: () => stream.close(),
  };
}

async function ask(stream: ByteStream, path: Uint8Array): Promise<void> {
  try {
    await stream.write(encodeChannelRequest(path));
  } catch (error) {
    throw unavailable(`the host took no request: ${messageOf(error)}`, error);
  }
}

async function readAnswer(stream: ByteStream): Promise<HostAnswer> {
  const { head, received } = await readHead(stream);
  switch (head.state) {
    case 'forbidden':
    case 'not-found':
      return { answer: head.state };
    case 'trouble':
      throw unavailable(head.reason);
    case 'content':
      return {
        answer: 'content',
        size: head.length,
        pieces: pieces(stream, received.subarray(head.bodyAt), head.length),
      };
  }
}

type Head = Exclude<ChannelResponse, { readonly state: 'incomplete' }>;

/** `received` begins with the head; what was read together with its end stands behind it. */
async function readHead(stream: ByteStream): Promise<{ head: Head; received: Uint8Array }> {
  let received: Uint8Array = new Uint8Array();
  for (;;) {
    const piece = await readPiece(stream);
    if (piece === undefined) throw unavailable('the host closed the connection without an answer');
    received = received.length === 0 ? piece : Buffer.concat([received, piece]);
    const head = parseChannelResponse(received);
    if (head.state !== 'incomplete') return { head, received };
    // The next read would overwrite it.
    received = Buffer.from(received);
  }
}

/** A piece that holds more than was announced is not passed on at all. */
async function* pieces(stream: ByteStream, first: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  let left = size;
  let piece: Uint8Array | undefined = first;
  for (;;) {
    if (piece.length > left) throw unavailable(`the host sent more than the ${size} bytes that it announced`);
    left -= piece.length;
    if (piece.length > 0) yield piece;
    if (left === 0) return;
    piece = await readPiece(stream);
    if (piece === undefined) throw unavailable(`the host closed the connection ${left} bytes before the end`);
  }
}

async function readPiece(stream: ByteStream): Promise<Uint8Array | undefined> {
  try {
    return await stream.read();
  } catch (error) {
    throw unavailable(`the connection to the host broke: ${messageOf(error)}`, error);
  }
}

function unavailable(message: string, cause?: unknown): GuestStoreError {
  return new GuestStoreError('ChannelUnavailable', message, { cause });
}
