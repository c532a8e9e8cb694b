import { GuestStoreError } from '../lib/errors.ts';
import { pause } from '../lib/lifecycle.ts';
import { announcedSize, contentRangeOf, validatorsOf } from './http-answer.ts';
import { failureOf } from './http-failure.ts';
import { giveUp, type Opened } from './http-open.ts';

/** How often a broken transfer is taken up again. */
export interface Patience {
  /** At most so often in all. */
  readonly resumes: number;
  /** Milliseconds before one; doubled after each in a row that brought nothing. */
  readonly delay: number;
}

/** So many in a row that brought no byte end it. */
const maxFruitless = 3;

/** Asks for the bytes from `first` on, if they are still those of `ifRange`. */
export type Resume = (first: number, ifRange: string) => Promise<Opened>;

/**
 * The bytes of an answer in order, across connections that break. Throws TooLarge above `maxSize` bytes, SourceStalled,
 * Aborted, and SourceUnavailable when the rest of these very bytes cannot be had.
 */
export async function* resumedBytes(
  opened: Opened,
  maxSize: number,
  resume: Resume,
  patience: Patience,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const { where } = opened;
  const { ifRange } = validatorsOf(opened.fields);
  const total = announcedSize(opened.fields);
  let received = 0;
  let resumed = 0;
  let fruitless = 0;

  for (let current = opened; ; ) {
    const before = received;
    const failure = yield* readUntilBroken(current);
    if (failure === undefined) return;
    fruitless = received > before ? 0 : fruitless + 1;
    current = await takeUp(failure);
  }

  /** Gives undefined once everything is here, else why the connection broke. Throws what no resuming can heal. */
  async function* readUntilBroken({ body }: Opened): AsyncGenerator<Uint8Array, GuestStoreError | undefined> {
    try {
      for await (const chunk of body) {
        received += chunk.length;
        if (received > maxSize) throw tooLarge(where, maxSize);
        if (total !== undefined && received > total)
          throw new GuestStoreError('SourceRefused', `${where}: more bytes came than the ${total} announced`);
        yield chunk;
      }
      return total === undefined || received === total ? undefined : cutShort();
    } catch (thrown) {
      const failure = failureOf(thrown, where, signal);
      // All of it is here; how the connection ended after that is nobody's concern.
      if (received === total) return undefined;
      if (failure.code !== 'SourceUnavailable') throw failure;
      return failure;
    }
  }

  async function takeUp(broken: GuestStoreError): Promise<Opened> {
    let failure = broken;
    for (;;) {
      if (ifRange === undefined || resumed === patience.resumes || fruitless >= maxFruitless) throw failure;
      // The server named its own time, which is longer than a transfer should be held open.
      if (failure.retryAfter !== undefined) throw failure;
      if (!(await pause(patience.delay * 2 ** fruitless, signal))) throw failureOf(signal.reason, where, signal);
      resumed++;
      const answer = await resume(received, ifRange).catch((thrown: unknown) => failureOf(thrown, where, signal));
      if (!(answer instanceof GuestStoreError)) return continuation(answer);
      if (answer.code !== 'SourceUnavailable') throw answer;
      failure = answer;
      fruitless++;
    }
  }

  function continuation(answer: Opened): Opened {
    if (continues(answer, received, total, ifRange)) return answer;
    giveUp(answer.body);
    throw new GuestStoreError(
      'SourceUnavailable',
      `${where}: broke off half-way, and the server cannot give the rest; it will be fetched anew`,
    );
  }

  function cutShort(): GuestStoreError {
    return new GuestStoreError(
      'SourceUnavailable',
      `${where}: ended before all ${total} bytes were here; it will be tried again`,
    );
  }
}

/** Whether an answer brings exactly the bytes from `first` to the end of what `ifRange` names. */
function continues(answer: Opened, first: number, total: number | undefined, ifRange: string | undefined): boolean {
  const range = contentRangeOf(answer.fields);
  if (answer.status !== 206 || range === undefined || range.first !== first) return false;
  if (range.total === undefined || range.last !== range.total - 1) return false;
  const size = announcedSize(answer.fields);
  if (size !== undefined && size !== range.total - first) return false;
  const { revision } = validatorsOf(answer.fields);
  return (total === undefined || total === range.total) && (revision === '' || revision === ifRange);
}

export function tooLarge(where: string, maxSize: number, announced?: number): GuestStoreError {
  const fact = announced === undefined ? 'more bytes came' : `the server announces ${announced} bytes, more`;
  return new GuestStoreError(
    'TooLarge',
    `${where}: ${fact} than the ${maxSize} allowed; raise maxItemSize or publish a smaller file`,
  );
}
