import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { createFetchHttp } from '../../../src/sources/http.ts';
import { readHttpEnvironment } from '../../../src/sources/http-environment.ts';
import { type Authority, createAuthority, type KeyPair, selfSigned } from '../../support/certificates.ts';
import { collect } from '../../support/collect.ts';
import { startHttpProxy } from '../../support/http-proxy.ts';
import { type HttpServer, startHttpServer } from '../../support/http-server.ts';

const never = new AbortController().signal;
const text = Buffer.from('hello\n');
const good = 'DNS:localhost,IP:127.0.0.1,DNS:files.test';

let folder = '';
let authority: Authority;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gueststore-tls-'));
  authority = await createAuthority(folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function serveText(pair: KeyPair | undefined): Promise<HttpServer> {
  const server = await startHttpServer(pair);
  server.serve('/a', { body: text, etag: '"one"' });
  onTestFinished(() => server[Symbol.asyncDispose]());
  return server;
}

/** A fetch as the environment's variables make it. */
async function fetchWith(environment: Record<string, string>) {
  const fetchHttp = createFetchHttp({
    ...(await readHttpEnvironment(environment)),
    allowLoopback: true,
    patience: { resumes: 0, delay: 1 },
  });
  onTestFinished(() => fetchHttp[Symbol.asyncDispose]());
  return async (url: string) => {
    const answer = await fetchHttp({ url, known: undefined, maxSize: 1000 }, never);
    return answer.outcome === 'fetched' ? await collect(answer.bytes) : undefined;
  };
}

test('an authority named by SSL_CERT_FILE is trusted', async () => {
  const server = await serveText(await authority.issue({ names: good }));
  const get = await fetchWith({ SSL_CERT_FILE: authority.certFile });
  expect(await get(server.url('/a'))).toEqual(text);
});

test.each([
  {
    name: 'of an unknown authority',
    pair: () => authority.issue({ names: good }),
    trust: false,
    why: /authority that is not trusted/,
  },
  {
    name: 'that has expired',
    pair: () => authority.issue({ names: good, expired: true }),
    trust: true,
    why: /has expired/,
  },
  {
    name: 'for another name',
    pair: () => authority.issue({ names: 'DNS:elsewhere.test' }),
    trust: true,
    why: /another name/,
  },
  { name: 'that is self-signed', pair: () => selfSigned(folder, good), trust: true, why: /self-signed/ },
])('a certificate $name is told as such', async ({ pair, trust, why }) => {
  const server = await serveText(await pair());
  const get = await fetchWith(trust ? { SSL_CERT_FILE: authority.certFile } : {});
  const failure = get(server.url('/a'));
  await expect(failure).rejects.toMatchObject({ code: 'SourceUnavailable', message: expect.stringMatching(why) });
  await expect(failure).rejects.not.toThrow(/elsewhere/);
  expect(server.requests).toEqual([]);
});

test('https to a port that speaks http is told as such', async () => {
  const server = await serveText(undefined);
  const get = await fetchWith({});
  await expect(get(server.url('/a').replace('http:', 'https:'))).rejects.toMatchObject({
    code: 'SourceUnavailable',
    message: expect.stringMatching(/no TLS connection/),
  });
});

test('no variable switches the check of certificates off', async () => {
  const server = await serveText(await authority.issue({ names: good }));
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
  onTestFinished(() => void delete process.env.NODE_TLS_REJECT_UNAUTHORIZED);
  const get = await fetchWith({});
  await expect(get(server.url('/a'))).rejects.toMatchObject({ code: 'SourceUnavailable' });
});

test('a redirect from https to http is refused', async () => {
  const plain = await serveText(undefined);
  const server = await serveText(await authority.issue({ names: good }));
  server.serve('/down', { redirect: plain.url('/a') });
  const get = await fetchWith({ SSL_CERT_FILE: authority.certFile });
  await expect(get(server.url('/down'))).rejects.toMatchObject({
    code: 'SourceRefused',
    message: expect.stringMatching(/from https to http/),
  });
  expect(plain.requests).toEqual([]);
});

test('HTTP_PROXY and HTTPS_PROXY are gone through, each for its own scheme, NO_PROXY around them', async () => {
  const proxy = await startHttpProxy('user:pass');
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  const plain = await serveText(undefined);
  const secure = await serveText(await authority.issue({ names: good }));
  const url = proxy.url.replace('http://', 'http://user:pass@');
  const trust = { SSL_CERT_FILE: authority.certFile };

  const both = await fetchWith({ ...trust, HTTP_PROXY: url, HTTPS_PROXY: url, NO_PROXY: 'localhost' });
  expect(await both(plain.url('/a', 'files.test'))).toEqual(text);
  expect(await both(secure.url('/a', 'files.test'))).toEqual(text);
  const seen = [`GET ${plain.url('/a', 'files.test')}`, `CONNECT files.test:${secure.port}`];
  expect(proxy.requests).toEqual(seen);
  expect(plain.requests[0]?.headers['proxy-authorization']).toBeUndefined();

  expect(await both(plain.url('/a'))).toEqual(text);
  expect(await both(secure.url('/a'))).toEqual(text);
  const httpOnly = await fetchWith({ ...trust, http_proxy: url });
  expect(await httpOnly(secure.url('/a'))).toEqual(text);
  expect(proxy.requests).toEqual(seen);
});

test('a proxy that refuses is named as what failed, without its password', async () => {
  const proxy = await startHttpProxy('user:pass');
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  const wrong = proxy.url.replace('http://', 'http://user:wrong@');
  const get = await fetchWith({ HTTP_PROXY: wrong, HTTPS_PROXY: wrong });
  for (const url of ['http://files.test:1/a', 'https://files.test:1/a']) {
    const failure = get(url);
    await expect(failure).rejects.toMatchObject({
      code: 'SourceUnavailable',
      message: expect.stringMatching(/the proxy/),
    });
    await expect(failure).rejects.not.toThrow(/wrong/);
  }
});

test('a metadata service is not asked for through a proxy either', async () => {
  const proxy = await startHttpProxy();
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  const get = await fetchWith({ HTTP_PROXY: proxy.url });
  await expect(get('http://169.254.169.254/latest')).rejects.toMatchObject({ code: 'SourceRefused' });
  expect(proxy.requests).toEqual([]);
});

test('variables that would not do what they say are refused without repeating them', async () => {
  const file = join(folder, 'not-pem');
  await writeFile(file, 'certificate, honestly');
  const refused = (message: RegExp) => ({ code: 'InvalidArgument', message: expect.stringMatching(message) });
  await expect(readHttpEnvironment({ SSL_CERT_FILE: file })).rejects.toMatchObject(refused(/no certificates in PEM/));
  await expect(readHttpEnvironment({ SSL_CERT_FILE: join(folder, 'gone') })).rejects.toMatchObject(refused(/ENOENT/));
  const proxies = readHttpEnvironment({ HTTPS_PROXY: 'socks5://user:secret@proxy.test' });
  await expect(proxies).rejects.toMatchObject(refused(/^HTTPS_PROXY is not/));
  await expect(proxies).rejects.not.toThrow(/secret/);
  expect(await readHttpEnvironment({ http_proxy: 'proxy.test:3128', no_proxy: 'a,b' })).toEqual({
    proxies: { http: 'http://proxy.test:3128/', https: '', except: 'a,b' },
    extraCa: [],
  });
});
