import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { argv } from 'node:process';
import type { Entry, RepositoryRow, StoredEntry } from '../src/core/catalog.ts';
import { type ContentPath, parseContentPath } from '../src/core/content-path.ts';
import type { RuleSet, VmRow } from '../src/core/settings.ts';
import { ruleSetDigest } from '../src/store/canonical.ts';
import type { StoreChange, StoreWriter } from '../src/store/types.ts';
import { createStoreWriter } from '../src/store/writer.ts';
import { type BenchRow, median, rowAtMost } from './row.ts';
import { createScratch } from './scratch.ts';

const files = 10_000;
const fileSize = 2_048;
const repository = 'bench/main';
const since = '2026-01-01T00:00:00.000Z';
const never = new AbortController().signal;
const cause = { kind: 'observed', summary: 'benchmark' } as const;

/**
 * The datastore beside `rsync -a` (and `sync -f`, because what we publish is on disk): a full synchronisation, one that
 * finds nothing to do, and one change among many. `short`: fewer rounds.
 */
export async function storeRows(short = false): Promise<readonly BenchRow[]> {
  using scratch = createScratch();
  const source = join(scratch.folder, 'source');
  fillSource(source);
  const full = await fullSync(scratch.folder, source, short ? 2 : 5);
  const rows = [
    row('G18', 'full sync of 10,000 x 2 KiB, plainTree None', 1.4, full.none, full.rsync),
    row('G18', 'the same with Publish', 2.2, full.publish, full.rsync),
    row('G19', 'no-op sync of 10,000', 0.8, full.noop, full.rsyncNoop),
    ...(await oneChange(scratch.folder, short ? 20 : 60)),
  ];
  return rows.map((one) => ({ ...one, what: `${one.what}, on ${scratch.fileSystem}` }));
}

function row(id: string, what: string, budget: number, ours: readonly number[], peer: readonly number[]): BenchRow {
  const ratio = median(ours.map((value, round) => value / (peer[round] ?? Number.NaN)));
  const measured = `${median(ours).toFixed(0)} ms, rsync ${median(peer).toFixed(0)} ms`;
  return rowAtMost(id, what, budget, ratio, measured);
}

function fillSource(source: string): void {
  mkdirSync(source);
  for (let i = 0; i < files; i++) writeFileSync(join(source, `file-${i}.bin`), randomBytes(fileSize));
  execFileSync('sync', ['-f', source]);
}

interface FullSync {
  readonly rsync: number[];
  readonly none: number[];
  readonly publish: number[];
  readonly rsyncNoop: number[];
  readonly noop: number[];
}

async function fullSync(folder: string, source: string, rounds: number): Promise<FullSync> {
  const times: FullSync = { rsync: [], none: [], publish: [], rsyncNoop: [], noop: [] };
  for (let round = 0; round < rounds; round++) {
    const target = join(folder, `rsync-${round}`);
    const rsync = () => execFileSync('rsync', ['-a', `${source}/`, `${target}/`]);
    times.rsync.push(
      await timed(() => {
        rsync();
        execFileSync('sync', ['-f', folder]);
      }),
    );
    times.rsyncNoop.push(await timed(rsync));

    const none = createSync(source, await openStore(folder, `none-${round}`), 'None');
    times.none.push(await timed(none));
    times.noop.push(await timed(none));
    const publish = createSync(source, await openStore(folder, `publish-${round}`), 'Publish');
    times.publish.push(await timed(publish));
  }
  return times;
}

async function timed(step: () => unknown): Promise<number> {
  const begin = performance.now();
  await step();
  return performance.now() - begin;
}

async function openStore(folder: string, name: string): Promise<StoreWriter> {
  return await createStoreWriter({
    folder: join(folder, name),
    installation: 'bench',
    claim: 'lazy',
    now: () => new Date(),
    create: true,
  });
}

interface KnownFile {
  readonly size: number;
  readonly mtimeMs: number;
  readonly entry: StoredEntry;
  readonly contentPath: ContentPath;
}

/**
 * Brings the source into the store, as often as it is called. As the operator does, it trusts size and time of a source
 * file that it knows, and the last revision for what the store holds; rsync looks at both sides.
 */
