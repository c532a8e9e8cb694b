import { randomBytes } from 'node:crypto';
import { chmod, chown, lstat, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { ObjectKey } from '../core/names.ts';
import type { VmRow } from '../core/settings.ts';
import { asGuestStoreError, errnoOf, GuestStoreError, messageOf } from '../lib/errors.ts';
import type { Snapshot, StoreReader } from '../store/types.ts';
import { type Place, placeOf, type Roots } from './place.ts';
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
  settle(stores: ReadonlyMap<string, { readonly reader: StoreReader; readonly snapshot: Snapshot }>): Promise<Refusals>;
  readonly open: number;
  close(): Promise<void>;
}

interface Claim {
  readonly tenant: Tenant;
  readonly place: Place;
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
  const known: Known = new WeakMap();

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

  /** Whether a door stands as these claimants want it: of thousands, one revision changes few. */
  function stands(address: string, claimants: readonly Claim[]): boolean {
    const known = doors.get(address);
    const [first] = claimants;
    if (known === undefined || first === undefined || known.owner !== ownerOf(first.place)) return false;
    const { tenants } = known.address;
    return tenants.length === claimants.length && claimants.every(({ tenant }, index) => tenant === tenants[index]);
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
      const claims = claimsOf(host, stores, roots, known, refuse);
      await inParallel(
        [...doors.values()].filter(({ address }) => !claims.has(address.path)),
        shut,
      );
      const troubles = await prepareFolders(claims.values());
      const left: (readonly [string, readonly Claim[]])[] = [];
      for (const [address, claimants] of claims) {
        const tenants = claimants.map(({ tenant }) => tenant);
        for (const tenant of claimants.length > 1 ? tenants : []) refuse(tenant, conflict(address, tenants));
        const trouble = troubles.get(dirname(address));
        if (trouble !== undefined) for (const tenant of tenants) refuse(tenant, trouble);
        else if (!stands(address, claimants)) left.push([address, claimants]);
      }
      await inParallel(left, async ([address, claimants]) => {
        const [first] = claimants;
        if (first === undefined) return;
        const tenants = claimants.map(({ tenant }) => tenant);
        try {
          await open(first.place, tenants);
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
async function prepareFolders(claims: Iterable<readonly Claim[]>): Promise<ReadonlyMap<string, GuestStoreError>> {
  const folders = new Map<string, Place>();
  for (const [first] of claims) if (first !== undefined) folders.set(dirname(first.place.address), first.place);
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

/** Claims of rows that were seen before: between two revisions most rows are the very same. */
type Known = WeakMap<VmRow, Claim>;

/** All that name an address, by address; who cannot have one is refused. */
function claimsOf(
  host: string,
  stores: ReadonlyMap<string, { readonly reader: StoreReader; readonly snapshot: Snapshot }>,
  roots: Roots,
  known: Known,
  refuse: (claimant: { store: string; vm: ObjectKey }, error: GuestStoreError) => void,
): Map<string, Claim[]> {
  const claims = new Map<string, Claim[]>();
  for (const [store, { reader, snapshot }] of stores) {
    for (const [vm, row] of snapshot.vms()) {
      if (row.host !== host) continue;
      try {
        const claim = known.get(row) ?? claimOf(vm, row, store, reader, roots);
        known.set(row, claim);
        const others = claims.get(claim.place.address);
        if (others === undefined) claims.set(claim.place.address, [claim]);
        else others.push(claim);
      } catch (error) {
        refuse({ store, vm }, asGuestStoreError(error, 'ChannelRefused'));
      }
    }
  }
  return claims;
}

function claimOf(vm: ObjectKey, row: VmRow, store: string, reader: StoreReader, roots: Roots): Claim {
  return { tenant: { vm, store, reader, channel: row.channel }, place: placeOf(vm, row.channel, roots) };
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
