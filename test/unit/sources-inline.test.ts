import fc from 'fast-check';
import { expect, test } from 'vitest';
import { configMapBytes, inlineBytes, secretBytes } from '../../src/sources/inline.ts';

const metadata = { namespace: 'fleet', name: 'files' };
const refused = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

test('text becomes UTF-8, base64 its bytes, line breaks in it aside', () => {
  expect(inlineBytes({ text: 'grüß\n' })).toEqual(Buffer.from('grüß\n'));
  expect(inlineBytes({ base64: 'AAEC\n/w==\n' })).toEqual(Buffer.from([0, 1, 2, 255]));
  expect(inlineBytes({ text: '' })).toHaveLength(0);
  expect(inlineBytes({ base64: '' })).toHaveLength(0);
});

test('every sequence of bytes survives base64', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(inlineBytes({ base64: Buffer.from(bytes).toString('base64') })).toEqual(Buffer.from(bytes));
    }),
  );
});

test.each([
  { source: {}, code: 'InvalidManifest', message: /exactly one of text and base64/ },
  { source: { text: 'a', base64: 'YQ==' }, code: 'InvalidManifest', message: /exactly one/ },
  { source: { base64: 'YQ=' }, code: 'InvalidManifest', message: /^spec\.source\.inline\.base64: not base64/ },
  { source: { base64: 'Y Q=' }, code: 'InvalidManifest', message: /not base64/ },
  { source: { base64: '=YQ=' }, code: 'InvalidManifest', message: /not base64/ },
  { source: { base64: 'YQ_-' }, code: 'InvalidManifest', message: /not base64/ },
  { source: { text: '\ud800' }, code: 'InvalidManifest', message: /^spec\.source\.inline\.text: not valid Unicode/ },
  { source: { text: 'a'.repeat(1024 * 1024 + 1) }, code: 'TooLarge', message: /1048577 bytes/ },
])('inline: $code, $message', ({ source, code, message }) => {
  expect(() => inlineBytes(source)).toThrow(refused(code, message));
});

test('a ConfigMap gives data as text and binaryData as bytes', () => {
  const configMap = { metadata, data: { motd: 'héllo' }, binaryData: { logo: 'AAE=' } };
  expect(configMapBytes(configMap, 'motd')).toEqual(Buffer.from('héllo'));
  expect(configMapBytes(configMap, 'logo')).toEqual(Buffer.from([0, 1]));
});

test('a missing key is named with those that there are', () => {
  const configMap = { metadata, data: { b: 'hidden' }, binaryData: { a: 'AAE=' } };
  expect(() => configMapBytes(configMap, 'c')).toThrow(
    refused('SourceNotFound', /^ConfigMap fleet\/files: no key "c"; it has "a", "b"\. Correct/),
  );
  expect(() => configMapBytes({ metadata }, 'toString')).toThrow(refused('SourceNotFound', /it has no keys/));
  const many = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`k${index}`, '']));
  expect(() => configMapBytes({ metadata, data: many }, 'c')).toThrow(
    refused('SourceNotFound', / and 30 more\. Correct/),
  );
});

test('a Secret is decoded, and stringData of a manifest wins', () => {
  expect(secretBytes({ metadata, data: { token: 'AP8=' } }, 'token')).toEqual(Buffer.from([0, 255]));
  expect(secretBytes({ metadata, data: { token: 'AP8=' }, stringData: { token: 'new' } }, 'token')).toEqual(
    Buffer.from('new'),
  );
});

test('no message shows the value of a Secret', () => {
  const broken = { metadata, data: { token: 'hunter2!' } };
  expect(() => secretBytes(broken, 'token')).toThrow(refused('InvalidManifest', /data\["token"\]: not base64/));
  expect(() => secretBytes(broken, 'token')).not.toThrow(/hunter2/);
  expect(() => secretBytes(broken, 'other')).toThrow(refused('SourceNotFound', /it has "token"\. Correct/));
  expect(() => secretBytes(broken, 'other')).not.toThrow(/hunter2/);
});

test('a value that YAML read as a number is refused, not turned into text', () => {
  const configMap: Parameters<typeof configMapBytes>[0] = {
    metadata,
    data: JSON.parse('{"port": 8080, "none": null}'),
  };
  expect(() => configMapBytes(configMap, 'port')).toThrow(refused('InvalidManifest', /must be text; put it in quotes/));
  expect(() => configMapBytes(configMap, 'none')).toThrow(refused('InvalidManifest', /must be text/));
});
