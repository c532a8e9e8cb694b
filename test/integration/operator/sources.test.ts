import { describe, expect, onTestFinished, test } from 'vitest';
import { conditionOf } from '../../../src/core/conditions.ts';
import { eventually } from '../../support/eventually.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { testFolder } from '../../support/folder.ts';
import { type HttpServer, patternOf, startHttpServer } from '../../support/http-server.ts';
import { item, repository, vm, yaml } from '../../support/manifests.ts';
import { digestOf } from '../../support/memory-store.ts';

const ground = (spec: object = {}) => ({ 'ground.yaml': yaml(repository('main', { ...spec }), vm('web')) });
const body = Buffer.from('over the network');

function remote(name: string, url: string, spec: object = {}) {
  return item(name, `/${name}`, '', { source: { http: { url } }, digest: digestOf(body), interval: '1s', ...spec });
}

async function start(spec: object = {}): Promise<{ fleet: Fleet; server: HttpServer }> {
  const server = await startHttpServer();
  onTestFinished(() => server[Symbol.asyncDispose]());
  const fleet = await startFleet({ files: { ...ground(spec), 'n.yaml': yaml(item('n', '/n', 'neighbour')) } });
  await fleet.gets('web', '/n', 'neighbour');
  return { fleet, server };
}

describe('a web server', () => {
  test('that gives the bytes: published, asked again only whether they changed', async () => {
    const { fleet, server } = await start();
    server.serve('/x', { body, etag: '"1"' });
    await fleet.write({ 'x.yaml': yaml(remote('x', server.url('/x'))) });
    await fleet.gets('web', '/x', body.toString());
    const { conditions, status } = await fleet.shows('ContentItem', 'fleet/x', { ready: true, reason: 'Served' });
    expect(conditionOf(conditions, 'SourceReady')?.status).toBe('True');
    expect(status).toMatchObject({ digest: digestOf(body), servedDigest: digestOf(body), size: body.length });
    await eventually(() => (server.requests.some(({ status }) => status === 304) ? true : undefined));
    const seq = await fleet.seq();
    await fleet.restart();
    await fleet.gets('web', '/x', body.toString());
    await eventually(() => (server.requests.filter(({ status }) => status === 304).length > 2 ? true : undefined));
    expect(server.requests.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(await fleet.seq()).toBe(seq);
  });

  test.each([
    ['is away', (_: HttpServer) => 'http://127.0.0.1:1/x', 'SourceUnavailable', 'Reconciling'],
    ['says not found', (server: HttpServer) => server.url('/none'), 'SourceNotFound', 'Reconciling'],
    ['gives other bytes', serving({ body: 'other' }), 'DigestMismatch', 'Stalled'],
    ['gives more than is allowed', serving({ body: 2_000 }), 'TooLarge', 'Stalled'],
    ['gives more than is allowed without saying so', serving({ body: 2_000, chunked: true }), 'TooLarge', 'Stalled'],
    ['announces more than is allowed', serving({ body, announce: 5_000 }), 'TooLarge', 'Stalled'],
    [
      'stops half-way',
      serving({ body, cutAfter: Array.from({ length: 50 }, () => 4) }),
      'SourceUnavailable',
      'Reconciling',
    ],
    ['redirects in a circle', serving({ redirect: '/x' }), 'SourceRefused', 'Stalled'],
    ['answers 500 with a text of its own', serving({ status: 500 }), 'SourceUnavailable', 'Reconciling'],
  ] satisfies [string, (server: HttpServer) => string, string, string][])(
    'that %s: 503 for guests, the reason in status, neighbours well, and it heals',
    async (_, urlOf, reason, kind) => {
      const { fleet, server } = await start({ maxItemSize: 1_000 });
      await fleet.write({ 'x.yaml': yaml(remote('x', urlOf(server))) });
      const { conditions } = await fleet.shows('ContentItem', 'fleet/x', { ready: false, reason });
      expect(conditionOf(conditions, kind)?.reason).toBe(reason);
      expect(conditionOf(conditions, 'SourceReady')?.status).toBe('False');
      expect(JSON.stringify(conditions)).not.toContain('secret of the server');
      expect((await fleet.get('web', '/x')).status).toBe(503);
      expect((await fleet.get('web', '/n')).body.toString()).toBe('neighbour');
      server.serve('/good', { body });
      await fleet.write({ 'x.yaml': yaml(remote('x', server.url('/good'))) });
      await fleet.gets('web', '/x', body.toString());
      await fleet.shows('ContentItem', 'fleet/x', { ready: true, reason: 'Served' });
    },
  );

  test('that heals by itself is asked again', async () => {
    const { fleet, server } = await start();
    server.serve('/x', { status: 503 });
    await fleet.write({ 'x.yaml': yaml(remote('x', server.url('/x'))) });
    await fleet.shows('ContentItem', 'fleet/x', { ready: false, reason: 'SourceUnavailable' });
    server.serve('/x', { body });
    await fleet.gets('web', '/x', body.toString());
    await fleet.shows('ContentItem', 'fleet/x', { ready: true, reason: 'Served' });
  });

  test('that stalls holds nobody up, shows how far it is, and a change of the item ends it', async () => {
    const { fleet, server } = await start();
    server.serve('/x', { body: 100_000, stallAfter: 50_000 });
    await fleet.write({ 'x.yaml': yaml(remote('x', server.url('/x'))) });
    await fleet.shows('ContentItem', 'fleet/x', { ready: false, reason: 'Fetching' });
    expect((await fleet.get('web', '/x')).status).toBe(503);
    await eventually(async () => {
      const found = await fleet.find('ContentItem', 'fleet/x');
      expect(found?.status.progress).toEqual({ bytes: 50_000, total: 100_000 });
      return true;
    });
    await fleet.write({ 'n.yaml': yaml(item('n', '/n', 'still here')) });
    await fleet.gets('web', '/n', 'still here');
    server.serve('/good', { body });
    await fleet.write({ 'x.yaml': yaml(remote('x', server.url('/good'))) });
    await fleet.gets('web', '/x', body.toString());
  });

  test('that goes away after it gave: what is served stays served and Ready, with the trouble beside it', async () => {
    const { fleet, server } = await start();
    server.serve('/x', { body, etag: '"1"' });
    await fleet.write({ 'x.yaml': yaml(remote('x', server.url('/x'))) });
    await fleet.gets('web', '/x', body.toString());
    server.serve('/x', { status: 500 });
    await eventually(async () => {
      const found = await fleet.find('ContentItem', 'fleet/x');
      expect(conditionOf(found?.conditions, 'SourceReady')).toMatchObject({
        status: 'False',
        reason: 'SourceUnavailable',
      });
      return true;
    });
    await fleet.shows('ContentItem', 'fleet/x', { ready: true, reason: 'Served' });
    expect((await fleet.get('web', '/x')).body.toString()).toBe(body.toString());
    await fleet.restart();
    expect((await fleet.get('web', '/x')).body.toString()).toBe(body.toString());
    server.serve('/x', { body, etag: '"1"' });
    await eventually(async () => {
      const found = await fleet.find('ContentItem', 'fleet/x');
      expect(conditionOf(found?.conditions, 'SourceReady')?.status).toBe('True');
      return true;
    });
  });

  test('whose new bytes are awaited: the old ones are served until those are here', async () => {
    const { fleet, server } = await start();
    server.serve('/1', { body });
    await fleet.write({ 'x.yaml': yaml(remote('x', server.url('/1'))) });
    await fleet.gets('web', '/x', body.toString());
    const next = patternOf(0, 300_000);
    server.serve('/2', { body: next, stallAfter: 100_000 });
    await fleet.write({ 'x.yaml': yaml(remote('x', server.url('/2'), { digest: digestOf(next) })) });
    await fleet.shows('ContentItem', 'fleet/x', { ready: false, reason: 'Fetching', generation: 2 });
    expect((await fleet.get('web', '/x')).body.toString()).toBe(body.toString());
    server.serve('/3', { body: next });
    await fleet.write({ 'x.yaml': yaml(remote('x', server.url('/3'), { digest: digestOf(next) })) });
    await eventually(async () => expect((await fleet.get('web', '/x')).body.equals(next)).toBe(true) ?? true);
  });

  test('and a quota that several share is held while they are fetched, and each is fetched once', async () => {
    const { fleet, server } = await start({ quota: 250_000 });
    const parts = [0, 1, 2].map((n) => patternOf(n, n + 100_000));
    for (const [n, part] of parts.entries()) server.serve(`/p${n}`, { body: part });
    await fleet.write({
      'x.yaml': yaml(
        ...parts.map((part, n) => remote(`p${n}`, server.url(`/p${n}`), { digest: digestOf(part), interval: '1h' })),
      ),
    });
    const states = await eventually(async () => {
      const found = await Promise.all([0, 1, 2].map((n) => fleet.find('ContentItem', `fleet/p${n}`)));
      const reasons = found.map((one) => conditionOf(one?.conditions, 'Ready')?.reason);
      expect(reasons.toSorted()).toEqual(['QuotaExceeded', 'Served', 'Served']);
      return reasons;
    });
    const answers = await Promise.all([0, 1, 2].map(async (n) => (await fleet.get('web', `/p${n}`)).status));
    expect(answers).toEqual(states.map((reason) => (reason === 'Served' ? 200 : 503)));
    for (const n of [0, 1, 2].filter((n) => states[n] === 'Served')) {
      expect(server.requests.filter(({ path }) => path === `/p${n}`)).toHaveLength(1);
    }
    // Room is made.
    const gone = states.indexOf('Served');
    const kept = [0, 1, 2].filter((n) => n !== gone);
    await fleet.write({
      'x.yaml': yaml(
        ...kept.map((n) => remote(`p${n}`, server.url(`/p${n}`), { digest: digestOf(parts[n] ?? ''), interval: '1h' })),
      ),
    });
    for (const n of kept) {
      await eventually(async () => expect((await fleet.get('web', `/p${n}`)).status).toBe(200) ?? true, 30_000);
    }
  });

  test('moves with its repository to another datastore', async () => {
    const second = await testFolder();
    const server = await startHttpServer();
    await using _ = server;
    server.serve('/x', { body });
    const fleet = await startFleet({
      files: { ...ground(), 'x.yaml': yaml(remote('x', server.url('/x'))) },
      datastores: new Map([['second', second]]),
    });
    await fleet.gets('web', '/x', body.toString());
    await fleet.write(ground({ datastore: 'second' }));
    await eventually(async () => {
      await fleet.shows('ContentItem', 'fleet/x', { ready: true, reason: 'Served' });
      expect(server.requests.length).toBeGreaterThan(1);
      return true;
    });
    await fleet.gets('web', '/x', body.toString());
  });
});

function serving(behaviour: { readonly body?: string | Buffer | number; readonly [option: string]: unknown }) {
  return (server: HttpServer): string => {
    const { body: given, ...rest } = behaviour;
    server.serve('/x', {
      ...rest,
      ...(given === undefined ? {} : { body: typeof given === 'string' ? Buffer.from(given) : given }),
    });
    return server.url('/x');
  };
}
