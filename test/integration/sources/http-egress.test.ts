import { expect, onTestFinished, test } from 'vitest';
import type { Egress } from '../../../src/core/bounds.ts';
import { createFetchHttp } from '../../../src/sources/http.ts';
import { collect } from '../../support/collect.ts';
import { startHttpProxy } from '../../support/http-proxy.ts';
import { startHttpServer } from '../../support/http-server.ts';

const never = new AbortController().signal;
const any: Egress = { hosts: undefined, cidrs: undefined, loopback: true };
const refused = { code: 'EgressNotPermitted' };

async function start(proxy = '') {
  const server = await startHttpServer();
  server.serve('/a', { body: Buffer.from('a') });
  const fetchHttp = createFetchHttp({ allowLoopback: true, proxies: { http: proxy, https: proxy, except: '' } });
  onTestFinished(async () => {
    await fetchHttp[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });
  const get = async (url: string, egress?: Egress) => {
    const answer = await fetchHttp({ url, known: undefined, maxSize: 1024, egress }, never);
    if (answer.outcome === 'unchanged') throw new Error('unchanged');
    return (await collect(answer.bytes)).toString();
  };
  return { server, get };
}

test('a connection that one namespace may use is of no use to another that may not', async () => {
  const { server, get } = await start();
  const narrow = { ...any, cidrs: ['127.0.0.2/32'] };
  expect(await get(server.url('/a'))).toBe('a');
  // Kept open, to the very host that is asked for next.
  await expect(get(server.url('/a'), narrow)).rejects.toMatchObject(refused);
  await expect(get(server.url('/a'), { ...any, loopback: false })).rejects.toMatchObject(refused);
  expect(await get(server.url('/a'), { ...any, cidrs: ['127.0.0.0/8', '::1/128'] })).toBe('a');
  expect(server.requests).toHaveLength(2);
});

test('behind a proxy a name cannot be judged by its address, so where ranges are given it is not asked for', async () => {
  const proxy = await startHttpProxy();
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  const { server, get } = await start(proxy.url);
  const ranges = { ...any, cidrs: ['127.0.0.0/8'] };
  const named = server.url('/a', 'files.test');
  await expect(get(named, ranges)).rejects.toMatchObject(refused);
  expect(proxy.requests).toEqual([]);
  expect(await get(server.url('/a', '127.0.0.1'), ranges)).toBe('a');
  expect(await get(named, { ...any, hosts: ['files.test'] })).toBe('a');
  await expect(get(named, { ...any, hosts: ['other.test'] })).rejects.toMatchObject(refused);
  expect(proxy.requests).toHaveLength(2);
});

test('a redirect to what is not listed ends there', async () => {
  const { server, get } = await start();
  server.serve('/hop', { redirect: server.url('/a', '127.0.0.1') });
  await expect(get(server.url('/hop'), { ...any, hosts: ['localhost'] })).rejects.toMatchObject(refused);
  expect(server.requests.map(({ path }) => path)).toEqual(['/hop']);
});
