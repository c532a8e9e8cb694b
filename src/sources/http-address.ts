import { lookup as systemLookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/** `code` of the error that the guarded look-up gives in place of an address. */
export const addressRefused = 'ERR_SOURCE_ADDRESS_REFUSED';

/** Turns a name into all its addresses, as node:dns's `lookup` does with `all`. */
export type ResolveAll = (
  name: string,
  done: (error: Error | null, addresses: readonly { readonly address: string; readonly family: number }[]) => void,
) => void;

export const resolveBySystem: ResolveAll = (name, done) => systemLookup(name, { all: true }, done);

/** Judges where a source may connect to: somebody who writes a URL must not reach what only this machine can. */
export interface AddressGuard {
  /** Whether a URL's host, as it stands (`hostname`), may be asked at all. Names are judged again once resolved. */
  allowsHost(hostname: string): boolean;
  /** For `net.connect`: the very addresses that were judged are connected to, so a name cannot change in between. */
  readonly lookup: LookupFunction;
}

export function createAddressGuard(allowLoopback: boolean, resolve: ResolveAll): AddressGuard {
  const refused = refusedAddresses(allowLoopback);
  const allows = (address: string) => !refused.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
  return {
    allowsHost(hostname) {
      const bare = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
      if (isIP(bare) !== 0) return allows(bare);
      // A proxy resolves names itself, so the ones that mean a machine's inside everywhere are refused by name too.
      if (bare === 'metadata.google.internal') return false;
      return allowLoopback || !(bare === 'localhost' || bare.endsWith('.localhost'));
    },
    lookup(name, options, done) {
      resolve(name, (error, found) => {
        const addresses = found ?? [];
        const first = addresses[0];
        if (error !== null) return done(error, '');
        if (first === undefined) return done(Object.assign(new Error('no address'), { code: 'ENOTFOUND' }), '');
        if (!addresses.every(({ address }) => allows(address)))
          return done(Object.assign(new Error('address refused'), { code: addressRefused }), '');
        return options.all ? done(null, [...addresses]) : done(null, first.address, first.family);
      });
    },
  };
}

/** BlockList also knows an IPv4 address in its IPv6 spelling (`::ffff:…`); the ones behind NAT64 and 6to4 are named here. */
function refusedAddresses(allowLoopback: boolean): BlockList {
  const list = new BlockList();
  // Link-local, where clouds keep their metadata services, and the places where some keep them besides.
  list.addSubnet('169.254.0.0', 16, 'ipv4');
  list.addSubnet('64:ff9b::a9fe:0', 112, 'ipv6');
  list.addSubnet('2002:a9fe::', 32, 'ipv6');
  list.addSubnet('fe80::', 10, 'ipv6');
  list.addAddress('100.100.100.200', 'ipv4');
  list.addAddress('168.63.129.16', 'ipv4');
  list.addAddress('192.0.0.192', 'ipv4');
  list.addAddress('fd00:ec2::254', 'ipv6');
  list.addAddress('fd20:ce::254', 'ipv6');
  if (allowLoopback) return list;
  // Linux takes the unspecified address for loopback.
  list.addSubnet('127.0.0.0', 8, 'ipv4');
  list.addSubnet('0.0.0.0', 8, 'ipv4');
  list.addSubnet('64:ff9b::7f00:0', 104, 'ipv6');
  list.addSubnet('2002:7f00::', 24, 'ipv6');
  list.addAddress('::1', 'ipv6');
  list.addAddress('::', 'ipv6');
  return list;
}
