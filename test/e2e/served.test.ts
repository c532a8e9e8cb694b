import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Condition } from '../../src/core/conditions.ts';
import { layoutOf } from '../../src/store/layout.ts';
import { eventually } from '../support/eventually.ts';
import { item, namespace, policy, repository, vm, yaml } from '../support/fleet.ts';
import { createInstallation, type Installation } from '../support/installation.ts';
import type { Program } from '../support/programs.ts';

// What status says of hosts: nobody is called served who is not, and no host that is away holds anybody up. One story:
// each test goes on where the last one ended.

/** Milliseconds: a heartbeat counts for twenty seconds, and this machine may be busy. */
const silence = 60_000;
/** Of the two repositories, which differ in nothing but how much they hold. */
const sizes = { few: 30, many: 300 } as const;

const stack = new AsyncDisposableStack();
let installation: Installation;
let lost: Program;

beforeAll(async () => {
  installation = stack.use(await createInstallation());
  await installation.kubectl(['apply', '--server-side', '-f', '-'], fleet());
  await installation.startDaemon('host-a');
  lost = await installation.startDaemon('host-b');
  await installation.startOperator({ arguments: ['--retire-hosts', '1s'] });
});

afterAll(() => stack.disposeAsync());

function fleet(): string {
  const repositories = Object.entries(sizes).flatMap(([name, count]) => [
    repository(name),
    ...Array.from({ length: count }, (_, index) =>
      item(`${name}-${index}`, `/item-${index}`, `item ${index}`, { repositoryRef: { name } }),
    ),
    vm(`${name}-a`, { host: 'host-a', repositoryRef: { name } }),
    vm(`${name}-b`, { host: 'host-b', repositoryRef: { name } }),
  ]);
  return yaml(namespace('fleet'), policy('none', { deny: ['/never'] }), ...repositories);
}

describe('served', () => {
  test('all of it is, by both hosts', async () => {
    await eventually(async () => {
      expect(await notReady()).toEqual([]);
      return true;
    }, 120_000);
    expect(await conditionOf('contentitem/many-299', 'Served')).toMatchObject({ status: 'True', reason: 'Served' });
    expect(await hostsOf('many')).toEqual({ total: 2, current: 2 });
  });

  test('an edit costs as many writes among 300 items as among 30', async () => {
    const few = await writesFor(() => editItem('few-1', 'edited'));
    const many = await writesFor(() => editItem('many-1', 'edited'));
    expect(many).toEqual(few);
    // Of the item and of the repository that shows the revision, and the event that people see.
    expect(few.length).toBeLessThanOrEqual(4);
  });

  test('a host that dies is waited for while it may still speak, then named, and holds up nobody', async () => {
    await lost.kill();
    await editItem('few-2', 'while one is silent', '--timeout=60s');
    expect(await hostsOf('few')).toEqual({ total: 2, current: 1, unreachable: ['host-b'] });
    expect(await conditionOf('gueststorehost/host-b', 'Ready')).toMatchObject({
      status: 'False',
      reason: 'HeartbeatMissing',
    });
    // Nothing but the host itself is worse for it.
    expect(await notReady()).toEqual([]);
    await editItem('few-3', 'as quickly as ever', '--timeout=10s');
  });

  test('when it comes back it is served from what is published now, and status says so', async () => {
    lost = await installation.startDaemon('host-b');
    await eventually(async () => {
      expect(await conditionOf('gueststorehost/host-b', 'Ready')).toMatchObject({ status: 'True' });
      expect(await hostsOf('few')).toEqual({ total: 2, current: 2 });
      return true;
    }, silence);
    // The daemon that was killed left an acknowledgement, which the next one of its host has removed.
    expect(await acknowledgements('host-b')).toHaveLength(1);
  });

  test('of two daemons of one host the slower one counts, for as long as it speaks', async () => {
    const second = await installation.startDaemon('host-b');
    await eventually(async () => {
      const { instances } = await statusOf('gueststorehost/host-b');
      expect(instances).toBe(2);
      return true;
    });
    process.kill(lost.pid, 'SIGSTOP');
    try {
      const edited = await patchItem('few-4', 'one of the two does not move');
      await eventually(async () => {
        const waiting = await conditionOf('contentitem/few-4', 'Ready');
        expect(waiting).toMatchObject({ status: 'False', reason: 'WaitingForHosts', observedGeneration: edited });
        expect(waiting.message).toContain('host-b');
        return true;
      });
      await ready('--timeout=60s', 'contentitem/few-4');
      expect(await hostsOf('few')).toEqual({ total: 2, current: 2 });
    } finally {
      process.kill(lost.pid, 'SIGCONT');
    }
    expect(await lost.stop()).toBe(0);
    await second.kill();
  });

  test('a silent host that no VM names any more is forgotten, with its GuestStoreHost', async () => {
    await installation.kubectl(['-n', 'fleet', 'delete', 'guestvm/few-b', 'guestvm/many-b']);
    await eventually(async () => {
      expect(await installation.kubectl(['get', 'gueststorehosts', '-o', 'name'])).toBe(
        'gueststorehost.gueststore.dev/host-a\n',
      );
      return true;
    }, silence);
    expect(existsSync(join(layoutOf(installation.datastore).hosts, 'host-b'))).toBe(false);
    expect(await hostsOf('few')).toEqual({ total: 1, current: 1 });
  });
});

