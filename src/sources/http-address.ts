import { lookup as systemLookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import type { Egress } from '../core/bounds.ts';

/** `code` of the error that the guarded look-up gives in place of an address. */
export const addressRefused = 'ERR_SOURCE_ADDRESS_REFUSED';
export const egressRefused = 'ERR_SOURCE_EGRESS_REFUSED';

/** Why a place may not be asked: nobody may, or the bounds of this source's namespace leave it out. */
export type Refusal = typeof addressRefused | typeof egressRefused;

/** Turns a name into all its addresses, as node:dns's `lookup` does with `all`. */
export type ResolveAll = (
  name: string,
  done: (error: Error | null, addresses: readonly { readonly address: string; readonly family: number }[]) => void,
) => void;

export const resolveBySystem: ResolveAll = (name, done) => systemLookup(name, { all: true }, done);

/** Judges where a source may connect to: somebody who writes a URL must not reach what only this machine can. */
export interface AddressGuard {
  /** Why a URL's host, as it stands (`hostname`), may not be asked. Names are judged again once resolved. */
  refusalOf(hostname: string): Refusal | undefined;
  /** Whether a name must be resolved before it can be judged, which a proxy would do unseen. */
  readonly resolves: boolean;
  /** For `net.connect`: the very addresses that were judged are connected to, so a name cannot change in between. */
  readonly lookup: LookupFunction;
}

/** `allowLoopback` is the installation's, which `egress` can only narrow. */
export function createAddressGuard(allowLoopback: boolean, resolve: ResolveAll, egress?: Egress): AddressGuard {
  const local = loopbackAddresses();
  const refused = metadataAddresses();
  const ranges = egress?.cidrs && rangesOf(egress.cidrs);
  const loopback = allowLoopback && egress?.loopback !== false;
  const refusalOfLoopback = allowLoopback ? egressRefused : addressRefused;

  function judge(address: string): Refusal | undefined {
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (refused.check(address, family)) return addressRefused;
    if (!loopback && local.check(address, family)) return refusalOfLoopback;
    return ranges === undefined || ranges.check(address, family) ? undefined : egressRefused;
  }

  return {
    resolves: ranges !== undefined,
    refusalOf(hostname) {
      const bare = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
      if (isIP(bare) !== 0) {
        // An address is no name that could be listed.
        return judge(bare) ?? (egress?.hosts !== undefined && ranges === undefined ? egressRefused : undefined);
      }
      // A proxy resolves names itself, so the ones that mean a machine's inside everywhere are refused by name too.
      if (bare === 'metadata.google.internal') return addressRefused;
      if (!loopback && (bare === 'localhost' || bare.endsWith('.localhost'))) return refusalOfLoopback;
      return egress?.hosts === undefined || egress.hosts.some((listed) => fits(listed, bare))
        ? undefined
        : egressRefused;
    },
    lookup(name, options, done) {
      resolve(name, (error, found) => {
        const addresses = found ?? [];
        const first = addresses[0];
        if (error !== null) return done(error, '');
        if (first === undefined) return done(Object.assign(new Error('no address'), { code: 'ENOTFOUND' }), '');
        for (const { address } of addresses) {
          const code = judge(address);
          if (code !== undefined) return done(Object.assign(new Error('address refused'), { code }), '');
        }
        return options.all ? done(null, [...addresses]) : done(null, first.address, first.family);
      });
    },
  };
}

function fits(listed: string, name: string): boolean {
  return listed.startsWith('*.') ? name.endsWith(listed.slice(1)) : name === listed;
}

/** A range that is none lets nothing pass. */
function rangesOf(cidrs: readonly string[]): BlockList {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [address = '', prefix = ''] = cidr.split('/');
    const family = isIP(address);
    const bits = Number(prefix);
    if (family === 0 || !/^\d+$/.test(prefix) || bits > (family === 6 ? 128 : 32)) continue;
    list.addSubnet(address, bits, family === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}

/** BlockList also knows an IPv4 address in its IPv6 spelling (`::ffff:…`); the ones behind NAT64 and 6to4 are named here. */
function metadataAddresses(): BlockList {
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
  return list;
}

function loopbackAddresses(): BlockList {
  const list = new BlockList();
  // Linux takes the unspecified address for loopback.
  list.addSubnet('127.0.0.0', 8, 'ipv4');
  list.addSubnet('0.0.0.0', 8, 'ipv4');
  list.addSubnet('64:ff9b::7f00:0', 104, 'ipv6');
  list.addSubnet('2002:7f00::', 24, 'ipv6');
  list.addAddress('::1', 'ipv6');
  list.addAddress('::', 'ipv6');
  return list;
}
