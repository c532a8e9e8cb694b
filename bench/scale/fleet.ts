import type { ContentItem, GuestStoreRepository, GuestVM, VMAccessPolicy } from '../../src/api/resources.generated.ts';
import type { Client } from '../../src/kube/client.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { namespaces, type Resource } from '../../src/kube/resource.ts';
import { resources } from '../../src/operator/world/cluster-resources.ts';
import { item, namespace, policy, repository, vm } from '../../test/support/manifests.ts';

/** Where all of it lies. */
export const fleet = 'fleet';
/** The host with at least three VMs of ten; its daemon listens for each. */
export const bigHost = 'host-0';
export const liveHosts: readonly string[] = [bigHost, 'host-1', 'host-2'];
/** One of many whose daemon never runs: it must hold nobody up. */
export const deadHost = 'host-dead';
/** Policies that select a part of the VMs each, and one that selects all. */
const tiers = 20;
export const everyVm = 'every-vm';
/** Denies `/secret` to the VMs with this label. */
export const marked = { edited: 'yes' };

/** Of all kinds. */
export const policyCount = tiers + 2;

const writers = 32;

export interface FleetSize {
  readonly items: number;
  readonly vms: number;
}

export function itemName(index: number): string {
  return `item-${index}`;
}

export function itemPath(index: number): string {
  return index === 0 ? '/secret' : `/content/${index % 100}/${itemName(index)}`;
}

export function vmName(index: number): string {
  return `vm-${index}`;
}

/** A tenth of all has the dead host, for up to a hundred VMs; of the others four of ten have the big one. */
export function hostOf(index: number, { vms }: FleetSize): string {
  if (index >= vms - Math.min(100, Math.floor(vms / 10))) return deadHost;
  const tenth = index % 10;
  return liveHosts[tenth < 4 ? 0 : tenth < 7 ? 1 : 2] ?? bigHost;
}

/** Creates the whole fleet, many objects at a time: policies first, so that no VM is ever without its rules. */
export async function createFleet(client: Client, size: FleetSize): Promise<void> {
  await client.create(namespaces, namespace(fleet));
  await client.create(resources.GuestStoreRepository, repository() as unknown as GuestStoreRepository);
  await inParallel(policies(), (one) => client.create(resources.VMAccessPolicy, one as unknown as VMAccessPolicy));
  await inParallel(itemsOf(size), (one) => client.create(resources.ContentItem, one as unknown as ContentItem));
  await inParallel(vmsOf(size), (one) => client.create(resources.GuestVM, one as unknown as GuestVM));
}

function* policies(): Generator<object> {
  for (let tier = 0; tier < tiers; tier += 1) {
    const vmSelector = { matchLabels: { tier: `t${tier}` } };
    yield policy(`tier-${tier}`, { deny: [`/content/${tier}/.*`, `.*/item-${tier}`] }, { vmSelector });
  }
  yield policy(everyVm, { deny: ['/never/.*'] });
  yield policy('marked', { deny: ['/secret'] }, { vmSelector: { matchLabels: marked } });
}

function* itemsOf({ items }: FleetSize): Generator<object> {
  for (let index = 0; index < items; index += 1) {
    yield item(itemName(index), itemPath(index), `content of item ${index}\n`.repeat(8));
  }
}

function* vmsOf(size: FleetSize): Generator<object> {
  for (let index = 0; index < size.vms; index += 1) {
    const labels = { tier: `t${index % tiers}`, edited: 'no' };
    yield vm(vmName(index), { host: hostOf(index, size) }, { labels });
  }
}

/** Changes one object as `kubectl patch --type=merge` does. */
export async function edit<T extends KubeObject>(
  client: Client,
  resource: Resource<T>,
  name: string,
  value: object,
): Promise<number> {
  const { metadata } = await client.patch(resource, { namespace: fleet, name }, { type: 'merge', value });
  return metadata.generation ?? 0;
}

async function inParallel<T>(all: Iterable<T>, work: (one: T) => Promise<unknown>): Promise<void> {
  const left = Iterator.from(all);
  const worker = async () => {
    for (let next = left.next(); next.done !== true; next = left.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: writers }, worker));
}
