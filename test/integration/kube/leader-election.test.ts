import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import type { ElectionPace } from '../../../src/kube/candidate.ts';
import { type Client, createClient } from '../../../src/kube/client.ts';
import { fenced } from '../../../src/kube/fence.ts';
import { type LeaderElectionOptions, type Leadership, runLeaderElection } from '../../../src/kube/leader-election.ts';
import type { Acquired } from '../../../src/kube/lease.ts';
import { configMaps, leases } from '../../../src/kube/resource.ts';
import { GuestStoreError } from '../../../src/lib/errors.ts';
import { stopped } from '../../../src/lib/lifecycle.ts';
import { silent } from '../../../src/lib/log.ts';
import { eventually } from '../../support/eventually.ts';
import type { Cluster } from '../../support/kubernetes/api-server.ts';
import { clientFor, portOf, transportFor } from '../../support/kubernetes/clients.ts';
import { bareCluster, createNamespace } from '../../support/kubernetes/shared-cluster.ts';
import { createTcpProxy } from '../../support/kubernetes/tcp-proxy.ts';

/** A fifth of production's. */
const pace: ElectionPace = { leaseDuration: 3_000, renewDeadline: 2_000, retryPeriod: 400, stopWithin: 1_000 };

let cluster: Cluster;
let admin: Client;

beforeAll(async () => {
  cluster = await bareCluster();
  admin = clientFor(cluster);
  return () => admin.close();
});

interface Term {
  readonly acquired: Acquired;
  readonly from: number;
  until: number;
}

interface Candidate {
  readonly terms: readonly Term[];
  readonly current: () => Leadership | undefined;
  /** As SIGTERM would; resolves when the election is over. */
  stop(): Promise<void>;
}

function stand(client: Client, namespace: string, options: Partial<LeaderElectionOptions> = {}): Candidate {
  const terms: Term[] = [];
  let current: Leadership | undefined;
  const stopping = new AbortController();
  const running = runLeaderElection(
    {
      client,
      namespace,
      name: 'leader',
      identity: randomUUID(),
      async lead(leadership) {
        const term = { acquired: leadership.acquired, from: performance.now(), until: Number.POSITIVE_INFINITY };
        terms.push(term);
        current = leadership;
        await stopped(leadership.signal);
        current = undefined;
        term.until = performance.now();
      },
      onStuck: () => {},
      log: silent,
      pace,
      ...options,
    },
    stopping.signal,
  );
  const stop = async () => {
    stopping.abort();
    await running;
  };
  onTestFinished(stop);
  return { terms, current: () => current, stop };
}

const leads = ({ current }: Candidate) => current();

test('one leads; when it stops it gives the Lease back, and the other takes it at once', async () => {
  await using space = await createNamespace(cluster);
  // So slow that only the watch can be what tells the other.
  const slow = { leaseDuration: 300_000, renewDeadline: 200_000, retryPeriod: 100_000, stopWithin: 1_000 };
  const first = stand(admin, space.name, { pace: slow });
  await eventually(() => leads(first));
  const second = stand(admin, space.name, { pace: slow });
  await eventually(async () => {
    const { items } = await admin.list(leases, { namespace: space.name });
    return items[0]?.spec?.holderIdentity;
  });
  expect(second.terms).toEqual([]);
  await first.stop();
  await eventually(() => leads(second), 10_000);
  expect(first.terms.map(({ acquired }) => acquired)).toEqual(['created']);
  expect(second.terms.map(({ acquired }) => acquired)).toEqual(['released']);
  const lease = await admin.get(leases, { namespace: space.name, name: 'leader' });
  expect(lease.spec?.leaseTransitions).toBe(1);
});

test('who is cut off stops before anybody else begins, and stands again when the server is back', async () => {
  await using space = await createNamespace(cluster);
  await using proxy = await createTcpProxy({ port: portOf(cluster) });
  await using cut = clientFor(cluster, { url: `https://127.0.0.1:${proxy.port}` });
  const first = stand(cut, space.name);
  await eventually(() => leads(first));
  const second = stand(admin, space.name);
  await eventually(() => (performance.now() - (first.terms[0]?.from ?? 0) > 1_000 ? true : undefined));
  proxy.refuse();
  proxy.silence();
  await eventually(() => leads(second));
  expect(second.terms[0]?.acquired).toBe('expired');
  expect(first.terms[0]?.until).toBeLessThan(second.terms[0]?.from ?? 0);
  // The same process stands again: it takes over when the other goes.
  proxy.reset();
  proxy.accept();
  await second.stop();
  await eventually(() => leads(first));
  expect(first.terms.map(({ acquired }) => acquired)).toEqual(['created', 'released']);
});

