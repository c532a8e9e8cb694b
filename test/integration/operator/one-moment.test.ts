import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { silent } from '../../../src/lib/log.ts';
import { createMetrics } from '../../../src/lib/metrics.ts';
import { type Contents, createContents } from '../../../src/operator/publish/contents.ts';
import { createFetcher } from '../../../src/operator/publish/fetcher.ts';
import { createPublisher } from '../../../src/operator/publish/publisher.ts';
import { createRounds } from '../../../src/operator/rounds.ts';
import { openFolderWorld } from '../../../src/operator/world/folder-world.ts';
import { createMemoryDocuments } from '../../../src/operator/world/shelf.ts';
import { createFetchHttp } from '../../../src/sources/http.ts';
import { openImport } from '../../../src/sources/import-file.ts';
import type { StoreWriter } from '../../../src/store/types.ts';
import { testFolder } from '../../support/folder.ts';
import { item, policy, repository, vm, yaml } from '../../support/manifests.ts';
import { digestOf } from '../../support/memory-store.ts';
import { openWriter, pathOf } from '../../support/store.ts';

test('what changes while a revision is worked out belongs whole to the next', async () => {
  const folder = await testFolder();
  const writer = await openWriter(await testFolder());
  const write = async (text: string, ...deny: string[]) => {
    const objects = [repository(), vm('web'), item('x', '/x', text), policy('p', { deny })];
    await writeFile(join(folder, '.new'), yaml(...objects));
    await rename(join(folder, '.new'), join(folder, 'all.yaml'));
    await world.scan();
  };
  const world = await openFolderWorld(folder, createMemoryDocuments(), silent);
  await write('secret', '/x');

  const stop = new AbortController();
  await using fetchHttp = createFetchHttp({});
  const fetcher = createFetcher({ fetchHttp, concurrency: 1, log: silent, onSettled: () => {}, signal: stop.signal });
  const real = createContents({ fetcher, openImport, importFolders: new Map() });
  let reached = Promise.withResolvers<void>();
  let gate = Promise.resolve();
  const contents: Contents = {
    forget: real.forget,
    resolve: async (wanted, signal) => {
      reached.resolve();
      await gate;
      return await real.resolve(wanted, signal);
    },
  };
  const revisions: string[] = [];
  const watched: StoreWriter = Object.assign(Object.create(writer) as StoreWriter, {
    publish: async (...change: Parameters<StoreWriter['publish']>) => {
      const commit = await writer.publish(...change);
      if (commit !== undefined) revisions.push(`${textOf()}, denied: ${denies()}`);
      return commit;
    },
  });
  const writers = new Map([['default', watched]]);
  const publisher = createPublisher({
    world,
    writers,
    contents,
    now: () => new Date(),
    log: silent,
    rounds: createRounds({ name: 'publisher', metrics: createMetrics(), log: silent, depth: () => 0 }),
    onOutcome: () => {},
  });
  world.onChange(publisher.touch);
  const running = publisher.run(stop.signal);
  await publisher.settled();

  const held = Promise.withResolvers<void>();
  gate = held.promise;
  reached = Promise.withResolvers();
  await write('secret, second edition', '/x', '/y');
  await reached.promise;
  // In the middle of a pass the secret is withdrawn and its place opened.
  await write('open', '/none');
  held.resolve();
  await publisher.settled();
  expect(revisions).toEqual(['secret, denied: /x', 'secret, second edition, denied: /x,/y', 'open, denied: /none']);
  stop.abort();
  await running;

  function textOf(): string | undefined {
    const entry = writer.snapshot.find('fleet/main', pathOf('/x'));
    return ['secret', 'secret, second edition', 'open'].find(
      (text) => entry?.state === 'stored' && entry.digest === digestOf(text),
    );
  }

  function denies(): string | undefined {
    const digest = writer.snapshot.vm('fleet/web')?.ruleSet;
    return digest == null
      ? undefined
      : writer.snapshot
          .ruleSet(digest)
          ?.deny.map(({ pattern }) => pattern)
          .join();
  }
});
