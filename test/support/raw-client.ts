import { connect, type Socket } from 'node:net';

export interface RawAnswer {
  /** One character a byte. */
  readonly text: string;
  /** How the connection ended: `end` orderly, else an errno name. */
  readonly end: string;
}

export interface RawClient {
  readonly socket: Socket;
  /** Everything until the other side has closed. */
  readonly answer: Promise<RawAnswer>;
}

/** A client that sends whatever bytes a test wants, half-open, as `nc -U` would. */
export async function connectRaw(path: string): Promise<RawClient> {
  const socket = connect({ path, allowHalfOpen: true });
  const answer = new Promise<RawAnswer>((resolve) => {
    let text = '';
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
    });
    socket.on('end', () => resolve({ text, end: 'end' }));
    socket.on('error', (error) => resolve({ text, end: 'code' in error ? String(error.code) : error.message }));
    socket.on('close', () => resolve({ text, end: 'close' }));
  });
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return { socket, answer };
}

/** Sends one request, waits for the other side to close, and closes. */
export async function askRaw(path: string, request: string | Uint8Array): Promise<RawAnswer> {
  const { socket, answer } = await connectRaw(path);
  socket.write(typeof request === 'string' ? Buffer.from(request, 'latin1') : request);
  try {
    return await answer;
  } finally {
    socket.destroy();
  }
}
