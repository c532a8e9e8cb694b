import { createHash } from 'node:crypto';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findHighest, readCommit } from '../../src/store/commits.ts';
import { layoutOf } from '../../src/store/layout.ts';
import { eventually } from '../support/eventually.ts';
import { item, yaml } from '../support/fleet.ts';
import { type HttpServer, patternOf, startHttpServer } from '../support/http-server.ts';
import { createInstallation, type Installation } from '../support/installation.ts';
import type { Program } from '../support/programs.ts';
import { listing } from '../support/store.ts';
import { expectedReasons, foreignFile, servingHost, troubledFleet } from '../support/troubled-fleet.ts';

// The promise that the operator writes nothing when nothing changed. One story: each test goes on where the last one ended.

const samples = fileURLToPath(new URL('../../manifests/samples', import.meta.url));
/** Milliseconds for which nothing may be written: several rounds of all that the operator does by itself. */
const window = 10_000;

const stack = new AsyncDisposableStack();
let http: HttpServer;
let installation: Installation;
let operator: Program;

beforeAll(async () => {
  installation = stack.use(await createInstallation());
  http = stack.use(await startHttpServer());
  const { datastore, folder, imports, kubectl } = installation;
  await cp(join(samples, 'import'), imports, { recursive: true });
  await mkdir(dirname(join(datastore, foreignFile)), { recursive: true });
  await writeFile(join(datastore, foreignFile), 'of somebody else');
  const manifests = join(folder, 'manifests');
  await cp(join(samples, 'fleet'), manifests, { recursive: true });
  for (const [name, text] of Object.entries(troubledFleet(http, 'first'))) await writeFile(join(manifests, name), text);
  await writeFile(join(manifests, 'download.yaml'), yaml(download()));
  await kubectl(['apply', '--filename', manifests]);
  const role = [
    '--clusterrole',
    'gueststore-source-reader',
    '--serviceaccount',
    'gueststore-system:gueststore-operator',
  ];
  await kubectl(['--namespace', 'trouble', 'create', 'rolebinding', 'gueststore-source-reader', ...role]);
  await installation.startDaemon(servingHost);
});

afterAll(() => stack.disposeAsync());

describe('an operator that finds everything as it left it', () => {
  test('the first one publishes all that can be, says what cannot, and stops in order', async () => {
    operator = await installation.startOperator();
    await eventually(async () => {
      expect(await readyReasons()).toMatchObject({ ...expectedReasons, 'ContentItem fleet/download': 'Served' });
      return true;
    }, 40_000);
    expect(await operator.stop()).toBe(0);
    expect(operator.lines('lease released')).toHaveLength(1);
  });

  test('the second one writes nothing to the datastore, and nothing but its Lease to the API server', async () => {
    const [files, writes] = [datastoreFiles(), (await installation.operatorWrites()).length];
    operator = await installation.startOperator();
    await operator.says('leading');
    await delay(window);
    expect(datastoreFiles()).toEqual(files);
    expect(new Set(await writtenSince(writes))).toEqual(new Set(['update leases']));
  });

  test('though it was at work: a change is published at once', async () => {
    await editMotd('of the second run\n');
  });

  test('one that follows a killed one claims the datastore with one empty commit, and writes nothing else', async () => {
    await operator.kill();
    const [files, writes] = [datastoreFiles(), (await installation.operatorWrites()).length];
    const last = await newestCommit();
    operator = await installation.startOperator();
    // The Lease has to run out first.
    await operator.says('leading', { timeout: 40_000 });
    const claim = await eventually(async () => {
      const commit = await newestCommit();
      return commit.seq > last.seq ? commit : undefined;
    });
    expect(claim).toMatchObject({
      seq: last.seq + 1,
      epoch: last.epoch + 1,
      index: last.index,
      cause: { kind: 'epoch' },
    });

    await delay(window / 2);
    expect(await newestCommit()).toEqual(claim);
    // The commit, the hint that names it, and the state of the plain tree as of it.
    const { commits, commit, head, tree, store, tmp } = layoutOf(installation.datastore);
    const claimed = [commits, commit(claim.seq), head, tree, store, tmp];
    const besides = (lines: readonly string[]) => lines.filter((line) => !claimed.includes(pathOf(line)));
    expect(besides(datastoreFiles())).toEqual(besides(files));
    expect(new Set(await writtenSince(writes))).toEqual(new Set(['update leases']));
  });

  test('and goes on', async () => {
    await editMotd('of the third run\n');
    expect(await operator.stop()).toBe(0);
  });
});

function download(): object {
  const body = patternOf(0, 100_000);
  http.serve('/download.bin', { body, etag: '"1"' });
  const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
  return item('download', '/download.bin', '', { source: { http: { url: http.url('/download.bin') } }, digest });
}

/** Files and folders with times and inodes, but for what daemons write. */
function datastoreFiles(): readonly string[] {
  const { hosts } = layoutOf(installation.datastore);
  return listing(installation.datastore).filter((line) => !line.startsWith(hosts));
}

function pathOf(line: string): string {
  return line.split(' ').slice(0, -5).join(' ');
}

/** Verb and resource of what the operator changed, or tried to, after the first `count` times. */
async function writtenSince(count: number): Promise<readonly string[]> {
  const writes = (await installation.operatorWrites()).slice(count);
  return writes.map(({ verb, objectRef }) => `${verb} ${objectRef?.resource}`);
}

async function newestCommit() {
  const layout = layoutOf(installation.datastore);
  const named = await readCommit(layout, await findHighest(layout, 0));
  if (named === undefined || named === 'partial') throw new Error('no commit is readable');
  return named.commit;
}

async function editMotd(text: string): Promise<void> {
  const patch = JSON.stringify({ spec: { source: { inline: { text } } } });
  const inFleet = ['--namespace', 'fleet'];
  await installation.kubectl([...inFleet, 'patch', 'contentitem/motd', '--type=merge', '--patch', patch]);
  await installation.kubectl([...inFleet, 'wait', '--for=condition=Ready', '--timeout=10s', 'contentitem/motd']);
}

async function readyReasons(): Promise<Readonly<Record<string, unknown>>> {
  interface Shown {
    readonly kind: string;
    readonly metadata: { readonly name: string; readonly namespace?: string };
    readonly status: { readonly conditions?: readonly { readonly type: string; readonly reason: string }[] };
  }
  const list = await installation.kubectl([
    'get',
    'gueststore,gueststorehosts',
    '--all-namespaces',
    '--output',
    'json',
  ]);
  const reasons = (JSON.parse(list) as { items: readonly Shown[] }).items.map(({ kind, metadata, status }) => {
    const { namespace, name } = metadata;
    const ready = status.conditions?.find(({ type }) => type === 'Ready');
    return [`${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`, ready?.reason];
  });
  return Object.fromEntries(reasons);
}
