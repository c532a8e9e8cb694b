import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { cp, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, bare } from '../support/daemon.ts';
import { eventually } from '../support/eventually.ts';
import { patternOf, startHttpServer } from '../support/http-server.ts';
import { createInstallation, type Installation } from '../support/installation.ts';
import { item, vm, yaml } from '../support/manifests.ts';
import type { Program } from '../support/programs.ts';
import { type Freezer, mountFreezer, type Prometheus, promtool, startPrometheus } from '../support/prometheus.ts';

// Operator, daemon, guests and a real Prometheus that scrapes them. One story: each test goes on where the last one ended.

const root = fileURLToPath(new URL('../..', import.meta.url));
const host = 'localhost';
/** Milliseconds after which work that waits is stuck. */
const environment = { GUESTSTORE_METRICS: '127.0.0.1:0', GUESTSTORE_STUCK_AFTER: '3s' };

const stack = new AsyncDisposableStack();
let installation: Installation;
let freezer: Freezer;
let operator: Program;
let daemon: Program;
let prometheus: Prometheus;

interface Target {
  readonly expr: string;
}

const dashboard = JSON.parse(readFileSync(join(root, 'manifests/monitoring/dashboard.json'), 'utf8')) as {
  readonly panels: readonly { readonly title: string; readonly targets?: readonly Target[] }[];
};
const queries = dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));
/** Where nothing failed, nothing is there to be shown. */
const mayBeEmpty = /gueststore_commit_failures_total|reflector_failures_total/;

beforeAll(async () => {
  installation = stack.use(await createInstallation());
  const { datastore, folder, imports, kubectl } = installation;
  freezer = stack.use(await mountFreezer(datastore, join(folder, 'datastore.img')));
  const http = stack.use(await startHttpServer());
  await cp(join(root, 'manifests/samples/import'), imports, { recursive: true });
  const manifests = join(folder, 'manifests');
  await cp(join(root, 'manifests/samples/fleet'), manifests, { recursive: true });
  const body = patternOf(0, 100_000);
  http.serve('/download', { body });
  const fetched = (name: string, digest: string) =>
    item(name, `/${name}`, '', { source: { http: { url: http.url(`/${name}`) } }, digest: `sha256:${digest}` });
  const more = [
    fetched('download', createHash('sha256').update(body).digest('hex')),
    fetched('nowhere', '0'.repeat(64)),
    vm('off', { host, enabled: false }),
    vm('twin-a', { host, channel: { hybridUDS: { path: 'twin.vsock' } } }),
    vm('twin-b', { host, channel: { hybridUDS: { path: 'twin.vsock' } } }),
  ];
  await writeFile(join(manifests, '5-more.yaml'), yaml(...more));
  await kubectl(['apply', '--filename', manifests]);
});

afterAll(() => stack.disposeAsync());

describe('readiness says what is missing', () => {
  test('of an operator whose API server says nothing', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await eventually(() => silent.address() ?? undefined);
    const { port } = silent.address() as { port: number };
    const lonely = await installation.startOperator({ url: `https://127.0.0.1:${port}`, environment });
    const { metrics } = await lonely.says('metrics served');
    const { status, body } = await get(metrics, '/readyz');
    expect(status).toBe(503);
    expect(body).toContain('[-]cache/contentitems failed: not listed yet: the API server has not answered');
    expect(body).toMatch(/readyz check failed\n$/);
    // It waits for its server, which is no reason to start it again.
    expect(await get(metrics, '/healthz')).toEqual({ status: 200, body: 'ok\n' });
    await lonely.kill();
    silent.close();
  });

  test('of a daemon whose datastore holds nothing yet', async () => {
    daemon = await installation.startDaemon(host, { environment });
    expect(await get(addressOf(daemon), '/readyz')).toEqual({
      status: 503,
      body: expect.stringMatching(/^\[\+\]running ok\n\[-\]datastore\/default failed: .+\nreadyz check failed\n$/),
    });
  });

  test('and both are ready once there is a revision', async () => {
    operator = await installation.startOperator({ environment });
    await operator.says('revision published');
    for (const program of [operator, daemon]) {
      await eventually(async () => ((await get(addressOf(program), '/readyz')).status === 200 ? true : undefined));
    }
    expect((await get(addressOf(operator), '/readyz?verbose')).body).toContain('[+]cache/guestvms ok\n');
  });
});

