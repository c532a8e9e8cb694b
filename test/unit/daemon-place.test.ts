import { expect, test } from 'vitest';
import type { Channel } from '../../src/core/settings.ts';
import { placeOf, type Roots } from '../../src/daemon/place.ts';
import { GuestStoreError } from '../../src/lib/errors.ts';

const roots: Roots = { runDir: '/run/gueststore', socketRoots: new Map([['fleet', ['/srv/jail', '/srv/other']]]) };

function place(path: string, vm = 'fleet/web-7', port = 1024) {
  return placeOf(vm, { kind: 'hybridUDS', path, port }, roots);
}

function refusal(work: () => unknown): string | undefined {
  try {
    work();
  } catch (error) {
    if (error instanceof GuestStoreError) return error.code;
    throw error;
  }
  return undefined;
}

test.each([
  ['web-7.vsock', '/run/gueststore/fleet/web-7.vsock_1024', '/run/gueststore'],
  ['a/b/v.sock', '/run/gueststore/fleet/a/b/v.sock_1024', '/run/gueststore'],
  ['/srv/jail/7/v.sock', '/srv/jail/7/v.sock_1024', '/srv/jail'],
  ['/srv/other/v', '/srv/other/v_1024', '/srv/other'],
])('%s is %s', (path, address, root) => expect(place(path)).toMatchObject({ address, root }));

test.each([
  '../other/v.sock',
  'a/../../other/v.sock',
  'a//b',
  './a',
  'a/',
  '',
  'a\0b',
  '/srv/jail/../../etc/v',
  '/srv/jailhouse/v',
  '/srv/jail',
  '/etc/v',
])('%j is refused', (path) => expect(refusal(() => place(path))).toBe('ChannelRefused'));

test('a socket root is its own namespace’s alone', () => {
  expect(refusal(() => place('/srv/jail/v', 'other/web-7'))).toBe('ChannelRefused');
});

test('a socket path may have 107 bytes', () => {
  const fixed = '/run/gueststore/fleet/'.length + '_1024'.length;
  expect(Buffer.byteLength(place('a'.repeat(107 - fixed)).address)).toBe(107);
  expect(refusal(() => place('a'.repeat(108 - fixed)))).toBe('ChannelRefused');
  expect(refusal(() => place('é'.repeat(54 - 13)))).toBe('ChannelRefused');
});

test.each(['web-7', 'fleet/../x', '../web-7', 'fleet/..', 'fleet/', '/web-7', 'Fleet/web-7', 'a/b/c'])(
  'a VM named %j has no place',
  (vm) => expect(refusal(() => place('v', vm))).toBe('ChannelRefused'),
);

test.each<Channel['kind']>(['vsock', 'serial', 'tls'])('channel %s is not supported yet', (kind) => {
  expect(refusal(() => placeOf('fleet/web-7', { kind } as Channel, roots))).toBe('NotSupportedYet');
});
