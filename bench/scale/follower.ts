import type { Condition } from '../../src/core/conditions.ts';
import type { Client } from '../../src/kube/client.ts';
import { createInformer } from '../../src/kube/informer.ts';
import type { KubeObject, Stored } from '../../src/kube/objects.ts';
import type { Resource } from '../../src/kube/resource.ts';
import { silent } from '../../src/lib/log.ts';
import { resources } from '../../src/operator/world/cluster-resources.ts';
import { fleet } from './fleet.ts';

/** An object as its status shows it. */
export interface Shown extends KubeObject {
  readonly status?: {
    readonly observedGeneration?: number | undefined;
    readonly conditions?: readonly Condition[] | undefined;
  };
}

/** What status says to people, followed by watches as `kubectl wait` does. */
export interface Follower extends AsyncDisposable {
  /** Objects whose status is of their generation and Ready. */
  readonly ready: number;
  /** Resolves at the moment that one object is Ready at `generation` or later. */
  readyAt(kind: FollowedKind, name: string, generation: number): Promise<number>;
  /** Resolves at the moment (performance.now) that `count` are Ready. */
  allReady(count: number): Promise<number>;
}

type FollowedKind = 'ContentItem' | 'GuestVM' | 'VMAccessPolicy' | 'GuestStoreRepository';
const followed: readonly FollowedKind[] = ['ContentItem', 'GuestVM', 'VMAccessPolicy', 'GuestStoreRepository'];

export async function followStatus(client: Client): Promise<Follower> {
  const stop = new AbortController();
  const readyKeys = new Map<string, number>();
  const waiters = new Set<() => void>();
  const informers = followed.map((kind) => {
    const resource = resources[kind] as Resource<Shown>;
    const informer = createInformer<Shown>({ client, resource, log: silent, namespace: fleet });
    informer.onChange((change) => {
      const name = `${kind} ${change.key}`;
      const generation = change.type === 'deleted' ? undefined : readyGeneration(change.object);
      if (generation === undefined) readyKeys.delete(name);
      else readyKeys.set(name, generation);
      for (const look of waiters) look();
    });
    return informer;
  });
  const running = informers.map((informer) => informer.run(stop.signal));
  await Promise.all(informers.map(({ synced }) => synced));

  function until(holds: () => boolean): Promise<number> {
    return new Promise((resolve) => {
      const look = () => {
        if (!holds()) return;
        waiters.delete(look);
        resolve(performance.now());
      };
      waiters.add(look);
      look();
    });
  }

  return {
    get ready() {
      return readyKeys.size;
    },
    readyAt: (kind, name, generation) => until(() => (readyKeys.get(`${kind} ${fleet}/${name}`) ?? 0) >= generation),
    allReady: (count) => until(() => readyKeys.size >= count),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all(running);
    },
  };
}

function readyGeneration({ metadata, status }: Stored<Shown>): number | undefined {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';
  return ready && status?.observedGeneration === metadata.generation ? metadata.generation : undefined;
}