function createSync(source: string, writer: StoreWriter, plainTree: RepositoryRow['plainTree']): () => Promise<void> {
  const known = new Map<string, KnownFile>();
  return async () => {
    const entries = new Map<ContentPath, Entry>();
    for (const name of readdirSync(source)) {
      const path = `${source}/${name}`;
      const { size, mtimeMs } = lstatSync(path);
      let file = known.get(name);
      if (file?.size !== size || file.mtimeMs !== mtimeMs) {
        const blob = await writer.putBlob([readFileSync(path)], { maxSize: 1024 * 1024 }, never);
        const entry: StoredEntry = { state: 'stored', claim: `bench/${name}`, ...blob, since };
        file = { size, mtimeMs, entry, contentPath: parseContentPath(`/files/${name}`) };
        known.set(name, file);
      }
      entries.set(file.contentPath, file.entry);
    }
    const change: StoreChange = {
      repositories: new Map([[repository, { root: 'GuestStore', plainTree, authoritative: true }]]),
      entries: new Map([[repository, entries]]),
      vms: new Map(),
      ruleSets: new Map(),
    };
    const foreign = await writer.findForeign(change);
    if (foreign.size > 0) throw new Error('the benchmark met foreign files');
    await writer.publish(change, cause, never);
    if (writer.blocked.size > 0 || writer.treeTrouble !== undefined) throw new Error('the plain tree is not whole');
  };
}

/** A change of one item, and of one VM, in stores of 100 and 10,000 of both. */
async function oneChange(folder: string, rounds: number): Promise<readonly BenchRow[]> {
  const small = await openFleet(folder, 100);
  const large = await openFleet(folder, files);
  const costs = { small: [[], []], large: [[], []] } as { small: Cost[][]; large: Cost[][] };
  for (let round = 0; round < rounds; round++) {
    for (const [index, kind] of (['item', 'vm'] as const).entries()) {
      costs.small[index]?.push(await costOf(small, 100, kind, round));
      costs.large[index]?.push(await costOf(large, files, kind, round));
    }
  }
  return ['item', 'VM'].flatMap((what, index) => {
    const of = (size: 'small' | 'large', field: keyof Cost) =>
      median((costs[size][index] ?? []).map((cost) => cost[field]));
    const among = `change of 1 ${what} among 10,000 to among 100`;
    return [
      rowAtMost(
        'G21',
        `${among}: bytes written`,
        2,
        of('large', 'bytes') / of('small', 'bytes'),
        `${of('large', 'bytes')} to ${of('small', 'bytes')} bytes`,
      ),
      rowAtMost(
        'G21',
        `${among}: time`,
        2,
        of('large', 'milliseconds') / of('small', 'milliseconds'),
        `${of('large', 'milliseconds').toFixed(2)} to ${of('small', 'milliseconds').toFixed(2)} ms`,
      ),
    ];
  });
}

interface Cost {
  readonly bytes: number;
  readonly milliseconds: number;
}

async function costOf(writer: StoreWriter, size: number, kind: 'item' | 'vm', round: number): Promise<Cost> {
  const which = (round * 37) % size;
  const before = bytesWritten();
  const milliseconds = await timed(async () => {
    const change = kind === 'item' ? await itemChange(writer, [which]) : vmChange([which], `vm-${round}.vsock`);
    await writer.findForeign(change);
    await writer.publish(change, cause, never);
  });
  return { bytes: bytesWritten() - before, milliseconds };
}

/** Bytes that this process has handed to write(2). */
function bytesWritten(): number {
  return Number(/wchar: ([0-9]+)/.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);
}

async function openFleet(folder: string, size: number): Promise<StoreWriter> {
  const writer = await openStore(folder, `fleet-${size}`);
  const all = Array.from({ length: size }, (_, i) => i);
  const items = await itemChange(writer, all);
  const row: RepositoryRow = { root: 'GuestStore', plainTree: 'Publish', authoritative: true };
  const vms = vmChange(all, 'vm.vsock');
  await writer.publish({ ...vms, entries: items.entries, repositories: new Map([[repository, row]]) }, cause, never);
  return writer;
}

async function itemChange(writer: StoreWriter, which: readonly number[]): Promise<StoreChange> {
  const entries = new Map<ContentPath, Entry>();
  for (const i of which) {
    const blob = await writer.putBlob([randomBytes(fileSize)], { maxSize: fileSize }, never);
    entries.set(parseContentPath(`/files/file-${i}.bin`), {
      state: 'stored',
      claim: `bench/item-${i}`,
      ...blob,
      since,
    });
  }
  return { repositories: new Map(), entries: new Map([[repository, entries]]), vms: new Map(), ruleSets: new Map() };
}

const rules: RuleSet = { grant: [], deny: [], ceiling: null };

function vmChange(which: readonly number[], path: string): StoreChange {
  const row: VmRow = {
    host: 'host-a',
    channel: { kind: 'hybridUDS', path, port: 1024 },
    repository,
    ruleSet: ruleSetDigest(rules),
    enabled: true,
    refused: null,
  };
  return {
    repositories: new Map(),
    entries: new Map(),
    vms: new Map(which.map((i) => [`bench/vm-${i}`, row])),
    ruleSets: new Map([[ruleSetDigest(rules), rules]]),
  };
}

if (argv[1] === import.meta.filename) console.table(await storeRows());
