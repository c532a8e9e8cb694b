import type { FailureCode } from '../guest/failure-code.ts';
import { type ContentRequest, getContent } from '../guest/get-content.ts';
import { parseChannel } from '../guest/parse-channel.ts';
import { defaultPipe } from '../guest/pipe-path.ts';
import { GuestStoreError } from '../lib/errors.ts';
import { encodeChannelRequest, encodeClientRequest } from '../wire/client-request.ts';
import type { Io } from './io.ts';

export interface GetContentOptions {
  readonly contentPath: string;
  readonly file: string;
  /** The plugin's socket; VMware's by default. */
  readonly pipe?: string | undefined;
  /** Instead of a pipe: the way to the host, without a plugin between. */
  readonly channel?: string | undefined;
}

/** What the person in the guest can do about it. */
const wayOut: Readonly<Record<FailureCode, string>> = {
  4: 'Give an absolute content path of at most 1,024 bytes and the name of a file.',
  6: 'Choose a file in a folder that exists and where you may write.',
  7: 'Make room, or choose another file.',
  8: 'Start "gueststore plugin" in this guest, or name its socket with --pipe.',
  9: 'Nobody listens there any longer: start "gueststore plugin" in this guest.',
  10: 'The plugin serves administrators only: run this as root.',
  11: 'Only a plugin that runs as root is trusted: look who made this socket.',
  12: 'The host is in trouble or busy, which says nothing of this path: try again; the reason stands in its gstored.log.',
  13: 'Too many clients may be asking at once: try again.',
  14: 'Too many clients may be asking at once: try again.',
  15: 'An access rule denies this path to this VM: "gueststore explain" on the host names it.',
  16: 'Nothing is published under this path for this VM: check its spelling, capitals included.',
  17: 'Look in the gstored.log of the host.',
  18: 'Start it again to fetch the content.',
};

/**
 * `gueststore getcontent`: fetches one file and returns the code to exit with, VMware's client library's own. Throws
 * `InvalidArgument` for a channel or pipe that cannot be meant.
 */
export async function runGetContent(options: GetContentOptions, io: Io): Promise<number> {
  const progress = createProgress(io.stderr);
  const result = await getContent(requestOf(options), progress.show, io.signal);
  progress.end();
  if (result.code === 0) return 0;
  const what = JSON.stringify(options.contentPath);
  io.stderr.write(`gueststore getcontent ${what}: ${result.reason} (code ${result.code}). ${wayOut[result.code]}\n`);
  return result.code;
}

function requestOf({ contentPath, file, pipe, channel }: GetContentOptions): ContentRequest {
  const path = Buffer.from(contentPath);
  if (channel !== undefined) {
    if (pipe !== undefined) throw new GuestStoreError('InvalidArgument', 'give either --pipe or --channel, not both');
    const { path: socket } = parseChannel(channel);
    return { path, file, socket, trusted: undefined, encode: encodeChannelRequest };
  }
  // Whoever names a pipe may have started the plugin himself.
  const own = pipe === undefined || pipe === defaultPipe ? [] : [process.geteuid?.() ?? 0];
  return { path, file, socket: pipe ?? defaultPipe, trusted: [0, ...own], encode: encodeClientRequest };
}

interface Progress {
  show(received: number, total: number): void;
  end(): void;
}

/** Percent and sizes on one line of a terminal, ten times a second at most; nothing elsewhere. */
function createProgress(terminal: Io['stderr']): Progress {
  if (terminal.isTTY !== true) return { show: () => {}, end: () => {} };
  let shown = Number.NEGATIVE_INFINITY;
  return {
    show: (received, total) => {
      const now = performance.now();
      if (now - shown < 100 && received < total) return;
      shown = now;
      const percent = Math.floor((100 * received) / total);
      terminal.write(`\r${String(percent).padStart(3)} %  ${mebibytes(received)} of ${mebibytes(total)} MiB`);
    },
    end: () => {
      if (Number.isFinite(shown)) terminal.write('\n');
    },
  };
}

function mebibytes(bytes: number): string {
  return (bytes / 1_048_576).toFixed(1);
}
