import { execFileSync } from 'node:child_process';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { runDaemon } from '../../../src/cli/daemon.ts';
import { daemonLimits } from '../../../src/daemon/daemon.ts';
import { createLog } from '../../../src/lib/log.ts';
import { ask, bare } from '../../support/daemon.ts';
import { eventually } from '../../support/eventually.ts';
import { testFolder } from '../../support/folder.ts';
import { changeOf, openWriter, plainlessRow, publish, rulesOf, stored, vmChange, vmRow } from '../../support/store.ts';

const openRules = rulesOf();

test('a look at the datastore that hangs is told by /healthz, and guests are served on', async () => {
  const folder = await testFolder();
  const datastore = join(folder, 'datastore');
  const writer = await openWriter(datastore, { create: true });
  await publish(writer, changeOf({ '/motd': await stored(writer, 'hello') }, plainlessRow));
  await publish(writer, vmChange({ 'fleet/web': vmRow(openRules) }, openRules));

  const log: Record<string, unknown>[] = [];
  const stop = new AbortController();
  const ended = runDaemon(
    {
      datastores: new Map([['default', datastore]]),
      host: 'host-a',
      runDir: join(folder, 'run'),
      socketRoots: new Map(),
      metrics: '127.0.0.1:0',
      limits: { stuckAfter: 1_000 },
    },
    createLog('info', { write: (line) => void log.push(JSON.parse(line)) }),
    stop.signal,
  );
  onTestFinished(async () => {
    stop.abort();
    await ended;
  });
  const ready = await eventually(() => log.find(({ msg }) => msg === 'daemon ready'));
  const health = async () => {
    const response = await fetch(`http://${ready.metrics}/healthz`);
    return `${response.status} ${await response.text()}`;
  };
  await eventually(async () => ((await health()) === '200 ok\n' ? true : undefined));
  expect(daemonLimits.stuckAfter).toBe(300_000);

  // Nobody writes to a pipe: whoever opens it to read waits in the kernel, as for a server that is away.
  const identity = join(datastore, '.gueststore/store.json');
  await rename(identity, `${identity}.aside`);
  execFileSync('mkfifo', [identity]);
  await eventually(async () => {
    expect(await health()).toMatch(
      /^503 (?:.|\n)*^\[-\]datastores failed: a look at datastore default has not ended for \d+ s$/m,
    );
    return true;
  });
  expect((await ask(join(folder, 'run/fleet/web.vsock_1024'), bare('/motd'))).body.toString()).toBe('hello');

  const pipe = await open(identity, 'r+');
  await rename(`${identity}.aside`, identity);
  await pipe.write('no identity');
  await pipe.close();
  await eventually(async () => ((await health()) === '200 ok\n' ? true : undefined));
});
