import { stat } from 'node:fs/promises';
import { errnoOf, messageOf } from '../lib/errors.ts';
import { faultOfClientPath } from '../wire/client-request.ts';
import { clientHeadLimit, parseClientResponse } from '../wire/client-response.ts';
import { type ByteStream, connectByteStream } from './byte-stream.ts';
import { type FailureCode, type FailureName, failureCode } from './failure-code.ts';
import { type OutputFile, openOutputFile } from './output-file.ts';

/** Milliseconds that a client waits for room in the listener's queue. */
const queueTimeout = 30_000;

export interface ContentRequest {
  /** As it is, before escaping. */
  readonly path: Uint8Array;
  /** The file that receives the content. */
  readonly file: string;
  /** A Unix socket: the plugin's pipe, or the host's. */
  readonly socket: string;
  /** Users whose socket is trusted; undefined for anybody's. */
  readonly trusted: readonly number[] | undefined;
  /** The bytes to send for a path. */
  readonly encode: (path: Uint8Array) => Uint8Array;
}

interface ContentFailure {
  readonly code: FailureCode;
  readonly reason: string;
}

export type ContentResult = { readonly code: 0; readonly size: number } | ContentFailure;

/**
 * Fetches one file as VMware's client library does, with its result codes, and one thing better: on failure the output file
 * is as it was before. `onProgress` is called after each piece with bytes so far and in all.
 */
export async function getContent(
  request: ContentRequest,
  onProgress: (received: number, total: number) => void,
  signal: AbortSignal,
): Promise<ContentResult> {
  const fault = faultOfClientPath(request.path);
  if (fault !== undefined) return failure('invalidParameter', `the content path ${fault}`);
  if (request.file === '') return failure('invalidParameter', 'the output file has no name');
  const stream = await reach(request, signal);
  if ('code' in stream) return outcome(stream, signal);
  const abort = (): void => stream.close();
  signal.addEventListener('abort', abort, { once: true });
  try {
    return outcome(await exchange(stream, request, onProgress), signal);
  } finally {
    signal.removeEventListener('abort', abort);
    stream.close();
  }
}

/** A connection that we cut ourselves is no error of the other side. */
function outcome(result: ContentResult, signal: AbortSignal): ContentResult {
  return result.code !== 0 && signal.aborted ? failure('cancelled', 'it was cancelled') : result;
}

async function reach({ socket, trusted }: ContentRequest, signal: AbortSignal): Promise<ByteStream | ContentFailure> {
  try {
    if (trusted !== undefined) {
      // Who bound the socket owns its file: before a byte is sent, as VMware's client asks the kernel for its peer.
      const { uid } = await stat(socket);
      if (!trusted.includes(uid)) {
        return failure('connectSecurityViolation', `${socket} belongs to user ${uid}, not to root`);
      }
    }
    return await connectByteStream(socket, AbortSignal.any([signal, AbortSignal.timeout(queueTimeout)]));
  } catch (error) {
    return failure(connectFailureOf(errnoOf(error)), `cannot connect to ${socket}: ${messageOf(error)}`);
  }
}

function connectFailureOf(errno: string | undefined): FailureName {
  if (errno === 'ECONNREFUSED') return 'connectServiceNotRunning';
  if (errno === 'EACCES') return 'connectPermissionDenied';
  return 'connectGeneric';
}

async function exchange(
  stream: ByteStream,
  { path, file, encode }: ContentRequest,
  onProgress: (received: number, total: number) => void,
): Promise<ContentResult> {
  try {
    await stream.write(encode(path));
  } catch (error) {
    return failure('send', `the request could not be sent: ${messageOf(error)}`);
  }
  const head = await receiveHead(stream);
  if ('code' in head) return head;
  let output: OutputFile;
  try {
    output = await openOutputFile(file);
  } catch (error) {
    return failure('createOutputFile', `cannot create ${file}: ${messageOf(error)}`);
  }
  try {
    return await receiveBody(stream, head, output, file, onProgress);
  } finally {
    await output[Symbol.asyncDispose]();
  }
}

interface Head {
  readonly length: number;
  /** What of the body arrived together with the head; valid until the next read. */
  readonly first: Uint8Array;
}

async function receiveHead(stream: ByteStream): Promise<Head | ContentFailure> {
  const received = Buffer.allocUnsafe(clientHeadLimit);
  let filled = 0;
  for (;;) {
    const piece = await receive(stream);
    if (piece === undefined) return failure('connectPeerReset', 'the connection was closed without an answer');
    if ('code' in piece) return piece;
    const taken = piece.subarray(0, clientHeadLimit - filled);
    received.set(taken, filled);
    filled += taken.length;
    const response = parseClientResponse(received.subarray(0, filled));
    switch (response.state) {
      case 'incomplete':
        break;
      case 'content': {
        // The piece holds the end of the head: the body's first bytes are at its end.
        const inPiece = response.bodyAt - (filled - taken.length);
        return { length: response.length, first: piece.subarray(inPiece) };
      }
      case 'forbidden':
        return failure('contentForbidden', 'access is denied');
      case 'not-found':
        return failure('contentNotFound', 'there is no such content');
      case 'malformed':
        return failure('server', response.reason);
    }
  }
}

async function receiveBody(
  stream: ByteStream,
  { length, first }: Head,
  output: OutputFile,
  file: string,
  onProgress: (received: number, total: number) => void,
): Promise<ContentResult> {
  let received = 0;
  for (let piece: Uint8Array | undefined = first; ; ) {
    received += piece.length;
    if (received > length) return failure('server', `more than the announced ${length} bytes arrived`);
    try {
      await output.write(piece);
      if (received === length) await output.commit();
    } catch (error) {
      return failure('writeOutputFile', `cannot write ${file}: ${messageOf(error)}`);
    }
    if (piece.length > 0) onProgress(received, length);
    if (received === length) return { code: 0, size: length };
    const next = await receive(stream);
    if (next === undefined) {
      return failure('connectPeerReset', `the connection was closed after ${received} of ${length} bytes`);
    }
    if ('code' in next) return next;
    piece = next;
  }
}

async function receive(stream: ByteStream): Promise<Uint8Array | undefined | ContentFailure> {
  try {
    return await stream.read();
  } catch (error) {
    return failure('receive', `the connection broke: ${messageOf(error)}`);
  }
}

function failure(name: FailureName, reason: string): ContentFailure {
  return { code: failureCode[name], reason };
}
