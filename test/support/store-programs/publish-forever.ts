import { argv, stdout } from 'node:process';
import { parseContentPath } from '../../../src/core/content-path.ts';
import type { RuleSet } from '../../../src/core/settings.ts';
import { ruleSetDigest } from '../../../src/store/canonical.ts';
import type { StoreChange, StoreWriter } from '../../../src/store/types.ts';
import { createStoreWriter } from '../../../src/store/writer.ts';

/**
 * Takes the datastore that it is given over and publishes until it is killed. Every revision says one number, in several
 * files, in its rules and in its plain tree, so that a mixture of two shows. Prints each seq once it is promised.
 */
const [, , folder = ''] = argv;
const writer = await createStoreWriter({ folder, installation: 'test', claim: 'empty', now: () => new Date() });
for (let n = writer.snapshot.seq; ; n++) {
  const commit = await writer.publish(await revision(writer, n), { kind: 'observed', summary: String(n) }, never());
  stdout.write(`${commit?.seq}\n`);
}

async function revision(store: StoreWriter, n: number): Promise<StoreChange> {
  const sizes = { '/small': 1, '/dir/medium': 5_000, '/large': n % 5 === 0 ? 300_000 : 10 };
  const entries = new Map();
  for (const [path, length] of Object.entries(sizes)) {
    const bytes = Buffer.from(`${n}\n`.repeat(length));
    const blob = await store.putBlob([bytes], { maxSize: bytes.length }, never());
    entries.set(parseContentPath(path), {
      state: 'stored',
      claim: 'fleet/item',
      ...blob,
      since: new Date().toISOString(),
    });
  }
  const coming = await store.putBlob([Buffer.from(`${n}\n`)], { maxSize: 100 }, never());
  const since = new Date().toISOString();
  // A path that comes and goes, and one that is a file or a folder by turns.
  entries.set(
    parseContentPath('/turn'),
    n % 2 ? { state: 'stored', claim: 'fleet/turn', ...coming, since } : undefined,
  );
  entries.set(
    parseContentPath('/turn/below'),
    n % 2 ? undefined : { state: 'stored', claim: 'fleet/turn', ...coming, since },
  );
  const policy = { kind: 'VMAccessPolicy', namespace: 'fleet', name: 'policy' };
  const rules: RuleSet = { grant: [], deny: [{ pattern: `/${n}`, match: 'Whole', policy, index: 0 }], ceiling: null };
  const row = {
    host: 'host-a',
    channel: { kind: 'hybridUDS', path: 'web.vsock', port: 1024 },
    repository: 'fleet/main',
    ruleSet: ruleSetDigest(rules),
    enabled: true,
    refused: null,
  } as const;
  return {
    repositories: new Map([['fleet/main', { root: 'GuestStore', plainTree: 'Publish', authoritative: true }]]),
    entries: new Map([['fleet/main', entries]]),
    vms: new Map([['fleet/web', row]]),
    ruleSets: new Map([[ruleSetDigest(rules), rules]]),
  };
}

function never(): AbortSignal {
  return new AbortController().signal;
}
