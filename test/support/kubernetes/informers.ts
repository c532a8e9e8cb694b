import { onTestFinished } from 'vitest';
import type { Change } from '../../../src/kube/cache.ts';
import { createInformer, type Informer, type InformerOptions } from '../../../src/kube/informer.ts';
import type { KubeObject } from '../../../src/kube/objects.ts';
import type { ReflectorPace } from '../../../src/kube/reflector.ts';
import type { Log } from '../../../src/lib/log.ts';
import { silent } from '../../../src/lib/log.ts';
import { createMetrics } from '../../../src/lib/metrics.ts';

/** The production pace, but a test does not wait half a minute for a second try. */
export const quickPace: ReflectorPace = {
  pageSize: 2,
  watch: [60_000, 60_000],
  silence: 60_000,
  shortest: 200,
  backoff: { first: 50, longest: 200, forgetAfter: 1_000 },
};

export interface RunningInformer<T extends KubeObject> {
  readonly informer: Informer<T>;
  /** What handlers were told: `added a`, `deleted b (unknown)`. */
  readonly told: readonly string[];
  readonly lists: () => number;
  readonly stop: () => Promise<void>;
}

/** An informer that runs until the test ends. */
export function runInformer<T extends KubeObject>(
  options: Omit<InformerOptions<T>, 'log'> & { readonly log?: Log },
): RunningInformer<T> {
  const metrics = createMetrics();
  const informer = createInformer({ pace: quickPace, freeze: true, log: silent, ...options, metrics });
  const told: string[] = [];
  informer.onChange((change) => told.push(describeChange(change)));
  const stopping = new AbortController();
  const running = informer.run(stopping.signal);
  const stop = async () => {
    stopping.abort();
    await running;
  };
  onTestFinished(stop);
  const lists = () => Number(/reflector_lists_total\{.*\} (\d+)/.exec(metrics.render())?.[1] ?? 0);
  return { informer, told, lists, stop };
}

export function describeChange<T extends KubeObject>(change: Change<T>): string {
  const name = change.key.split('/').at(-1);
  return `${change.type} ${name}${change.type === 'deleted' && change.finalStateUnknown ? ' (unknown)' : ''}`;
}
