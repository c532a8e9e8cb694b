import { describe, expect, test } from 'vitest';
import { type AddressGuard, createAddressGuard } from '../../src/sources/http-address.ts';
import { parseSourceUrl, redirectTarget, shown } from '../../src/sources/http-url.ts';

test.each([
  'file:///etc/passwd',
  'ftp://files.test/a',
  'gopher://files.test/',
  'javascript:alert(1)',
  'https://user@files.test/a',
  'https://user:secret@files.test/a',
  '//files.test/a',
  '/a',
  '',
])('"%s" is refused, and no message shows its password', (text) => {
  expect(() => parseSourceUrl(text)).toThrow(expect.objectContaining({ code: 'SourceRefused' }));
  expect(() => parseSourceUrl(text)).not.toThrow(/secret/);
});

test('messages show scheme, host and path, never the query', () => {
  expect(shown(parseSourceUrl('https://files.test:8443/a/b.bin?signature=secret#part'))).toBe(
    'https://files.test:8443/a/b.bin',
  );
});

test.each([
  { from: 'https://a.test/x', location: '/y', to: 'https://a.test/y' },
  { from: 'http://a.test/x', location: 'https://b.test/', to: 'https://b.test/' },
  { from: 'http://a.test/x', location: '//b.test/z', to: 'http://b.test/z' },
])('$from redirected to $location leads to $to', ({ from, location, to }) => {
  expect(redirectTarget(new URL(from), location, 'x').href).toBe(to);
});

test.each(['http://a.test/y', 'file:///etc/passwd', 'https://user:secret@b.test/', 'https://[oops', undefined])(
  'a redirect from https to %s is refused without repeating it',
  (location) => {
    const follow = () => redirectTarget(new URL('https://a.test/x'), location, 'http source https://a.test/x');
    expect(follow).toThrow(expect.objectContaining({ code: 'SourceRefused' }));
    expect(follow).not.toThrow(/passwd|secret|b\.test|oops/);
  },
);

const guards = {
  strict: createAddressGuard(false, () => undefined),
  local: createAddressGuard(true, () => undefined),
};

test.each([
  // As the URL parser spells what people may write.
  { url: 'http://169.254.169.254/', strict: false, local: false },
  { url: 'http://2852039166/', strict: false, local: false },
  { url: 'http://0xa9.0xfe.0xa9.0xfe/', strict: false, local: false },
  { url: 'http://[::ffff:169.254.169.254]/', strict: false, local: false },
  { url: 'http://[64:ff9b::169.254.169.254]/', strict: false, local: false },
  { url: 'http://[fe80::1]/', strict: false, local: false },
  { url: 'http://[fd00:ec2::254]/', strict: false, local: false },
  { url: 'http://metadata.google.internal/', strict: false, local: false },
  { url: 'http://metadata.google.internal./', strict: false, local: false },
  { url: 'http://127.0.0.1/', strict: false, local: true },
  { url: 'http://127.1/', strict: false, local: true },
  { url: 'http://0/', strict: false, local: true },
  { url: 'http://[::1]/', strict: false, local: true },
  { url: 'http://[::ffff:127.0.0.1]/', strict: false, local: true },
  { url: 'http://[::]/', strict: false, local: true },
  { url: 'http://LOCALHOST/', strict: false, local: true },
  { url: 'http://a.localhost./', strict: false, local: true },
  { url: 'http://10.0.0.1/', strict: true, local: true },
  { url: 'http://192.168.1.1/', strict: true, local: true },
  { url: 'http://[fd00::1]/', strict: true, local: true },
  { url: 'http://files.test/', strict: true, local: true },
])('$url may be asked: $strict, with loopback allowed: $local', ({ url, strict, local }) => {
  const { hostname } = new URL(url);
  const allows = (guard: AddressGuard) => guard.refusalOf(hostname) === undefined;
  expect([allows(guards.strict), allows(guards.local)]).toEqual([strict, local]);
});

test('one forbidden address among those of a name forbids the name', () => {
  const guard = createAddressGuard(false, (_name, done) =>
    done(null, [
      { address: '192.0.2.1', family: 4 },
      { address: '::ffff:127.0.0.1', family: 6 },
    ]),
  );
  let failure: Error | null = null;
  guard.lookup('mixed.test', { all: true }, (error) => {
    failure = error;
  });
  expect(failure).toMatchObject({ code: 'ERR_SOURCE_ADDRESS_REFUSED' });
});

describe('what a namespace is bound to', () => {
  const any = { hosts: undefined, cidrs: undefined, loopback: true };
  const egressCode = 'ERR_SOURCE_EGRESS_REFUSED';
  const addressCode = 'ERR_SOURCE_ADDRESS_REFUSED';

  test.each([
    ['no loopback unless it is said', { ...any, loopback: false }, 'localhost', egressCode],
    ['no loopback address either', { ...any, loopback: false }, '127.0.0.1', egressCode],
    ['loopback where it is said', any, '127.0.0.1', undefined],
    ['metadata never, whatever is said', { ...any, cidrs: ['169.254.0.0/16'] }, '169.254.169.254', addressCode],
    ['a name that is listed', { ...any, hosts: ['files.test'] }, 'files.test', undefined],
    ['its subdomain is another name', { ...any, hosts: ['files.test'] }, 'a.files.test', egressCode],
    ['a wildcard is for labels before it', { ...any, hosts: ['*.files.test'] }, 'b.a.files.test', undefined],
    ['and not for the name itself', { ...any, hosts: ['*.files.test'] }, 'files.test', egressCode],
    ['nor for one that only ends alike', { ...any, hosts: ['*.files.test'] }, 'evilfiles.test', egressCode],
    ['an address is no listed name', { ...any, hosts: ['files.test'] }, '10.0.0.1', egressCode],
    ['an address in a range', { ...any, cidrs: ['10.0.0.0/8'] }, '10.0.0.1', undefined],
    ['the same in its IPv6 spelling', { ...any, cidrs: ['10.0.0.0/8'] }, '[::ffff:10.0.0.1]', undefined],
    ['one outside', { ...any, cidrs: ['10.0.0.0/8'] }, '11.0.0.1', egressCode],
    ['a range that is none lets nothing pass', { ...any, cidrs: ['10.0.0.0/99'] }, '10.0.0.1', egressCode],
    ['no names at all', { ...any, hosts: [] }, 'files.test', egressCode],
  ] as const)('%s', (_, egress, hostname, code) => {
    expect(createAddressGuard(true, () => {}, egress).refusalOf(hostname)).toBe(code);
  });

  test('what a name resolves to must lie in a range, all of it', () => {
    const outcome = (...addresses: string[]) => {
      const found = addresses.map((address) => ({ address, family: 4 }));
      const guard = createAddressGuard(true, (_name, done) => done(null, found), { ...any, cidrs: ['10.0.0.0/8'] });
      let code: unknown;
      guard.lookup('files.test', { all: true }, (error) => {
        code = error?.code;
      });
      return code ?? undefined;
    };
    expect([outcome('10.0.0.1'), outcome('10.0.0.1', '192.0.2.1')]).toEqual([undefined, egressCode]);
  });
});
