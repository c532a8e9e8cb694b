import { randomBytes } from 'node:crypto';
import { chmod, chown, lstat, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { ObjectKey } from '../core/names.ts';
import { errnoOf, GuestStoreError, messageOf } from '../lib/errors.ts';
import { createClaims, type Served } from './claims.ts';
import type { Place, Roots } from './place.ts';
import type { Address, Tenant } from './service.ts';
import { prepareSocketFolder } from './socket-folder.ts';
import type { Door, Service, Transport } from './transport.ts';

/** Why VMs cannot be met as asked: by datastore, then by VM. */
export type Refusals = ReadonlyMap<
  string,
  Readonly<Record<ObjectKey, { readonly reason: string; readonly message: string }>>
>;

export interface DoorsParts {
  readonly host: string;
  readonly transport: Transport;
  readonly roots: Roots;
  readonly serviceOf: (address: Address) => Service;
}

/** Sockets of this host: one for each address that a VM of ours names. */
export interface Doors {
  /** Opens what is missing, closes what no VM names any more, leaves the rest alone. One at a time. */
  settle(stores: Served): Promise<Refusals>;
  readonly open: number;
  close(): Promise<void>;
}

interface OpenDoor {
  readonly address: Address;
  readonly door: Door;
  readonly inode: bigint;
  owner: string;
}

/** Sockets that are opened at the same time. */
const breadth = 32;

export function createDoors({ host, transport, roots, serviceOf }: DoorsParts): Doors {
  const doors = new Map<string, OpenDoor>();
  const claims = createClaims(host, roots);
  /** Addresses whose doors are not, or perhaps not, as their claimants want them. */
  const unsettled = new Set<string>();

  async function open(place: Place, tenants: readonly Tenant[]): Promise<void> {
    const known = doors.get(place.address);
    if (known !== undefined) {
      known.address.tenants = tenants;
      if (known.owner !== ownerOf(place)) await own(place.address, place);
      known.owner = ownerOf(place);
      return;
    }
    const address: Address = { path: place.address, tenants };
    const { door, inode } = await openSocket(transport, place, serviceOf(address));
    doors.set(place.address, { address, door, inode, owner: ownerOf(place) });
  }

  function tenantsAt(address: string): readonly Tenant[] {
    return (claims.at(address) ?? []).map(({ tenant }) => tenant);
  }

  async function shut({ address, door, inode }: OpenDoor): Promise<void> {
    doors.delete(address.path);
    // Another daemon may have put its own socket there meanwhile, which is then not ours to remove.
    if ((await inodeAt(address.path)) === inode) await rm(address.path, { force: true });
    await door.close();
  }

  return {
    async settle(stores) {
      const refusals = new Map<string, Record<ObjectKey, { reason: string; message: string }>>();
      const refuse = ({ store, vm }: { store: string; vm: ObjectKey }, error: GuestStoreError) => {
        const record = refusals.get(store) ?? {};
        refusals.set(store, record);
        record[vm] = { reason: error.code, message: error.message };
      };
      for (const address of claims.follow(stores)) unsettled.add(address);
      for (const { tenant, error } of claims.misplaced()) refuse(tenant, error);
      const left = [...unsettled].flatMap((address) => doors.get(address) ?? []);
      await inParallel(
        left.filter(({ address }) => claims.at(address.path) === undefined),
        shut,
      );
      const troubles = await prepareFolders(claims.folders());
      for (const address of claims.contested) {
        const tenants = tenantsAt(address);
        for (const tenant of tenants) refuse(tenant, conflict(address, tenants));
      }
      for (const [folder, trouble] of troubles)
        for (const address of claims.within(folder)) for (const tenant of tenantsAt(address)) refuse(tenant, trouble);
      await inParallel([...unsettled], async (address) => {
        if (troubles.has(dirname(address))) return;
        const [first] = claims.at(address) ?? [];
        const tenants = tenantsAt(address);
        try {
          if (first !== undefined) await open(first.place, tenants);
          unsettled.delete(address);
        } catch (thrown) {
          const error = asChannelError(thrown, address);
          for (const tenant of tenants) refuse(tenant, error);
        }
      });
      return refusals;
    },
    get open() {
      return doors.size;
    },
    close: () => inParallel([...doors.values()], shut),
  };
}

/** Makes each folder in which a door is to be, and looks after it; says which cannot be used. */
async function prepareFolders(
  folders: Iterable<readonly [string, Place]>,
): Promise<ReadonlyMap<string, GuestStoreError>> {
  const troubles = new Map<string, GuestStoreError>();
  await inParallel([...folders], async ([folder, { root, address }]) => {
    try {
      await prepareSocketFolder(root, folder);
    } catch (thrown) {
      troubles.set(folder, asChannelError(thrown, address));
    }
  });
  return troubles;
}

/**
 * Binds beside the address and moves the socket there: whoever connects meets the right mode and owner from the first
 * moment, and a stale socket, or that of a daemon before us, is replaced without a moment in which nobody listens. What
 * is no socket is left alone.
 */
async function openSocket(
  transport: Transport,
  place: Place,
  service: Service,
): Promise<{ readonly door: Door; readonly inode: bigint }> {
  const { address } = place;
  const found = await lstat(address).catch(ignoreMissing);
  if (found !== undefined && !found.isSocket()) {
    throw new GuestStoreError(
      'ChannelRefused',
      `${address} is in the way (${found.isSymbolicLink() ? 'a symbolic link' : 'not a socket'}): remove it if it is not needed`,
    );
  }
  // Never longer than the name itself, which is known to fit into a socket address.
  const length = Math.min(12, Buffer.byteLength(basename(address)) - 1);
  const temporary = join(dirname(address), `.${randomBytes(6).toString('hex').slice(0, length)}`);
  const door = await transport.listen(temporary, service);
  try {
    await chmod(temporary, 0o660);
    await own(temporary, place);
    const inode = await inodeAt(temporary);
    if (inode === undefined)
      throw new GuestStoreError(
        'ChannelRefused',
        `a socket at ${address} was removed while it was made; it is made again with the next revision`,
      );
    await rename(temporary, address);
    return { door, inode };
  } catch (error) {
    await door.close();
    await rm(temporary, { force: true });
    throw error;
  }
}

/** -1 leaves as it is. */
async function own(socket: string, { uid, gid }: Place): Promise<void> {
  if (uid !== undefined || gid !== undefined) await chown(socket, uid ?? -1, gid ?? -1);
}

function ownerOf({ uid, gid }: Place): string {
  return `${uid}:${gid}`;
}

async function inodeAt(path: string): Promise<bigint | undefined> {
  return (await lstat(path, { bigint: true }).catch(ignoreMissing))?.ino;
}

function ignoreMissing(error: unknown): undefined {
  if (errnoOf(error) !== 'ENOENT') throw error;
  return undefined;
}

function conflict(address: string, tenants: readonly Tenant[]): GuestStoreError {
  const names = tenants.map(({ store, vm }) => `${vm} (datastore ${store})`).join(' and ');
  return new GuestStoreError(
    'ChannelConflict',
    `socket ${address} is claimed by ${names}: none of them is served until only one claims it`,
  );
}

const temporaryName = /(?<=\/)\.[0-9a-f]{1,12}(?![^\s'"])/g;

function asChannelError(thrown: unknown, address: string): GuestStoreError {
  if (thrown instanceof GuestStoreError) return thrown;
  // The socket is made under a name of chance beside it, which would make another message of each try.
  const message = messageOf(thrown).replaceAll(temporaryName, basename(address));
  return new GuestStoreError('ChannelRefused', `cannot listen at ${address}: ${message}`, { cause: thrown });
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < items.length) await work(items[next++] as T);
  };
  await Promise.all(Array.from({ length: Math.min(breadth, items.length) }, worker));
}
