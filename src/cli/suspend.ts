import type { ExitCode, Io } from './io.ts';
import { type Awaited, awaitOutcomes } from './outcomes.ts';
import { fieldManager, isSuspended, type ReconcileOptions, withTargets } from './reconcile.ts';

/**
 * `gueststore suspend KIND NAME`: sets `spec.suspend`, so that what is in force stays and edits wait. Git, where objects
 * come from there, has to say the same, or takes it back.
 */
export async function runSuspend(options: Omit<ReconcileOptions, 'wait' | 'timeout'>, io: Io): Promise<ExitCode> {
  return await withTargets(options, io, async (client, targets) => {
    for (const target of targets) {
      if (!isSuspended(target)) {
        const patch = { type: 'merge', value: { spec: { suspend: true } } } as const;
        await client.patch(target.resource, target.object.metadata, patch, { fieldManager, signal: io.signal });
      }
      io.stdout.write(`${target.shown}: ${isSuspended(target) ? 'was suspended already' : 'suspended'}\n`);
    }
    return 0;
  });
}

/** `gueststore resume KIND NAME`: takes `spec.suspend` back and waits for what comes of it. 0 when all are Ready. */
export async function runResume(options: ReconcileOptions, io: Io): Promise<ExitCode> {
  return await withTargets(options, io, async (client, targets) => {
    const resumed: Awaited[] = [];
    for (const target of targets) {
      const patch = { type: 'merge', value: { spec: { suspend: false } } } as const;
      const { resource, object } = target;
      const now = isSuspended(target)
        ? await client.patch(resource, object.metadata, patch, { fieldManager, signal: io.signal })
        : object;
      io.stdout.write(`${target.shown}: ${isSuspended(target) ? 'resumed' : 'was not suspended'}\n`);
      const generation = now.metadata.generation ?? 1;
      const seen: Awaited['seen'] = ({ status }) => (status?.observedGeneration ?? -1) >= generation;
      resumed.push({ ...target, seen });
    }
    return !options.wait || (await awaitOutcomes(client, resumed, options.timeout, io)) ? 0 : 1;
  });
}
