import type { ContentItem, GuestStoreRepository, GuestVM, VMAccessPolicy } from '../../src/api/resources.generated.ts';
import type { Client } from '../../src/kube/client.ts';
import { namespaces } from '../../src/kube/resource.ts';
import { resources } from '../../src/operator/world/cluster-resources.ts';
import { eventually } from '../../test/support/eventually.ts';
import { item, namespace, policy, repository, vm } from '../../test/support/manifests.ts';
import { askRaw } from '../../test/support/raw-client.ts';
import type { Chance } from './chance.ts';

/** People who edit and guests who fetch, and what must be true in the end. */
export interface Workload {
  readonly edits: number;
  readonly requests: number;
  /** Answers that nobody may ever get: bytes that were never declared at that path. */
  readonly lies: readonly string[];
  prepare(): Promise<void>;
  /** One edit at random; throws when the API server does not take it, and then nothing was changed. */
  edit(): Promise<void>;
  request(): Promise<void>;
  /** What differs from what is declared, asked of every VM's socket; empty when all is as it should be. */
  differences(): Promise<readonly string[]>;
}

const where = 'fleet';
const items = 60;
const vms = 30;
/** Milliseconds for which an edit is tried again. */
const patience = 60_000;

export function createWorkload(client: Client, socketOf: (vm: string) => string, chance: Chance): Workload {
  /** Text by item, undefined while it is deleted; and every text that it ever had. */
  const texts = new Map<string, string | undefined>();
  const history = new Map<string, Set<string>>();
  const marked = new Set<string>();
  const lies: string[] = [];
  let [edits, requests, version] = [0, 0, 0];

  const itemNames = Array.from({ length: items }, (_, index) => `item-${index}`);
  const vmNames = Array.from({ length: vms }, (_, index) => `vm-${index}`);
  const at = (name: string) => ({ namespace: where, name });

  async function put(name: string): Promise<void> {
    version += 1;
    const text = `${name}, version ${version}\n`.repeat(1 + chance.below(40));
    // Before it is asked for: it may be served before the answer is here.
    history.set(name, (history.get(name) ?? new Set()).add(text));
    const object = item(name, `/${name}`, text) as unknown as ContentItem;
    await client.apply(resources.ContentItem, object, { fieldManager: 'soak', force: true });
    texts.set(name, text);
  }

  async function remove(name: string): Promise<void> {
    await client.delete(resources.ContentItem, at(name));
    texts.set(name, undefined);
  }

  async function mark(name: string): Promise<void> {
    const mark = marked.has(name) ? null : 'yes';
    await client.patch(resources.GuestVM, at(name), {
      type: 'merge',
      value: { metadata: { labels: { marked: mark } } },
    });
    if (mark === null) marked.delete(name);
    else marked.add(name);
  }

  async function get(name: string, path: string): Promise<{ readonly status: string; readonly body: string }> {
    const { text } = await askRaw(socketOf(name), `GET ${path} HTTP/1.1\r\n\r\n`);
    return { status: text.slice(9, 12), body: text.slice(text.indexOf('\r\n\r\n') + 4) };
  }

  return {
    get edits() {
      return edits;
    },
    get requests() {
      return requests;
    },
    lies,
    async prepare() {
      await client.create(namespaces, namespace(where));
      await client.create(resources.GuestStoreRepository, repository() as unknown as GuestStoreRepository);
      const forMarked = { vmSelector: { matchLabels: { marked: 'yes' } } };
      await client.create(
        resources.VMAccessPolicy,
        policy('marked', { deny: ['/item-1.*'] }, forMarked) as unknown as VMAccessPolicy,
      );
      for (const name of itemNames) await put(name);
      for (const name of vmNames) await client.create(resources.GuestVM, vm(name) as unknown as GuestVM);
    },
    async edit() {
      const kind = chance.below(10);
      const name = chance.one(itemNames);
      const change =
        kind < 6
          ? () => put(name)
          : kind < 8
            ? () => remove(name)
            : (
                (one) => () =>
                  mark(one)
              )(chance.one(vmNames));
      await eventually(async () => {
        await change();
        return true;
      }, patience);
      edits += 1;
    },
    async request() {
      const name = chance.one(itemNames);
      const { status, body } = await get(chance.one(vmNames), `/${name}`);
      requests += 1;
      if (status === '200' && history.get(name)?.has(body) !== true) lies.push(`${name}: ${body.slice(0, 80)}`);
    },
    async differences() {
      const found: string[] = [];
      for (const one of vmNames) {
        for (const [name, text] of texts) {
          const denied = marked.has(one) && name.startsWith('item-1');
          const wanted = denied ? '403' : text === undefined ? '404' : '200';
          const { status, body } = await get(one, `/${name}`);
          if (status !== wanted) found.push(`${one} /${name}: ${status}, not ${wanted}`);
          else if (status === '200' && body !== text) found.push(`${one} /${name}: other bytes`);
        }
      }
      return found;
    },
  };
}
