import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Writable } from 'node:stream';
import { expect, onTestFinished } from 'vitest';
import { runUp, type UpOptions } from '../../src/cli/up.ts';
import { type Condition, conditionOf } from '../../src/core/conditions.ts';
import { keyOf } from '../../src/core/names.ts';
import type { DeclaredKind } from '../../src/operator/types.ts';
import { type KeptStatus, readKeptStatus } from '../../src/operator/world/kept-status.ts';
import { listDocuments, readDocument } from '../../src/store/documents.ts';
import { layoutOf } from '../../src/store/layout.ts';
import { checkedSink } from './checked-statuses.ts';
import { checkStatus } from './conditions.ts';
import { ask, bare, type Received } from './daemon.ts';
import { eventually } from './eventually.ts';
import { testFolder } from './folder.ts';
import { fleetHost } from './manifests.ts';

/** What a test expects of one object's `Ready`. */
export interface Expected {
  readonly ready: boolean;
  readonly reason: string;
  readonly message?: RegExp;
  /** Of which generation; the newest when left out. */
  readonly generation?: number;
}

/** `gueststore up` in this process: real folders, datastore, sockets. */
export interface Fleet {
  readonly folder: string;
  readonly manifests: string;
  readonly datastore: string;
  readonly imports: string;
  /** Writes manifests as an editor does: whole, by rename. */
  write(files: Readonly<Record<string, string>>): Promise<void>;
  remove(...files: string[]): Promise<void>;
  /** What a guest gets for a path. */
  get(vm: string, path: string): Promise<Received>;
  /** The status text of the answer once it is `status`, or the last one's. */
  gets(vm: string, path: string, wanted: number | string): Promise<void>;
  /** All conditions of an object once `Ready` is as expected; every status seen on the way is checked. */
  shows(kind: DeclaredKind, key: string, expected: Expected): Promise<Found>;
  find(kind: DeclaredKind, key: string): Promise<Found | undefined>;
  kept(): Promise<KeptStatus>;
  seq(): Promise<number>;
  /** Everything that `up` printed. */
  readonly printed: string;
  /** Log lines of `up`. */
  log(): Promise<readonly Record<string, unknown>[]>;
  start(): Promise<void>;
  /** Orderly; resolves to the exit code. */
  stop(): Promise<number>;
  restart(): Promise<void>;
  /** How `up` ends by itself: its exit code, or what it throws. */
  ended(): Promise<number>;
  /** `up --once` while nothing runs: its exit code. */
  once(): Promise<number>;
}

export interface Found {
  readonly status: Readonly<Record<string, unknown>>;
  readonly conditions: readonly Condition[];
}

export interface FleetOptions {
  readonly files?: Readonly<Record<string, string>>;
  /** Datastores besides `default`, by name: folders. */
  readonly datastores?: ReadonlyMap<string, string>;
  /** In place of a folder of the test's own. */
  readonly datastore?: string;
  readonly manifests?: string;
}