const inFleet = (...args: readonly string[]) => installation.kubectl(['--namespace', 'fleet', ...args]);

async function ready(timeout: string, ...objects: readonly string[]): Promise<void> {
  for (const object of objects) await inFleet('wait', '--for=condition=Ready', timeout, object);
}

const kinds = 'contentitem,guestvm,gueststorerepository,vmaccesspolicy';

/** Names of what is not Ready, of all that the fleet holds. */
async function notReady(): Promise<readonly string[]> {
  interface Shown {
    readonly metadata: { readonly name: string };
    readonly status: { readonly conditions?: readonly Condition[] };
  }
  const { items } = JSON.parse(await inFleet('get', kinds, '--output', 'json')) as { items: readonly Shown[] };
  return items
    .filter(({ status }) => status.conditions?.find(({ type }) => type === 'Ready')?.status !== 'True')
    .map(({ metadata }) => metadata.name);
}

/** Returns the generation that the edit made. */
async function patchItem(name: string, text: string): Promise<number> {
  const patch = JSON.stringify({ spec: { source: { inline: { text } } } });
  const path = '{.metadata.generation}';
  return Number(
    await inFleet('patch', `contentitem/${name}`, '--type=merge', '--patch', patch, '--output', `jsonpath=${path}`),
  );
}

async function editItem(name: string, text: string, timeout = '--timeout=30s'): Promise<void> {
  const generation = await patchItem(name, text);
  const observed = `--for=jsonpath={.status.observedGeneration}=${generation}`;
  await inFleet('wait', observed, timeout, `contentitem/${name}`);
  await ready(timeout, `contentitem/${name}`);
}

async function statusOf(object: string): Promise<Readonly<Record<string, unknown>>> {
  const { status } = JSON.parse(await inFleet('get', object, '--output', 'json')) as {
    status: Readonly<Record<string, unknown>>;
  };
  return status;
}

async function conditionOf(object: string, type: string): Promise<Condition> {
  const { conditions } = (await statusOf(object)) as { conditions?: readonly Condition[] };
  const found = conditions?.find((one) => one.type === type);
  if (found === undefined) throw new Error(`${object} has no condition ${type}`);
  return found;
}

async function hostsOf(name: string): Promise<unknown> {
  return (await statusOf(`gueststorerepository/${name}`)).hosts;
}

async function acknowledgements(host: string): Promise<readonly string[]> {
  const names = await readdir(join(layoutOf(installation.datastore).hosts, host));
  return names.filter((name) => name.endsWith('.json'));
}

/** What the operator writes for an edit, its Lease aside, until it has written nothing for two seconds. */
async function writesFor(edit: () => Promise<void>): Promise<readonly string[]> {
  const before = (await quietWrites()).length;
  await edit();
  return (await quietWrites()).slice(before).toSorted();
}

async function quietWrites(): Promise<readonly string[]> {
  let [last, since] = [-1, performance.now()];
  return await eventually(async () => {
    const writes = (await installation.operatorWrites())
      .map(({ verb, objectRef }) => `${verb} ${objectRef?.resource} ${objectRef?.subresource ?? ''}`.trim())
      .filter((write) => !write.includes('leases'));
    if (writes.length !== last) [last, since] = [writes.length, performance.now()];
    return performance.now() - since > 2_000 ? writes : undefined;
  }, 60_000);
}
