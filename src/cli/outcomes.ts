import { conditionOf } from '../core/conditions.ts';
import { progressOf } from '../core/status-faults.ts';
import type { Client } from '../kube/client.ts';
import { createInformer } from '../kube/informer.ts';
import { keyOf, type Stored } from '../kube/objects.ts';
import { silent } from '../lib/log.ts';
import type { Io } from './io.ts';
import type { Ours, Target } from './targets.ts';

/** A target, and how one tells from its object that what was asked for has been looked at. */
export interface Awaited extends Target {
  readonly seen: (object: Stored<Ours>) => boolean;
}

/** Reasons of `Ready` while work goes on; with any other one that is not well, it has come to its end for now. */
const onTheWay: ReadonlySet<string> = new Set(['Publishing', 'Fetching', 'WaitingForHosts']);

/**
 * Follows objects until what was asked of each has come to an end, and prints each step. True when all are Ready. After
 * `timeout` milliseconds, or when the signal aborts, says of the others where they stand.
 */
export async function awaitOutcomes(
  client: Client,
  targets: readonly Awaited[],
  timeout: number,
  { stdout, stderr, signal }: Io,
): Promise<boolean> {
  const late = AbortSignal.timeout(timeout);
  const stop = new AbortController();
  const ended = AbortSignal.any([signal, late, stop.signal]);
  const left = new Map(targets.map((target) => [`${target.kind} ${keyOf(target.object)}`, target]));
  const said = new Map<string, string>();
  let well = true;

  /** Looks at one object as it is now; undefined: it is gone. */
  function look(id: string, object: Stored<Ours> | undefined): void {
    const target = left.get(id);
    if (target === undefined) return;
    if (object === undefined || object.metadata.uid !== target.object.metadata.uid) {
      stderr.write(`${target.shown}: was deleted meanwhile\n`);
      well = false;
      left.delete(id);
    } else if (target.seen(object)) {
      const words = wordsOf(object);
      const end = endOf(object);
      if (words !== said.get(id)) (end === 'failed' ? stderr : stdout).write(`${target.shown}: ${words}\n`);
      said.set(id, words);
      if (end === undefined) return;
      warn(target, object);
      if (end === 'failed') well = false;
      left.delete(id);
    } else if (restsWithItsRepository(object)) {
      stderr.write(`${target.shown}: its repository is suspended, so nothing is done; resume that\n`);
      well = false;
      left.delete(id);
    }
    if (left.size === 0) stop.abort();
  }

  function warn({ shown }: Target, { status }: Stored<Ours>): void {
    const source = conditionOf(status?.conditions, 'SourceReady');
    if (source?.status !== 'False' || conditionOf(status?.conditions, 'Ready')?.status !== 'True') return;
    stderr.write(
      `${shown}: its source does not answer, what is published stays: ${source.reason}: ${source.message}\n`,
    );
  }

  const following = selectionsOf(targets).map(async ({ kind, resource, ...selection }) => {
    const informer = createInformer({ client, resource, log: silent, ...selection });
    informer.onChange((change) => look(`${kind} ${change.key}`, change.type === 'deleted' ? undefined : change.object));
    const running = informer.run(ended);
    await Promise.race([informer.synced, running]);
    // What is not in the list was gone before anybody looked.
    if (informer.hasSynced)
      for (const { kind: one, object } of targets)
        if (one === kind && concerns(selection, object) && informer.get(keyOf(object)) === undefined)
          look(`${kind} ${keyOf(object)}`, undefined);
    await running;
    for (const [id, target] of left) {
      if (target.kind !== kind || !concerns(selection, target.object)) continue;
      const last = informer.get(keyOf(target.object));
      const why = target.seen(last ?? target.object) ? '' : ' The operator has not looked at it; does it run?';
      stderr.write(`${target.shown}: not done in time: ${last === undefined ? 'not seen.' : wordsOf(last)}${why}\n`);
      left.delete(id);
      well = false;
    }
  });
  await Promise.all(following);
  return well;
}

/** How an object that was looked at has ended; undefined while it goes on. */
function endOf(object: Stored<Ours>): 'ready' | 'failed' | undefined {
  const progress = progressOf(object);
  if (progress === 'Current') return 'ready';
  if (progress === 'Failed') return 'failed';
  const { observedGeneration } = object.status ?? {};
  const ready = conditionOf(object.status?.conditions, 'Ready');
  const old = observedGeneration !== object.metadata.generation;
  return old || ready === undefined || onTheWay.has(ready.reason) ? undefined : 'failed';
}

/** Suspended, and not by itself. */
function restsWithItsRepository({ metadata, spec, status }: Stored<Ours>): boolean {
  const ready = conditionOf(status?.conditions, 'Ready');
  const looked = status?.observedGeneration === metadata.generation;
  return looked && ready?.reason === 'Suspended' && spec?.suspend !== true;
}

function wordsOf({ status }: Stored<Ours>): string {
  const ready = conditionOf(status?.conditions, 'Ready');
  return ready === undefined ? 'Pending: Not looked at yet.' : `${ready.reason}: ${ready.message}`;
}

interface Selected extends Pick<Target, 'kind' | 'resource'> {
  readonly namespace?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

/** What to watch: one object alone, else all of a kind, in its namespace where they share one. */
function selectionsOf(targets: readonly Target[]): readonly Selected[] {
  return [...Map.groupBy(targets, ({ kind }) => kind)].flatMap(([kind, all]) => {
    const [first] = all;
    if (first === undefined) return [];
    const { resource } = first;
    const { namespace, name } = first.object.metadata;
    if (all.length === 1) return [{ kind, resource, namespace, fieldSelector: `metadata.name=${name}` }];
    const one = all.every(({ object }) => object.metadata.namespace === namespace);
    return [{ kind, resource, namespace: one ? namespace : undefined }];
  });
}

function concerns({ namespace }: Pick<Selected, 'namespace'>, { metadata }: Stored<Ours>): boolean {
  return namespace === undefined || metadata.namespace === namespace;
}
