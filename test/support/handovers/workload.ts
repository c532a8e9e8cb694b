import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '../../../src/kube/client.ts';
import type { KubeObject } from '../../../src/kube/objects.ts';
import { resource } from '../../../src/kube/resource.ts';
import { digestOf } from '../../../src/store/canonical.ts';
import { createStoreReader } from '../../../src/store/reader.ts';
import { eventually } from '../eventually.ts';
import { item, policy, repository, vm } from '../manifests.ts';
import { plainFiles } from '../plain-files.ts';
import { pick } from './seeded.ts';

const group = 'gueststore.dev/v1alpha1';
const items = resource(group, 'ContentItem', 'contentitems');
const policies = resource(group, 'VMAccessPolicy', 'vmaccesspolicies');
const vms = resource(group, 'GuestVM', 'guestvms');
const repositories = resource(group, 'GuestStoreRepository', 'gueststorerepositories');

/** At most so many items live at once, on so many paths. */
const most = 24;

/** Somebody who edits all the time, and remembers what he asked for. */
export interface Workload {
  readonly edits: number;
  /** Edits until `signal` aborts; then all that was asked for is in the API server. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when all that was asked for is Ready and nothing else is published; rejects with what differs. */
  matches(datastore: string, timeout: number): Promise<void>;
}

export function createWorkload(admin: Client, namespace: string, random: () => number): Workload {
  /** Name -> path and text. */
  const wanted = new Map<string, { readonly path: string; text: string }>();
  const denied = new Map<string, string>();
  const machines = new Set<string>();
  const where = { namespace };
  let edits = 0;

  async function createItem(): Promise<void> {
    const taken = new Set([...wanted.values()].map(({ path }) => path));
    const path = pick(
      Array.from({ length: 2 * most }, (_, index) => `/files/${index}`).filter((one) => !taken.has(one)),
      random,
    );
    const name = `item-${edits}`;
    const text = `${name} is new\n`;
    await admin.create(items, item(name, path, text, {}, where));
    wanted.set(name, { path, text });
  }

  async function editItem(): Promise<void> {
    const name = pick([...wanted.keys()], random);
    const text = `${name} as of edit ${edits}\n`;
    const value = { spec: { source: { inline: { text } } } };
    await admin.patch(items, { namespace, name }, { type: 'merge', value });
    const entry = wanted.get(name);
    if (entry !== undefined) entry.text = text;
  }

  async function deleteItem(): Promise<void> {
    const name = pick([...wanted.keys()], random);
    await admin.delete(items, { namespace, name });
    wanted.delete(name);
  }

  async function editPolicy(): Promise<void> {
    const name = `policy-${Math.floor(random() * 4)}`;
    const pattern = `/denied/${edits}/.*`;
    const { spec } = policy(name, { deny: [pattern] });
    await admin.apply(policies, { metadata: { name, ...where }, ...{ spec } }, { fieldManager: 'workload' });
    denied.set(name, pattern);
  }

  async function createVm(): Promise<void> {
    const name = `vm-${edits}`;
    await admin.create(vms, vm(name, {}, where));
    machines.add(name);
  }

  async function deleteVm(): Promise<void> {
    const name = pick([...machines], random);
    await admin.delete(vms, { namespace, name });
    machines.delete(name);
  }

  async function edit(): Promise<void> {
    const choices = [editPolicy, wanted.size < most ? createItem : deleteItem];
    if (wanted.size > 0) choices.push(editItem, editItem, editItem);
    if (wanted.size > 4) choices.push(deleteItem);
    choices.push(machines.size < 6 ? createVm : deleteVm);
    await pick(choices, random)();
    edits += 1;
  }

  async function allReady(): Promise<void> {
    for (const kind of [repositories, items, policies, vms]) {
      const page = await admin.list(kind, where);
      for (const { metadata, status } of page.items as readonly (KubeObject & { status?: Said })[]) {
        const ready = status?.conditions?.find(({ type }) => type === 'Ready');
        const named = `${kind.kind} ${metadata.name}`;
        if (metadata.deletionTimestamp !== undefined) throw new Error(`${named} is still being deleted`);
        if (ready?.status !== 'True' || ready.observedGeneration !== metadata.generation) {
          throw new Error(`${named} of generation ${metadata.generation} is not Ready: ${JSON.stringify(ready)}`);
        }
      }
    }
  }

  async function published(datastore: string): Promise<unknown> {
    const reader = await createStoreReader({ folder: datastore });
    await reader.close();
    const { current } = reader;
    if (reader.trouble !== undefined) throw reader.trouble;
    const entries = [...(current?.entries(`${namespace}/main`) ?? [])];
    const rows = [...(current?.vms() ?? [])];
    return {
      content: sorted(entries.map(([path, entry]) => `${path} ${entry.claim} ${'digest' in entry && entry.digest}`)),
      vms: sorted(rows.map(([key]) => key)),
      rules: rows.map(
        ([, { ruleSet }]) => ruleSet && sorted(current?.ruleSet(ruleSet)?.deny.map((one) => one.pattern)),
      ),
      files: sorted(Object.entries(plainFiles(datastore)).map((file) => file.join(': '))),
    };
  }

  function asked(): unknown {
    const all = [...wanted];
    return {
      content: sorted(all.map(([name, { path, text }]) => `${path} ${namespace}/${name} ${digestOf(text)}`)),
      vms: sorted([...machines].map((name) => `${namespace}/${name}`)),
      rules: [...machines].map(() => sorted([...denied.values()])),
      files: sorted(all.map(([, { path, text }]) => `${namespace}/main${path}: ${text}`)),
    };
  }

  return {
    get edits() {
      return edits;
    },
    run: async (signal) => {
      await admin.create(repositories, repository('main', {}, where));
      while (!signal.aborted) {
        await edit();
        await delay(20 + random() * 60);
      }
    },
    matches: async (datastore, timeout) => {
      await eventually(async () => {
        await allReady();
        const [is, shall] = [JSON.stringify(await published(datastore)), JSON.stringify(asked())];
        if (is !== shall) throw new Error(`published is\n${is}\nand asked for was\n${shall}`);
        return true;
      }, timeout);
    },
  };
}

interface Said {
  readonly conditions?: readonly {
    readonly type: string;
    readonly status: string;
    readonly observedGeneration?: number;
  }[];
}

function sorted(values: readonly string[] | undefined): readonly string[] {
  return (values ?? []).toSorted();
}
