import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { eventually } from '../../test/support/eventually.ts';
import type { ApiServer } from '../../test/support/kubernetes/api-server.ts';
import type { TcpProxy } from '../../test/support/kubernetes/tcp-proxy.ts';
import type { Chance } from './chance.ts';

const run = promisify(execFile);

/** What may befall the way to the API server, the server, or the datastore. Each is over when it resolves. */
export interface Faults {
  readonly names: readonly string[];
  strike(name: string): Promise<void>;
  /** Whatever is under way is over, and the network as new. */
  heal(): Promise<void>;
}

/** `datastore` must be a mount of its own to be made read-only; undefined where we may not mount. */
export function createFaults(
  server: ApiServer,
  proxy: TcpProxy,
  datastore: string | undefined,
  chance: Chance,
): Faults {
  const seconds = (least: number, most: number) => delay(chance.between(least, most) * 1000);
  const kinds: Readonly<Record<string, () => Promise<void>>> = {
    async reset() {
      proxy.reset();
    },
    async silence() {
      proxy.silence();
      await seconds(2, 8);
      // The cable is in again, and both ends learn that they were cut off.
      proxy.reset();
    },
    async refuse() {
      proxy.refuse();
      proxy.reset();
      await seconds(2, 6);
      proxy.accept();
    },
    async delay() {
      proxy.delay(chance.between(20, 300));
      await seconds(3, 8);
      proxy.delay(0);
    },
    async restart() {
      await server.kill();
      await seconds(0, 5);
      await server.restart();
    },
    ...(datastore === undefined
      ? {}
      : {
          async 'read-only'() {
            await remount(datastore, 'ro');
            try {
              await seconds(2, 8);
            } finally {
              await remount(datastore, 'rw');
            }
          },
        }),
  };
  return {
    names: Object.keys(kinds),
    strike: async (name) => {
      await kinds[name]?.();
    },
    async heal() {
      proxy.accept();
      proxy.delay(0);
      proxy.reset();
    },
  };
}

/** Makes the folder a mount of its own. False where that is not permitted. */
export async function mountOnItself(folder: string): Promise<boolean> {
  try {
    await run('mount', ['--bind', folder, folder]);
    return true;
  } catch {
    return false;
  }
}

export async function unmount(folder: string): Promise<void> {
  await run('umount', ['--lazy', folder]);
}

/** A file that is open for writing just now makes it busy. */
async function remount(folder: string, mode: 'ro' | 'rw'): Promise<void> {
  await eventually(async () => {
    await run('mount', ['-o', `remount,bind,${mode}`, folder]);
    return true;
  });
}
