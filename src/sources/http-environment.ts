import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { errnoOf, GuestStoreError } from '../lib/errors.ts';
import type { Proxies } from './http-connect.ts';

export interface HttpEnvironment {
  readonly proxies: Proxies;
  /** Certificates in PEM that are trusted besides Node's own and those of NODE_EXTRA_CA_CERTS (which Node reads itself). */
  readonly extraCa: readonly string[];
}

/**
 * HTTP_PROXY, HTTPS_PROXY, NO_PROXY (the small spelling counts first, as with curl) and SSL_CERT_FILE. Throws
 * InvalidArgument for a value that would not do what it says; no value is repeated, a proxy's URL may hold a password.
 */
export async function readHttpEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<HttpEnvironment> {
  const read = (name: string) => environment[name.toLowerCase()] ?? environment[name] ?? '';
  const file = environment.SSL_CERT_FILE ?? '';
  return {
    proxies: { http: proxyOf(read, 'HTTP_PROXY'), https: proxyOf(read, 'HTTPS_PROXY'), except: read('NO_PROXY') },
    extraCa: file === '' ? [] : [await readCertificates(file)],
  };
}

function proxyOf(read: (name: string) => string, name: string): string {
  const text = read(name);
  if (text === '') return '';
  // As curl does: `proxy:3128` means http.
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  if (url === null || !['http:', 'https:'].includes(url.protocol))
    throw new GuestStoreError(
      'InvalidArgument',
      `${name} is not the http or https URL of a proxy; correct or unset it`,
    );
  return url.href;
}

async function readCertificates(file: string): Promise<string> {
  try {
    const pem = await readFile(file, 'utf8');
    createSecureContext({ ca: pem });
    if (pem.includes('-----BEGIN')) return pem;
    throw new Error('no certificate in it');
  } catch (cause) {
    const why = errnoOf(cause) ?? 'no certificates in PEM';
    throw new GuestStoreError('InvalidArgument', `SSL_CERT_FILE ${file}: ${why}; correct or unset it`, { cause });
  }
}
