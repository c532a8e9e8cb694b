import { namespaceOf } from '../../core/bounds.ts';
import type { Entry } from '../../core/catalog.ts';
import type { ContentPath } from '../../core/content-path.ts';
import type { ObjectKey } from '../../core/names.ts';
import type { VmRow } from '../../core/settings.ts';
import type { Snapshot, StoreChange } from '../../store/types.ts';

export interface Claim {
  readonly datastore: string;
  readonly repository: ObjectKey;
  readonly path: ContentPath;
}

/** What is committed, indexed by the questions that a pass asks. Follows each commit by its change alone. */
export interface Ledger {
  /** The path that an item holds, retired ones included. */
  claimOf(item: ObjectKey): Claim | undefined;
  claimants(): Iterable<ObjectKey>;
  usage(repository: ObjectKey): { readonly items: number; readonly bytes: number };
  /** Bytes of all repositories of a namespace in a datastore. */
  usageIn(datastore: string, namespace: string): number;
  /** Bytes of all content in a datastore. */
  usageOf(datastore: string): number;
  /** Hosts that serve a VM of the repository. */
  hostsOf(repository: ObjectKey): ReadonlySet<string>;
  /** Datastores that have a row of the VM. */
  datastoresOf(vm: ObjectKey): readonly string[];
  vms(): Iterable<ObjectKey>;
  /** Call with the snapshot that the change was made on, before it is replaced. */
  apply(datastore: string, base: Snapshot, change: StoreChange): void;
}

export function createLedger(snapshots: ReadonlyMap<string, Snapshot>): Ledger {
  const claims = new Map<ObjectKey, Claim>();
  const usage = new Map<ObjectKey, { items: number; bytes: number }>();
  const bytes = new Map<string, Map<string, number>>();
  const hosts = new Map<ObjectKey, Map<string, number>>();
  const places = new Map<ObjectKey, Set<string>>();

  const count = ({ datastore, repository }: Claim, entry: Entry | undefined, sign: 1 | -1) => {
    if (entry === undefined) return;
    const sum = usage.get(repository) ?? { items: 0, bytes: 0 };
    sum.items += sign;
    const size = sign * (entry.state === 'pending' ? 0 : entry.size);
    sum.bytes += size;
    usage.set(repository, sum);
    const namespaces = bytes.get(datastore) ?? new Map<string, number>();
    const namespace = namespaceOf(repository);
    bytes.set(datastore, namespaces.set(namespace, (namespaces.get(namespace) ?? 0) + size));
  };
  const setEntry = (claim: Claim, before: Entry | undefined, after: Entry | undefined) => {
    count(claim, before, -1);
    count(claim, after, 1);
    if (before !== undefined && before.claim !== after?.claim) {
      const held = claims.get(before.claim);
      if (held?.repository === claim.repository && held.path === claim.path) claims.delete(before.claim);
    }
    if (after !== undefined) claims.set(after.claim, claim);
  };
  const countHost = (row: VmRow | undefined, sign: 1 | -1) => {
    if (row?.repository === undefined || row.repository === null) return;
    const counts = hosts.get(row.repository) ?? new Map<string, number>();
    const sum = (counts.get(row.host) ?? 0) + sign;
    if (sum > 0) counts.set(row.host, sum);
    else counts.delete(row.host);
    hosts.set(row.repository, counts);
  };
  const setVm = (datastore: string, key: ObjectKey, before: VmRow | undefined, after: VmRow | undefined) => {
    countHost(before, -1);
    countHost(after, 1);
    const at = places.get(key) ?? new Set<string>();
    if (after === undefined) at.delete(datastore);
    else at.add(datastore);
    if (at.size === 0) places.delete(key);
    else places.set(key, at);
  };

  for (const [datastore, snapshot] of snapshots) {
    for (const repository of snapshot.repositories.keys()) {
      for (const [path, entry] of snapshot.entries(repository))
        setEntry({ datastore, repository, path }, undefined, entry);
    }
    for (const [key, row] of snapshot.vms()) setVm(datastore, key, undefined, row);
  }

  return {
    claimOf: (item) => claims.get(item),
    claimants: () => claims.keys(),
    usage: (repository) => usage.get(repository) ?? { items: 0, bytes: 0 },
    usageIn: (datastore, namespace) => bytes.get(datastore)?.get(namespace) ?? 0,
    usageOf: (datastore) =>
      bytes
        .get(datastore)
        ?.values()
        .reduce((sum, one) => sum + one, 0) ?? 0,
    hostsOf: (repository) => new Set(hosts.get(repository)?.keys()),
    datastoresOf: (vm) => [...(places.get(vm) ?? [])],
    vms: () => places.keys(),
    apply: (datastore, base, change) => {
      for (const [repository, row] of change.repositories) {
        if (row !== undefined) continue;
        for (const [path, entry] of base.entries(repository))
          setEntry({ datastore, repository, path }, entry, undefined);
      }
      for (const [repository, changed] of change.entries) {
        if (change.repositories.has(repository) && change.repositories.get(repository) === undefined) continue;
        for (const [path, entry] of changed) {
          setEntry({ datastore, repository, path }, base.find(repository, path), entry);
        }
      }
      for (const [key, row] of change.vms) setVm(datastore, key, base.vm(key), row);
    },
  };
}
