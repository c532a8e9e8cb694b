import { requestAnnotation, requestOf } from '../core/reconcile-request.ts';
import type { Client } from '../kube/client.ts';
import { connect } from '../kube/connect.ts';
import type { ExitCode, Io } from './io.ts';
import { type Awaited, awaitOutcomes } from './outcomes.ts';
import { findTargets, type Target, type TargetOptions } from './targets.ts';

export interface ReconcileOptions extends TargetOptions {
  readonly kubeconfig: string | undefined;
  readonly allNamespaces: boolean;
  readonly wait: boolean;
  /** Milliseconds. */
  readonly timeout: number;
  readonly version: string;
}

/** Under this name the fields are owned that people set by these commands. */
export const fieldManager = 'gueststore';

/**
 * `gueststore reconcile KIND NAME`: asks the operator to look at an object and its source now, and waits for what comes of
 * it. 0 when everything asked for is Ready.
 */
export async function runReconcile(options: ReconcileOptions, io: Io): Promise<ExitCode> {
  return await withTargets(options, io, async (client, targets) => {
    const [resting, awake] = [targets.filter(isSuspended), targets.filter((target) => !isSuspended(target))];
    for (const { shown } of resting) {
      io.stderr.write(`${shown}: is suspended, so nothing is done; "gueststore resume ${shown.replace('/', ' ')}"\n`);
    }
    const value = new Date().toISOString();
    const asked: Awaited[] = [];
    for (const target of awake) {
      const annotations = { [requestAnnotation]: value };
      const patch = { type: 'merge', value: { metadata: { annotations } } } as const;
      await client.patch(target.resource, target.object.metadata, patch, { fieldManager, signal: io.signal });
      io.stdout.write(`${target.shown}: asked for a look\n`);
      const wanted = requestOf({ annotations });
      asked.push({ ...target, seen: ({ status }) => status?.lastHandledReconcileAt === wanted });
    }
    const well = !options.wait || (await awaitOutcomes(client, asked, options.timeout, io));
    return well && resting.length === 0 ? 0 : 1;
  });
}

/** Connects, finds what is meant, and lets go of the connection afterwards. */
export async function withTargets(
  options: Omit<ReconcileOptions, 'wait' | 'timeout'>,
  io: Io,
  act: (client: Client, targets: readonly Target[]) => Promise<ExitCode>,
): Promise<ExitCode> {
  const { kubeconfig, version, allNamespaces } = options;
  const { client, namespace: own } = await connect({ kubeconfig, userAgent: `gueststore/${version}` });
  try {
    const namespace = allNamespaces ? undefined : (options.namespace ?? own ?? 'default');
    const targets = await findTargets(client, { ...options, namespace }, io.signal);
    if (targets.length === 0) io.stdout.write('Nothing found.\n');
    return await act(client, targets);
  } finally {
    await client.close();
  }
}

export function isSuspended({ object }: Target): boolean {
  return object.spec?.suspend === true;
}
