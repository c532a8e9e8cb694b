import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { rename } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { layoutOf } from '../../src/store/layout.ts';
import { eventually } from '../support/eventually.ts';
import { newestCommit, readJournal } from '../support/handovers/journal.ts';
import { runHandovers } from '../support/handovers/run.ts';
import { createRandom } from '../support/handovers/seeded.ts';
import { createWorkload } from '../support/handovers/workload.ts';
import { patternOf, startHttpServer } from '../support/http-server.ts';
import { createInstallation, type Installation } from '../support/installation.ts';
import { auditLog } from '../support/kubernetes/api-server.ts';
import { clientFor } from '../support/kubernetes/clients.ts';
import { item } from '../support/manifests.ts';
import type { Program } from '../support/programs.ts';

// One story with the Lease as it is shipped (15 s): each test goes on where the one before it has stopped.

/** Milliseconds. */
const frozen = 30_000;
const patience = 60_000;
const systemNamespace = 'gueststore-system';
const inSystem = ['--namespace', systemNamespace];

interface Operator {
  readonly identity: string;
  readonly program: Program;
  /** How the API server's log names its token. */
  readonly credential: string;
}

const stack = new AsyncDisposableStack();
let installation: Installation;
let first: Operator;
let second: Operator;
let daemon: Program;

beforeAll(async () => {
  installation = stack.use(await createInstallation());
  await installation.kubectl(['create', 'namespace', 'load']);
  daemon = await installation.startDaemon('host-a');
  first = await startOperator('first');
  await first.program.says('leading');
  second = await startOperator('second');
  await second.program.says('caches synced');
});

afterAll(() => stack.disposeAsync());

describe('two operators', () => {
  test('a leader that is stopped for 30 s under load wakes, writes nothing, and follows', async () => {
    await using admin = clientFor(installation.server);
    const stop = new AbortController();
    const workload = createWorkload(admin, 'load', createRandom(randomInt(2 ** 32)));
    const editing = workload.run(stop.signal);
    await committedBy(first);
    process.kill(first.program.pid, 'SIGSTOP');
    const stoppedAt = performance.now();
    await second.program.says('leading', { timeout: patience });
    await committedBy(second);
    await delay(Math.max(0, stoppedAt + frozen - performance.now()));

    const woken = new Date();
    process.kill(first.program.pid, 'SIGCONT');
    await first.program.says('leadership lost');
    const { seq } = await committedBy(second);
    await eventually(async () => ((await committedBy(second)).seq > seq + 2 ? true : undefined), patience);
    stop.abort();
    await editing;
    await workload.matches(installation.datastore, patience);

    expect(await writesOf(first, woken)).toEqual([]);
    expect((await writesOf(second, woken)).length).toBeGreaterThan(10);
    const { commits, writers } = await readJournal(installation.datastore);
    expect([...writers.values()]).toEqual(['first', 'second']);
    const claim = commits.find(({ by }) => by === 'second');
    expect(claim?.cause.kind).toBe('epoch');
    expect(first.program.exitCode).toBeUndefined();
    expect(second.program.lines('leadership lost')).toEqual([]);
  });

  test('SIGTERM hands over at once, in good order', async () => {
    const before = await newestCommit(installation.datastore);
    const begun = performance.now();
    const ended = second.program.stop();
    await eventually(async () => ((await holder()) === 'first' ? true : undefined), patience);
    const taken = performance.now() - begun;
    expect(await ended).toBe(0);
    expect(second.program.lines('lease released')).toHaveLength(1);
    await first.program.says('leading', { after: 1 });
    expect(first.program.lines('leading').at(-1)).toMatchObject({ acquired: 'released' });
    // Nothing had to be claimed, and nothing changed.
    expect(await newestCommit(installation.datastore)).toEqual(before);
    await post(item('handed-over', '/handed-over', 'text', {}, { namespace: 'load' }));
    const commit = await committedBy(first);
    console.log(
      `SIGTERM: the Lease is taken after ${Math.round(taken)} ms, the first commit is there after ${Math.round(performance.now() - begun)} ms`,
    );
    expect(commit.epoch).toBe((before?.epoch ?? 0) + 1);
  });

  test('who may not stand for the Lease says so, and heals when the role is back', async () => {
    const third = await startOperator('third', ['--metrics', '127.0.0.1:0']);
    await using program = third.program;
    const { metrics } = await program.says('metrics served');
    await program.says('caches synced');
    const readyz = async () => {
      const response = await fetch(`http://${metrics}/readyz`);
      return { status: response.status, text: await response.text() };
    };
    await eventually(async () => ((await readyz()).status === 200 ? true : undefined), patience);
    const binding = await installation.kubectl([...inSystem, 'get', 'rolebinding/gueststore-operator', '-o', 'json']);
    await installation.kubectl([...inSystem, 'delete', 'rolebinding/gueststore-operator']);
    const refused = await eventually(async () => {
      const answer = await readyz();
      return answer.status === 503 ? answer : undefined;
    }, patience);
    expect(refused.text).toMatch(/lease failed: this process may not stand for it: .*cannot get resource "leases"/);
    const { resourceVersion: _, uid: __, ...metadata } = JSON.parse(binding).metadata;
    await post({ ...JSON.parse(binding), metadata });
    await eventually(async () => ((await readyz()).status === 200 ? true : undefined), patience);
    expect(program.lines('cannot stand for the lease')).toHaveLength(1);
    await program.says('standing for the lease again');
  });

  test('a fetch that hangs does not keep an operator from stopping', async () => {
    await using http = await startHttpServer();
    http.serve('/endless', { body: patternOf(0, 1_000_000), stallAfter: 1_000 });
    const digest = `sha256:${'0'.repeat(64)}`;
    const source = { http: { url: http.url('/endless') } };
    await post(item('endless', '/endless', '', { source, digest }, { namespace: 'load' }));
    await eventually(async () => ((await reasonOf('endless')) === 'Fetching' ? true : undefined), patience);
    second = await startOperator('second-again');
    await second.program.says('caches synced');
    expect(await first.program.stop()).toBe(0);
    expect(first.program.lines('lease released')).toHaveLength(1);
    await second.program.says('leading');
    await installation.kubectl(['--namespace', 'load', 'delete', 'contentitem/endless']);
  });

  test('nor does an API server that has fallen silent', async () => {
    installation.server.freeze();
    const begun = performance.now();
    try {
      expect(await second.program.stop()).toBe(0);
    } finally {
      installation.server.thaw();
    }
    expect(performance.now() - begun).toBeLessThan(25_000);
    expect(second.program.lines('cannot release the lease; others wait until it runs out')).toHaveLength(1);
  });

  test('a datastore that hangs: a second signal ends the operator at once', async () => {
    // It would hang, too.
    await daemon.stop();
    const hung = await startAlone('hung');
    await hung.says('leading', { timeout: patience });
    await committedBy({ identity: 'hung' });
    await hang('hung');
    process.kill(hung.pid, 'SIGTERM');
    await delay(1_000);
    expect(hung.exitCode).toBeUndefined();
    expect(await hung.stop()).toBe(143);
    await heal();
  });

  test('and without one it ends in time all the same, with the Lease still its own', async () => {
    const hung = await startAlone('hung-again');
    await hung.says('leading', { timeout: patience });
    await committedBy({ identity: 'hung-again' });
    await hang('hung-again');
    expect(await hung.stop()).toBe(1);
    expect(hung.lines('lease released')).toEqual([]);
    expect(await holder()).toBe('hung-again');
  });

  test('ten hand-overs of every kind under a changing workload', { timeout: 600_000 }, async () => {
    const rounds = Number(process.env.GUESTSTORE_HANDOVERS ?? 10);
    const figures = await runHandovers({ rounds, seed: randomInt(2 ** 32), leaseSeconds: 5, say: () => {} });
    console.log(figures);
    expect(figures).toContain(`${rounds} rounds`);
  });
});