test('a minute’s outage of the server alone costs a term, not the process', async () => {
  await using space = await createNamespace(cluster);
  await using proxy = await createTcpProxy({ port: portOf(cluster) });
  await using client = clientFor(cluster, { url: `https://127.0.0.1:${proxy.port}` });
  const only = stand(client, space.name);
  await eventually(() => leads(only));
  proxy.refuse();
  proxy.reset();
  await eventually(() => (only.current() === undefined ? true : undefined));
  proxy.accept();
  await eventually(() => leads(only));
  // Nobody had it meanwhile, but nothing proves that the work of the first term had ended in good order.
  expect(only.terms.map(({ acquired }) => acquired)).toEqual(['created', 'expired']);
});

test('a process that was stopped knows on waking that it leads no more, before any timer has run', async () => {
  await using space = await createNamespace(cluster);
  const only = stand(admin, space.name);
  const leadership = await eventually(() => leads(only));
  expect(leadership.holds()).toBe(true);
  // The event loop stands still, as under SIGSTOP.
  const wakeAt = performance.now() + pace.renewDeadline + 100;
  while (performance.now() < wakeAt);
  expect(leadership.holds()).toBe(false);
  await eventually(() => (leadership.signal.aborted ? true : undefined));
});

test('a Lease that somebody deletes is made again, and there is one leader all the while', async () => {
  await using space = await createNamespace(cluster);
  const first = stand(admin, space.name);
  await eventually(() => leads(first));
  const second = stand(admin, space.name);
  await admin.delete(leases, { namespace: space.name, name: 'leader' });
  await eventually(() => admin.find(leases, { namespace: space.name, name: 'leader' }));
  await eventually(() => {
    const leading = [first, second].filter((one) => one.current()?.holds() === true);
    return leading.length === 1 ? true : undefined;
  });
});

test('work that does not end after a loss is reported as stuck, and the Lease is not given back for it', async () => {
  await using space = await createNamespace(cluster);
  await using proxy = await createTcpProxy({ port: portOf(cluster) });
  await using client = clientFor(cluster, { url: `https://127.0.0.1:${proxy.port}` });
  const { promise: stuck, resolve: onStuck } = Promise.withResolvers<void>();
  const { promise: free, resolve: release } = Promise.withResolvers<void>();
  let leading = false;
  const only = stand(client, space.name, {
    onStuck,
    async lead() {
      leading = true;
      await free;
    },
  });
  await eventually(() => leading || undefined);
  proxy.refuse();
  proxy.reset();
  await stuck;
  const lease = await admin.get(leases, { namespace: space.name, name: 'leader' });
  expect(lease.spec?.holderIdentity).not.toBe('');
  const over = only.stop();
  release();
  await over;
});

/** For a machine that is busy with other things. */
const calm: ElectionPace = { leaseDuration: 7_000, renewDeadline: 5_500, retryPeriod: 500, stopWithin: 1_000 };
const hour = 3_600_000;
const micro = (time: number) => new Date(time).toISOString().replace('Z', '000Z');

test.each([
  { what: 'an hour ahead', spec: { renewTime: micro(Date.now() + hour), leaseDurationSeconds: 3 } },
  { what: 'an hour behind', spec: { renewTime: micro(Date.now() - hour), leaseDurationSeconds: 3 } },
  { what: 'missing, and so is its duration', spec: {} },
  { what: 'of no use: a duration of 68 years', spec: { leaseDurationSeconds: 2 ** 31 - 1 }, within: 15_000 },
  { what: 'of no use: transitions that cannot be counted on', spec: { leaseTransitions: 2 ** 31 - 1 } },
])('a Lease of somebody whose clock is $what runs out by ours', async ({ spec, within = 6_000 }) => {
  await using space = await createNamespace(cluster);
  const held = { holderIdentity: 'somebody', acquireTime: micro(Date.now()), leaseTransitions: 1, ...spec };
  await admin.create(leases, { metadata: { namespace: space.name, name: 'leader' }, spec: held });
  const begun = performance.now();
  const only = stand(admin, space.name);
  await eventually(() => leads(only), within + 10_000);
  const [term] = only.terms;
  expect(term?.acquired).toBe('expired');
  // Not sooner than we would give up our own, whatever stands there.
  expect((term?.from ?? 0) - begun).toBeGreaterThan(pace.leaseDuration - 100);
});