test('Prometheus reads both, each query of the dashboard has an answer, and each alert is evaluated', async () => {
  const targets = { 'gueststore-operator': addressOf(operator), 'gueststore-daemon': addressOf(daemon) };
  prometheus = stack.use(await startPrometheus(targets, join(root, 'manifests/monitoring/alerts.yaml')));
  expect(queries.length).toBeGreaterThan(40);
  const empty = new Set(queries.map(({ expr }) => expr).filter((expr) => !mayBeEmpty.test(expr)));
  let edits = 0;
  await eventually(async () => {
    await askAsGuests();
    await edit(`edition ${edits++}`);
    for (const { title, expr } of queries) {
      const series = await prometheus.query(expr.replaceAll('$__rate_interval', '10s')).catch((error: unknown) => {
        throw new Error(`panel "${title}"`, { cause: error });
      });
      if (series.length > 0) empty.delete(expr);
    }
    expect([...empty]).toEqual([]);
    return true;
  }, 60_000);
  const rules = await prometheus.rules();
  expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);
});

describe('what they count is true', () => {
  test('of guests', async () => {
    await eventually(async () => {
      const requests = await valuesOf('gstored_requests_total', 'status');
      expect(Object.keys(requests).sort()).toEqual(['200', '403', '404', '503']);
      expect(await valuesOf('gstored_unavailable_total', 'reason')).toEqual({ AccessDisabled: requests['503'] });
      expect(await valuesOf('gstored_refused_vms', 'reason')).toEqual({ ChannelConflict: 2 });
      return true;
    });
  });

  test('of objects, fetches and revisions', async () => {
    await eventually(async () => {
      const objects = await prometheus.query('gueststore_objects{kind="ContentItem"}');
      const count = (ready: string) =>
        objects.filter(({ metric }) => metric.ready === ready).reduce((sum, { value }) => sum + Number(value[1]), 0);
      const items = await installation.kubectl(['get', 'contentitems', '--all-namespaces', '--output=name']);
      expect([count('True'), count('False')]).toEqual([items.trim().split('\n').length - 1, 1]);
      expect(await valuesOf('gueststore_fetched_bytes_total', 'job')).toEqual({ 'gueststore-operator': 100_000 });
      expect((await valuesOf('gueststore_fetch_failures_total', 'code')).SourceNotFound).toBeGreaterThan(0);
      const [published, served] = await Promise.all(
        ['gueststore_datastore_seq', 'gstored_revision'].map((metric) => valuesOf(metric, 'datastore')),
      );
      expect(served).toEqual(published);
      expect(await valuesOf('leader_election_master_status', 'name')).toEqual({ 'gueststore-operator': 1 });
      return true;
    });
  });

  test('docs/metrics.md lists every metric and no other, and promtool finds nothing to say of them', async () => {
    const page = readFileSync(join(root, 'docs/metrics.md'), 'utf8');
    const listed = Array.from(page.matchAll(/^\| `([a-z0-9_]+)(?:\{[^`]*\})?` \|/gm), ([, name]) => name);
    const exposed = new Set<string>();
    for (const program of [operator, daemon]) {
      const { body } = await get(addressOf(program), '/metrics');
      for (const [, name = ''] of body.matchAll(/^# TYPE (\S+) /gm)) exposed.add(name);
      expect(await promtool(['check', 'metrics'], body)).toEqual({ code: 0, output: '' });
      // No VM, no path: whatever guests and tenants make, the series stay few.
      expect(body).not.toMatch(/web-7|motd|fleet/);
    }
    expect([...listed].sort()).toEqual([...exposed].sort());
  });
});

test('every line of a round names it, and no two rounds are named alike', () => {
  const published = operator.lines('revision published');
  expect(published.length).toBeGreaterThan(3);
  const fetched = operator.lines('source fetched');
  expect(fetched).toMatchObject([{ level: 'info', logger: 'fetcher', controller: 'fetcher', item: 'fleet/download' }]);
  for (const line of published) {
    expect(line).toMatchObject({ level: 'info', logger: 'publisher', controller: 'publisher' });
    expect(line.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  }
  const ids = [...published, ...fetched].map(({ reconcileID }) => reconcileID);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  expect(new Set(ids).size).toBe(ids.length);
});

describe('a datastore that hangs', () => {
  test('is told by the health of operator and daemon, while guests are served on', async () => {
    await freezer.freeze();
    await edit('of the thaw');
    const says = (program: Program, line: RegExp) =>
      eventually(async () => {
        const { status, body } = await get(addressOf(program), '/healthz');
        expect({ status, body }).toEqual({ status: 503, body: expect.stringMatching(line) });
        return true;
      }, 30_000);
    await says(operator, /^\[-\]publisher failed: what changed waits, and nothing of it was done for \d+ s$/m);
    await says(daemon, /^\[-\]heartbeat failed: an acknowledgement waits, .* for \d+ s$/m);
    expect((await ask(installation.socket(host, 'fleet', 'web-7'), bare('/config/motd.txt'))).status).toBe(200);
    // What the shipped liveness probe asks: starting the daemon again would only end what it still serves.
    const probe = '/healthz?exclude=datastores&exclude=heartbeat';
    expect(await get(addressOf(daemon), probe)).toEqual({ status: 200, body: 'ok\n' });
    const pending = await eventually(async () => {
      const [series] = await prometheus.query('gueststore_pending_seconds');
      return Number(series?.value[1]) > 3 ? series : undefined;
    });
    expect(pending?.metric.job).toBe('gueststore-operator');
  });

  test('and heals when it is back', async () => {
    await freezer.thaw();
    for (const program of [operator, daemon]) {
      await eventually(
        async () => ((await get(addressOf(program), '/healthz')).status === 200 ? true : undefined),
        30_000,
      );
    }
    await eventually(async () => {
      const { body } = await ask(installation.socket(host, 'fleet', 'web-7'), bare('/config/motd.txt'));
      return body.toString() === 'of the thaw' ? true : undefined;
    });
    expect(await operator.stop()).toBe(0);
    expect(await daemon.stop()).toBe(0);
  });
});

function addressOf(program: Program): string {
  const [line] = [...program.lines('metrics served'), ...program.lines('daemon ready')];
  return String(line?.metrics);
}

async function get(address: unknown, path: string): Promise<{ readonly status: number; readonly body: string }> {
  const response = await fetch(`http://${address}${path}`);
  return { status: response.status, body: await response.text() };
}

/** Something granted, denied, absent, and switched off. */
async function askAsGuests(): Promise<void> {
  const socket = (name: string) => installation.socket(host, 'fleet', name);
  await ask(socket('web-7'), bare('/config/motd.txt'));
  await ask(socket('web-7'), bare('/vmware/vmtools-10/agent.bin'));
  await ask(socket('db-1'), bare('/nothing'));
  await ask(socket('off'), bare('/config/motd.txt'));
}

async function edit(text: string): Promise<void> {
  const patch = JSON.stringify({ spec: { source: { inline: { text } } } });
  await installation.kubectl(['--namespace=fleet', 'patch', 'contentitem/motd', '--type=merge', `--patch=${patch}`]);
}

/** The values of a metric by one of its labels. */
async function valuesOf(metric: string, label: string): Promise<Readonly<Record<string, number>>> {
  const series = await prometheus.query(`sum by (${label}) (${metric})`);
  return Object.fromEntries(series.map(({ metric, value }) => [metric[label] ?? '', Number(value[1])]));
}