/** A fleet that does not run yet. */
export async function createFleet(options: FleetOptions = {}): Promise<Fleet> {
  const folder = await testFolder();
  const manifests = options.manifests ?? join(folder, 'manifests');
  const datastore = options.datastore ?? join(folder, 'datastore');
  const imports = join(folder, 'imports');
  const runDir = join(folder, 'run');
  if (options.manifests === undefined) await mkdir(manifests);
  await mkdir(imports);
  let printed = '';
  const faults: string[] = [];
  let running: { readonly stop: AbortController; readonly code: Promise<number> } | undefined;

  const up: UpOptions = {
    manifests,
    datastores: new Map([['default', datastore], ...(options.datastores ?? [])]),
    runDir,
    host: fleetHost,
    importFolders: new Map([['', imports]]),
    socketRoots: new Map(),
    logDir: join(folder, 'log'),
    logLevel: 'info',
    metrics: undefined,
    stuckAfter: 300_000,
    once: false,
    version: '0.0.0',
    environment: {},
  };
  const stdout = new Writable({
    write: (chunk: Buffer, _, done) => {
      printed += chunk.toString();
      done();
    },
  });
  const ioOf = (signal: AbortSignal) => ({ stdout, stderr: stdout, signal });
  const layout = layoutOf(datastore);

  async function start(): Promise<void> {
    const stop = new AbortController();
    const before = printed.length;
    const code = runUp(up, ioOf(stop.signal), (world) => checkedSink(world, faults));
    running = { stop, code };
    const failed = code.then(
      (ended) => `ended with ${ended}: ${printed}`,
      (error: unknown) => error,
    );
    const shown = eventually(() => (printed.length > before ? 'shown' : undefined), 30_000);
    const first = await Promise.race([failed, shown]);
    if (first !== 'shown') {
      running = undefined;
      shown.catch(() => {});
      throw first;
    }
  }

  async function stop(): Promise<number> {
    if (running === undefined) return 0;
    const { stop, code } = running;
    running = undefined;
    stop.abort();
    return await code;
  }

  async function write(files: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, text] of Object.entries(files)) {
      const target = join(manifests, name);
      await mkdir(dirname(target), { recursive: true });
      const aside = join(dirname(target), `.${name.replaceAll('/', '_')}.new`);
      await writeFile(aside, text);
      await rename(aside, target);
    }
  }

  async function kept(): Promise<KeptStatus> {
    const documents = {
      documents: () => listDocuments(layout),
      readDocument: (name: string) => readDocument(layout, name),
      writeDocument: () => Promise.reject(new Error('a test only reads')),
      removeDocument: () => Promise.reject(new Error('a test only reads')),
    };
    return await readKeptStatus(documents, (document, error) => {
      throw new Error(`${document}: ${String(error)}`);
    });
  }

  async function find(kind: DeclaredKind, key: string): Promise<Found | undefined> {
    const { objects } = await kept();
    const object = objects.find((one) => one.kind === kind && keyOf(one.metadata) === key);
    if (object === undefined) return undefined;
    const status: Readonly<Record<string, unknown>> = { ...object.status };
    if (object.status.conditions === undefined) return { status, conditions: [] };
    return { status, conditions: checkStatus(kind, key, object) };
  }

  async function shows(kind: DeclaredKind, key: string, expected: Expected): Promise<Found> {
    return await eventually(async () => {
      const found = await find(kind, key);
      const ready = conditionOf(found?.conditions, 'Ready');
      expect(ready, `${kind} ${key}`).toMatchObject({
        status: expected.ready ? 'True' : 'False',
        reason: expected.reason,
      });
      if (expected.message !== undefined) expect(ready?.message).toMatch(expected.message);
      if (expected.generation !== undefined) expect(found?.status.observedGeneration).toBe(expected.generation);
      return found;
    });
  }

  const get = (vm: string, path: string) => ask(join(runDir, 'fleet', `${vm}.vsock_1024`), bare(path));
  onTestFinished(async () => {
    await stop();
    expect([...new Set(faults)], 'faults of statuses that were written').toEqual([]);
  });
  if (options.files !== undefined) await write(options.files);
  return {
    folder,
    manifests,
    datastore,
    imports,
    write,
    remove: async (...files) => {
      for (const file of files) await rm(join(manifests, file), { recursive: true });
    },
    get,
    gets: async (vm, path, wanted) => {
      await eventually(async () => {
        const { status, body } = await get(vm, path);
        expect(typeof wanted === 'number' ? status : body.toString(), `${vm} ${path} (${status})`).toBe(wanted);
        return true;
      });
    },
    shows,
    find,
    kept,
    seq: async () => Math.max(0, ...(await readdir(layout.commits)).map(Number).filter(Number.isInteger)),
    get printed() {
      return printed;
    },
    log: async () => {
      const text = await readFile(join(folder, 'log', 'up.log'), 'utf8').catch(() => '');
      return text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    },
    start,
    stop,
    restart: async () => {
      await stop();
      await start();
    },
    ended: async () => {
      const code = running?.code ?? Promise.resolve(0);
      return await code.finally(() => {
        running = undefined;
      });
    },
    once: () => runUp({ ...up, once: true }, ioOf(new AbortController().signal), (world) => checkedSink(world, faults)),
  };
}

/** A fleet that runs, with everything settled that its files ask for. */
export async function startFleet(options: FleetOptions = {}): Promise<Fleet> {
  const fleet = await createFleet(options);
  await fleet.start();
  return fleet;
}

export { item, namespace, policy, repository, resource, vm, yaml } from './manifests.ts';