async function startOperator(identity: string, more: readonly string[] = []): Promise<Operator> {
  const account = [...inSystem, 'create', 'token', 'gueststore-operator', '--duration=1h'];
  const token = (await installation.kubectl(account)).trim();
  const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  const program = await installation.startOperator({ token, arguments: more, environment: { POD_NAME: identity } });
  return { identity, program, credential: `JTI=${claims.jti}` };
}

/** Nobody waits until the Lease of the one before has run out. */
async function startAlone(identity: string): Promise<Program> {
  await installation.kubectl([...inSystem, 'delete', 'lease/gueststore-operator']);
  return (await startOperator(identity)).program;
}

/** What the server did for it since then that changed something, as its own log has it. */
async function writesOf({ credential }: Operator, since: Date): Promise<readonly string[]> {
  const entries = await auditLog(installation.server);
  const own = entries.filter(({ user }) =>
    user.extra?.['authentication.kubernetes.io/credential-id']?.includes(credential),
  );
  expect(own.length).toBeGreaterThan(0);
  return own
    .filter(({ verb }) => !['get', 'list', 'watch'].includes(verb))
    .filter(({ requestReceivedTimestamp }) => new Date(requestReceivedTimestamp) >= since)
    .filter(({ responseStatus }) => (responseStatus?.code ?? 0) < 400)
    .map(({ verb, requestURI }) => `${verb} ${requestURI}`);
}

async function committedBy({ identity }: Pick<Operator, 'identity'>) {
  return await eventually(async () => {
    const commit = await newestCommit(installation.datastore);
    return commit?.by === identity ? commit : undefined;
  }, patience);
}

async function holder(): Promise<string> {
  const path = '-o=jsonpath={.spec.holderIdentity}';
  return await installation.kubectl([...inSystem, 'get', 'lease/gueststore-operator', path]);
}

async function post(object: object): Promise<void> {
  await installation.kubectl(['apply', '-f', '-'], JSON.stringify(object));
}

async function reasonOf(name: string): Promise<string> {
  const path = '-o=jsonpath={.status.conditions[?(@.type=="Ready")].reason}';
  return await installation.kubectl(['--namespace', 'load', 'get', `contentitem/${name}`, path]);
}

/** Whoever opens a pipe that nobody writes to waits for ever, as on a network file system whose server is gone. */
async function hang(text: string): Promise<void> {
  const { identity } = layoutOf(installation.datastore);
  execFileSync('mkfifo', [`${identity}.pipe`]);
  await rename(identity, `${identity}.kept`);
  await rename(`${identity}.pipe`, identity);
  await post(item('handed-over', '/handed-over', text, {}, { namespace: 'load' }));
  // The pass that reads it is under way by then.
  await delay(2_000);
}

async function heal(): Promise<void> {
  const { identity } = layoutOf(installation.datastore);
  await rename(`${identity}.kept`, identity);
}
