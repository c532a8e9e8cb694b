import { type ErrorCode, GuestStoreError } from '../lib/errors.ts';
import { addressRefused, egressRefused, type Refusal } from './http-address.ts';

interface Meaning {
  readonly code: ErrorCode;
  readonly why: string;
}

const refusals: Readonly<Record<Refusal, Meaning>> = {
  [addressRefused]: {
    code: 'SourceRefused',
    why: 'the host lies at an address that sources may not reach (loopback, link-local or a cloud metadata service); use a server of the network',
  },
  [egressRefused]: {
    code: 'EgressNotPermitted',
    why: 'the GuestStoreDatastore lets no source of this namespace connect there; use a server that its egress names, or ask its administrator to extend it',
  },
};

const unavailable = (why: string): Meaning => ({ code: 'SourceUnavailable', why });

/** By the `code` of what was thrown, since its own text may repeat what a server sent. */
const meanings: ReadonlyMap<string, Meaning> = new Map<string, Meaning>([
  ...Object.entries(refusals),
  ['UND_ERR_BODY_TIMEOUT', { code: 'SourceStalled', why: 'the server stopped sending; it will be tried again' }],
  ['UND_ERR_HEADERS_TIMEOUT', { code: 'SourceStalled', why: 'the server does not answer; it will be tried again' }],
  ['UND_ERR_CONNECT_TIMEOUT', unavailable('no connection within the time allowed; check host, port and firewall')],
  ['UND_ERR_HEADERS_OVERFLOW', { code: 'SourceRefused', why: "the head of the server's answer is too large" }],
  ['UND_ERR_PRX_CONN', unavailable('the proxy closed the connection; check HTTP_PROXY and HTTPS_PROXY')],
  ['UND_ERR_PRX_TLS', unavailable("the proxy's certificate is not valid for it; check HTTP_PROXY and HTTPS_PROXY")],
  // What the proxy agent throws when the proxy says anything but 200; our own aborts are told apart before.
  ['UND_ERR_ABORTED', unavailable('the proxy refused to connect to the host; check HTTPS_PROXY and NO_PROXY')],
  ['UND_ERR_INVALID_ARG', unavailable('the proxy asks for credentials (407); put them into HTTP_PROXY')],
  ['ENOTFOUND', unavailable('the host name cannot be resolved (ENOTFOUND); correct it or mend the name service')],
  ['EAI_AGAIN', unavailable('the name service does not answer (EAI_AGAIN)')],
  ['ECONNREFUSED', unavailable('nothing listens there (ECONNREFUSED); check host and port')],
  ['CERT_HAS_EXPIRED', unavailable("the server's certificate has expired; renew it")],
  ['CERT_NOT_YET_VALID', unavailable("the server's certificate is not valid yet; check both clocks")],
  ['CERT_REVOKED', unavailable("the server's certificate is revoked; renew it")],
  ['ERR_TLS_CERT_ALTNAME_INVALID', unavailable("the server's certificate is for another name; correct the host")],
  [
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    unavailable("the server's certificate is self-signed; name it in SSL_CERT_FILE or NODE_EXTRA_CA_CERTS to trust it"),
  ],
  ...[
    'SELF_SIGNED_CERT_IN_CHAIN',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'UNABLE_TO_GET_ISSUER_CERT',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  ].map((code): [string, Meaning] => [
    code,
    unavailable(
      `the server's certificate comes from an authority that is not trusted here (${code}); name that authority's certificate in SSL_CERT_FILE or NODE_EXTRA_CA_CERTS`,
    ),
  ]),
]);

/** A place that may not be asked, as our error. */
export function refusalError(refusal: Refusal, where: string): GuestStoreError {
  const { code, why } = refusals[refusal];
  return new GuestStoreError(code, `${where}: ${why}`);
}

/**
 * What was thrown while asking or reading, as our error. An abort of `signal` is Aborted; a connection that broke is
 * SourceUnavailable, which a resumed request may heal.
 */
export function failureOf(thrown: unknown, where: string, signal: AbortSignal): GuestStoreError {
  if (signal.aborted) return new GuestStoreError('Aborted', `${where}: the transfer was called off`, { cause: thrown });
  if (thrown instanceof GuestStoreError) return thrown;
  const code = codeOf(thrown);
  const { code: ours, why } = meanings.get(code ?? '') ?? unavailable(describe(code));
  return new GuestStoreError(ours, `${where}: ${why}`, { cause: thrown });
}

function describe(code: string | undefined): string {
  if (code === undefined) return 'the transfer failed; it will be tried again';
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO')
    return `no TLS connection could be agreed on (${code}); check that the port speaks https`;
  if (code.startsWith('HPE_')) return `the server's answer breaks the HTTP protocol (${code}); it will be tried again`;
  return `the connection failed or broke off (${code}); it will be tried again`;
}

/** The first code found in an error, in what caused it, or in the attempts that it sums up. */
function codeOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error)) return undefined;
  if ('code' in thrown && typeof thrown.code === 'string') return thrown.code;
  if (thrown instanceof AggregateError) return codeOf(thrown.errors[0]);
  return codeOf(thrown.cause);
}
