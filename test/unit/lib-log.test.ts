import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { createLog } from '../../src/lib/log.ts';

test('a scope names every line of what runs in it, and of nothing else', async () => {
  const lines: Record<string, unknown>[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _, done) {
      lines.push(JSON.parse(chunk.toString()));
      done();
    },
  });
  const log = createLog('info', stream);
  const room = log.child({ logger: 'room' });
  const first = Promise.withResolvers<void>();

  const running = log.scope({ controller: 'publisher', reconcileID: 'a' }, async () => {
    await first.promise;
    room.info({ item: 'fleet/motd' }, 'of the pass');
    room.scope({ controller: 'fetcher', reconcileID: 'b' }, () => log.info('of what it began'));
  });
  log.info('meanwhile');
  first.resolve();
  await running;
  room.info('after');

  const told = lines.map(({ msg, logger, controller, reconcileID, item }) => ({
    msg,
    logger,
    controller,
    reconcileID,
    item,
  }));
  expect(told).toEqual([
    { msg: 'meanwhile' },
    { msg: 'of the pass', logger: 'room', controller: 'publisher', reconcileID: 'a', item: 'fleet/motd' },
    { msg: 'of what it began', controller: 'fetcher', reconcileID: 'b' },
    { msg: 'after', logger: 'room' },
  ]);
});