test('a clock that jumps by an hour, and back, changes no leader', async () => {
  await using space = await createNamespace(cluster);
  const first = stand(admin, space.name, { pace: calm });
  await eventually(() => leads(first));
  const second = stand(admin, space.name, { pace: calm });
  const lease = () => admin.get(leases, { namespace: space.name, name: 'leader' });
  onTestFinished(() => void vi.useRealTimers());
  for (const jump of [hour, -hour]) {
    const now = Date.now() + jump;
    // A whole Lease long, while the clock goes on from there.
    const begun = performance.now();
    await eventually(() => {
      const passed = performance.now() - begun;
      vi.setSystemTime(now + passed);
      return passed > calm.leaseDuration + calm.retryPeriod ? true : undefined;
    });
    const renewed = Date.parse((await lease()).spec?.renewTime ?? '');
    expect(Math.abs(renewed - now)).toBeLessThan(hour / 2);
  }
  expect(first.terms).toHaveLength(1);
  expect(second.terms).toEqual([]);
  expect(first.current()?.holds()).toBe(true);
  expect((await lease()).spec?.leaseTransitions).toBe(0);
});

test('a holder who is struck out by hand has not given the Lease back', async () => {
  await using space = await createNamespace(cluster);
  const name = { namespace: space.name, name: 'leader' };
  await admin.create(leases, {
    metadata: name,
    spec: { holderIdentity: 'somebody', leaseDurationSeconds: 300, acquireTime: micro(Date.now()) },
  });
  const only = stand(admin, space.name);
  await admin.patch(leases, name, { type: 'merge', value: { spec: { holderIdentity: null } } });
  await eventually(() => leads(only));
  expect(only.terms[0]?.acquired).toBe('expired');
});

test('work that finds another at it is a loss, and the Lease is left to run out for whoever else stands', async () => {
  await using space = await createNamespace(cluster);
  let terms = 0;
  const begun = performance.now();
  const { promise: again, resolve } = Promise.withResolvers<Leadership>();
  const first = stand(admin, space.name, {
    async lead(leadership) {
      terms += 1;
      if (terms === 1) throw new GuestStoreError('Superseded', 'somebody else writes');
      resolve(leadership);
      await stopped(leadership.signal);
    },
  });
  expect((await again).acquired).toBe('expired');
  expect(performance.now() - begun).toBeGreaterThan(pace.leaseDuration - 100);
  await first.stop();
});

test('an event loop that is busy in small slices does not starve the renewal', async () => {
  await using space = await createNamespace(cluster);
  const only = stand(admin, space.name);
  const leadership = await eventually(() => leads(only));
  const until = performance.now() + 2 * pace.leaseDuration;
  while (performance.now() < until) {
    const slice = performance.now() + 200;
    while (performance.now() < slice);
    await nextTurn();
    expect(leadership.holds()).toBe(true);
  }
  expect(only.terms).toHaveLength(1);
});

test('a write that waited for a connection while its leader was stopped is not sent', async () => {
  await using space = await createNamespace(cluster);
  const transport = transportFor(cluster, { userAgent: `fenced-${space.name}` });
  onTestFinished(() => transport.close());
  let leading = true;
  const client = createClient(fenced(transport, () => leading));
  const name = (index: number) => ({ namespace: space.name, name: `written-${index}` });
  const create = (index: number) => client.create(configMaps, { metadata: name(index) });
  await create(0);
  // More than there are connections, so that some wait for one.
  const attempts = Array.from({ length: 100 }, (_, index) => create(index + 1));
  leading = false;
  const results = await Promise.allSettled(attempts);
  const refused = results.filter((one) => one.status === 'rejected').map(({ reason }) => reason.code);
  expect(new Set(refused)).toEqual(new Set(['Superseded']));
  const { items } = await admin.list(configMaps, {
    namespace: space.name,
    fieldSelector: 'metadata.name!=kube-root-ca.crt',
  });
  expect(items.length).toBe(1 + results.length - refused.length);
  expect(await client.get(configMaps, name(0))).toBeDefined();
});
