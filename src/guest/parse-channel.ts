import { GuestStoreError } from '../lib/errors.ts';

/** Where the host is met. */
export interface ChannelAddress {
  readonly kind: 'unix';
  readonly path: string;
}

/** Bytes of a Unix socket's path, without the closing NUL. */
const maxSocketPathBytes = 107;

/** `unix:PATH` as typed. Throws `InvalidArgument`, and `NotSupportedYet` for the kinds that are to come. */
export function parseChannel(text: string): ChannelAddress {
  const at = text.indexOf(':');
  const kind = at < 0 ? '' : text.slice(0, at);
  const path = text.slice(at + 1);
  if (kind === 'vsock' || kind === 'serial') {
    throw new GuestStoreError('NotSupportedYet', `channel "${text}": ${kind} is not supported yet; use unix:PATH`);
  }
  if (kind !== 'unix' || path === '') {
    throw new GuestStoreError('InvalidArgument', `channel "${text}": write unix:PATH, the path of the host's socket`);
  }
  checkSocketPath(path);
  return { kind, path };
}

/** Throws `InvalidArgument` for a path that no Unix socket can have. */
export function checkSocketPath(path: string): void {
  const length = Buffer.byteLength(path);
  if (length <= maxSocketPathBytes) return;
  throw new GuestStoreError(
    'InvalidArgument',
    `socket ${path}: has ${length} bytes and a Unix socket's path at most ${maxSocketPathBytes}; take a shorter folder`,
  );
}
