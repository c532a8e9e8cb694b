import { isAbsolute, join, resolve } from 'node:path';
import type { ObjectKey } from '../core/names.ts';
import type { Channel } from '../core/settings.ts';
import { GuestStoreError } from '../lib/errors.ts';

/** Where one VM's socket belongs. */
export interface Place {
  /** Absolute path of the socket. */
  readonly address: string;
  /** The folder that the administrator gave, which holds it: below it, folders are the daemon's to make. */
  readonly root: string;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

/** Folders of this host in which sockets may lie, absolute and without links on the way. */
export interface Roots {
  readonly runDir: string;
  /** By namespace. */
  readonly socketRoots: ReadonlyMap<string, readonly string[]>;
}

/** `sockaddr_un` has 108 bytes, one of them for the NUL behind a path. */
const maxAddressBytes = 107;

/** A name as Kubernetes has it: safe as one segment of a path. */
const name = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;

/**
 * Where the channel of `vm` is listened at. Throws `ChannelRefused` for a place that cannot be had or is not the VM's to
 * name, `NotSupportedYet` for a kind of channel that this version cannot serve.
 */
export function placeOf(vm: ObjectKey, channel: Channel, roots: Roots): Place {
  const [namespace = '', vmName = '', ...rest] = vm.split('/');
  if (!name.test(namespace) || !name.test(vmName) || rest.length > 0) {
    throw refused(`GuestVM ${JSON.stringify(vm)} has no name that Kubernetes would take`);
  }
  if (channel.kind !== 'hybridUDS') {
    throw new GuestStoreError(
      'NotSupportedYet',
      `channel ${channel.kind} of GuestVM ${vm} cannot be served by this version: use hybridUDS`,
    );
  }
  const { path, port, uid, gid } = channel;
  if (path.split('/').some((part, index) => part === '..' || part === '.' || (part === '' && index > 0))) {
    throw refused(`channel path ${path} of GuestVM ${vm} has an empty, "." or ".." segment`);
  }
  if (path === '' || path.includes('\0')) throw refused(`the channel path of GuestVM ${vm} names no file`);
  const root = isAbsolute(path) ? rootAbove(path, namespace, vm, roots) : roots.runDir;
  const address = `${isAbsolute(path) ? resolve(path) : join(roots.runDir, namespace, path)}_${port}`;
  const length = Buffer.byteLength(address);
  if (length > maxAddressBytes) {
    throw refused(
      `socket ${address} of GuestVM ${vm} has ${length} bytes, a socket path at most ${maxAddressBytes}: shorten hybridUDS.path or start the daemon with a shorter --run-dir`,
    );
  }
  return { address, root, uid, gid };
}

function rootAbove(path: string, namespace: string, vm: ObjectKey, { socketRoots }: Roots): string {
  const root = (socketRoots.get(namespace) ?? []).find((folder) => path.startsWith(`${folder}/`));
  if (root !== undefined) return root;
  throw refused(
    `channel path ${path} of GuestVM ${vm} lies below no socket root of namespace ${namespace}: give a relative path, or start the daemon with --socket-root ${namespace}=DIR`,
  );
}

function refused(message: string): GuestStoreError {
  return new GuestStoreError('ChannelRefused', message);
}
