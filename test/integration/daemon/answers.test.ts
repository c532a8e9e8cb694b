import { expect, test } from 'vitest';
import { ask, bare, noRules, noRulesDigest, startDaemon, vmRow } from '../../support/daemon.ts';

test('a bare GET is answered byte for byte as VMware’s own client expects', async () => {
  await using under = await startDaemon({ now: () => Date.UTC(2026, 10, 23, 7, 6, 52) });
  under.store.publish({
    repositories: { 'fleet/main': { entries: { '/config/motd.txt': await under.store.put('hello') } } },
    vms: { 'fleet/web-7': vmRow('web-7') },
    ruleSets: { [noRulesDigest]: noRules },
  });
  await under.daemon.settle();

  const { bytes, error } = await ask(under.socket('web-7'), bare('/config/motd.txt'));

  expect(bytes.toString('latin1')).toBe(
    [
      'HTTP/1.1 200 OK',
      'Date: Mon, 23 Nov 2026 07:06:52 GMT',
      'Server: VMGuestStore',
      'Accept-Ranges: bytes',
      'Content-Length: 5',
      'Content-Type: application/octet-stream',
      'Connection: close',
      '',
      'hello',
    ].join('\r\n'),
  );
  expect(bytes.length).toBe(178 + 5);
  expect(error).toBeUndefined();
});
