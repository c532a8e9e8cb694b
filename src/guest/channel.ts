/** What the host says of one path. Anything else that may happen on a channel is an error that is thrown. */
export type HostAnswer =
  | {
      readonly answer: 'content';
      readonly size: number;
      /**
       * Exactly `size` bytes, at most 64 KiB a piece; each is valid until the next is asked for. Throws
       * `ChannelUnavailable` when the host sends less, or more.
       */
      readonly pieces: AsyncIterable<Uint8Array>;
    }
  | { readonly answer: 'forbidden' }
  | { readonly answer: 'not-found' };

/** One connection to the host, for one question. */
export interface ChannelConnection {
  /** `path` is sent as it is, byte for byte. Throws `ChannelUnavailable` for all but a clean answer. */
  ask(path: Uint8Array): Promise<HostAnswer>;
  /** At once; a pending `ask` or piece throws. */
  close(): void;
}

/** The way to the host. */
export interface Channel {
  /** Throws `ChannelUnavailable` when the host cannot be reached, or the signal's reason. */
  connect(signal: AbortSignal): Promise<ChannelConnection>;
}
