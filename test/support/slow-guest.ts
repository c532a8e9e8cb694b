import { connect, type Socket } from 'node:net';

/** A guest that a test holds by the hand: it sends and reads only as told. */
export interface Guest {
  readonly socket: Socket;
  /** Resolves when at least so many bytes have come. */
  received(bytes: number): Promise<void>;
  /** All that came, once the connection has ended; `error` is the errno name if not in order. */
  readonly finished: Promise<{ readonly bytes: Buffer; readonly error: string | undefined }>;
}

export async function openGuest(path: string): Promise<Guest> {
  const socket = connect({ path, allowHalfOpen: true });
  const pieces: Buffer[] = [];
  let length = 0;
  let error: string | undefined;
  const waiting: { readonly bytes: number; readonly resolve: () => void }[] = [];
  socket.on('data', (bytes: Buffer) => {
    pieces.push(bytes);
    length += bytes.length;
    for (const wait of waiting.filter((wait) => wait.bytes <= length)) wait.resolve();
  });
  socket.on('error', (thrown: NodeJS.ErrnoException) => {
    error = thrown.code ?? thrown.message;
  });
  socket.on('end', () => socket.end());
  const finished = new Promise<{ bytes: Buffer; error: string | undefined }>((resolve) => {
    socket.on('close', () => resolve({ bytes: Buffer.concat(pieces), error }));
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return {
    socket,
    finished,
    received: (bytes) =>
      length >= bytes ? Promise.resolve() : new Promise((resolve) => waiting.push({ bytes, resolve })),
  };
}
