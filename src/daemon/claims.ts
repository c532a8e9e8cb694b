import { dirname } from 'node:path';
import type { ObjectKey } from '../core/names.ts';
import type { VmRow } from '../core/settings.ts';
import { asGuestStoreError, type GuestStoreError } from '../lib/errors.ts';
import type { Snapshot, StoreReader } from '../store/types.ts';
import { type Place, placeOf, type Roots } from './place.ts';
import type { Tenant } from './service.ts';

/** What is served, by the name of its datastore. */
export type Served = ReadonlyMap<string, { readonly reader: StoreReader; readonly snapshot: Snapshot }>;

/** A VM of this host, and where it is to be met. */
export interface Claim {
  readonly tenant: Tenant;
  readonly place: Place;
}

/** A VM of this host that cannot be met as it asks. */
interface Misplaced {
  readonly tenant: { readonly store: string; readonly vm: ObjectKey };
  readonly error: GuestStoreError;
}

/** Who claims which address of this host. Of thousands of rows one revision changes few: only those are looked at. */
export interface Claims {
  /** Never empty; in the order of their names, so that what is said of several stays the same. */
  at(address: string): readonly Claim[] | undefined;
  /** Addresses that several claim. */
  readonly contested: Iterable<string>;
  /** Folders in which something is claimed, each with one place in it. */
  folders(): Iterable<readonly [string, Place]>;
  /** Addresses in a folder. */
  within(folder: string): Iterable<string>;
  misplaced(): Iterable<Misplaced>;
  /** Takes over what is served now; returns the addresses whose claimants may be others than before. */
  follow(stores: Served): ReadonlySet<string>;
}

/** What came of a group of rows. */
interface Group {
  readonly claims: readonly Claim[];
  readonly misplaced: readonly Misplaced[];
}

type Rows = ReadonlyMap<ObjectKey, VmRow>;

export function createClaims(host: string, roots: Roots): Claims {
  const groups = new Map<string, Map<Rows, Group>>();
  const claims = new Map<string, readonly Claim[]>();
  const contested = new Set<string>();
  const folders = new Map<string, Map<string, Place>>();

  function setClaimants(address: string, claimants: readonly Claim[]): void {
    if (claimants.length > 1) contested.add(address);
    else contested.delete(address);
    const folder = dirname(address);
    const inside = folders.get(folder) ?? new Map<string, Place>();
    const [first] = claimants;
    if (first === undefined) {
      claims.delete(address);
      inside.delete(address);
    } else {
      claims.set(address, claimants);
      inside.set(address, first.place);
    }
    if (inside.size === 0) folders.delete(folder);
    else folders.set(folder, inside);
  }

  function drop(claim: Claim): void {
    const { address } = claim.place;
    setClaimants(
      address,
      (claims.get(address) ?? []).filter((other) => other !== claim),
    );
  }

  function add(claim: Claim): void {
    const { address } = claim.place;
    setClaimants(address, [...(claims.get(address) ?? []), claim].sort(byName));
  }

  function groupOf(store: string, reader: StoreReader, rows: Rows): Group {
    const found: Claim[] = [];
    const misplaced: Misplaced[] = [];
    for (const [vm, row] of rows) {
      if (row.host !== host) continue;
      const tenant = { vm, store, reader, channel: row.channel };
      try {
        found.push({ tenant, place: placeOf(vm, row.channel, roots) });
      } catch (error) {
        misplaced.push({ tenant, error: asGuestStoreError(error, 'ChannelRefused') });
      }
    }
    return { claims: found, misplaced };
  }

  return {
    at: (address) => claims.get(address),
    contested,
    *folders() {
      for (const [folder, inside] of folders) for (const place of inside.values().take(1)) yield [folder, place];
    },
    within: (folder) => folders.get(folder)?.keys() ?? [],
    *misplaced() {
      for (const ofStore of groups.values()) for (const { misplaced } of ofStore.values()) yield* misplaced;
    },
    follow(stores) {
      const changed = new Set<string>();
      for (const store of new Set([...groups.keys(), ...stores.keys()])) {
        const served = stores.get(store);
        const before = groups.get(store) ?? new Map<Rows, Group>();
        const after = new Map<Rows, Group>();
        const fresh: Group[] = [];
        if (served !== undefined) {
          for (const rows of served.snapshot.vmGroups()) {
            const known = before.get(rows);
            const group = known ?? groupOf(store, served.reader, rows);
            after.set(rows, group);
            if (known === undefined) fresh.push(group);
          }
        }
        const gone = before
          .entries()
          .filter(([rows]) => !after.has(rows))
          .map(([, group]) => group);
        for (const claim of gone.flatMap((group) => group.claims)) {
          drop(claim);
          changed.add(claim.place.address);
        }
        for (const claim of fresh.flatMap((group) => group.claims)) {
          add(claim);
          changed.add(claim.place.address);
        }
        if (served === undefined) groups.delete(store);
        else groups.set(store, after);
      }
      return changed;
    },
  };
}

function byName({ tenant: a }: Claim, { tenant: b }: Claim): number {
  if (a.vm === b.vm) return a.store < b.store ? -1 : 1;
  return a.vm < b.vm ? -1 : 1;
}
