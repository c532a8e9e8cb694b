import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Digest } from '../../src/core/digest.ts';
import type { VmRow } from '../../src/core/settings.ts';
import { createDaemon, type Daemon, type DaemonConfig } from '../../src/daemon/daemon.ts';
import { silent } from '../../src/lib/log.ts';
import { createMemoryStore, digestOf, type MemoryStore, rulesOf } from './memory-store.ts';

export const host = 'host-a';

export const noRules = rulesOf([], []);
export const noRulesDigest: Digest = digestOf('no rules');

/** A VM of this host that may be served, at the socket that its name gives. */
export function vmRow(name: string, changes: Partial<VmRow> = {}): VmRow {
  return {
    host,
    channel: { kind: 'hybridUDS', path: `${name}.vsock`, port: 1024 },
    repository: 'fleet/main',
    ruleSet: noRulesDigest,
    enabled: true,
    refused: null,
    ...changes,
  };
}

export interface DaemonUnderTest extends AsyncDisposable {
  readonly folder: string;
  readonly runDir: string;
  readonly logDir: string;
  readonly store: MemoryStore;
  readonly daemon: Daemon;
  /** The socket of a VM of namespace `fleet`. */
  socket(vm: string): string;
}

/** A daemon of its own folder with one datastore, named `default`, that holds nothing yet. */
export async function startDaemon(changes: Partial<DaemonConfig> = {}): Promise<DaemonUnderTest> {
  const folder = await mkdtemp(join(tmpdir(), 'gstored-'));
  const store = createMemoryStore(join(folder, 'blobs'));
  const runDir = join(folder, 'run');
  const logDir = join(folder, 'log');
  const daemon = await createDaemon({
    stores: new Map([['default', store]]),
    host,
    runDir,
    socketRoots: new Map(),
    logDir,
    log: silent,
    ...changes,
  });
  return {
    folder,
    runDir,
    logDir,
    store,
    daemon,
    socket: (vm) => join(runDir, 'fleet', `${vm}.vsock_1024`),
    async [Symbol.asyncDispose]() {
      await daemon.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** What came over one connection, up to its end. `error` is the errno name when it did not end in order. */
export interface Received {
  readonly bytes: Buffer;
  readonly status: number;
  readonly head: string;
  readonly body: Buffer;
  readonly error: string | undefined;
}

/** Sends `request` as it stands and reads until the connection ends. */
export function ask(socket: string, request: string | Uint8Array): Promise<Received> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    let error: string | undefined;
    const connection = connect(socket);
    connection.on('data', (bytes: Buffer) => pieces.push(bytes));
    connection.on('error', (thrown: NodeJS.ErrnoException) => {
      error = thrown.code ?? thrown.message;
    });
    connection.on('close', () => resolve(received(Buffer.concat(pieces), error)));
    connection.write(request);
  });
}

/** The request of VMware's own client. */
export function bare(path: string): string {
  return `GET ${path} HTTP/1.1\r\n\r\n`;
}

function received(bytes: Buffer, error: string | undefined): Received {
  const end = bytes.indexOf('\r\n\r\n');
  const head = bytes.toString('latin1', 0, end === -1 ? bytes.length : end + 4);
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1] ?? Number.NaN);
  return { bytes, status, head, body: end === -1 ? Buffer.alloc(0) : bytes.subarray(end + 4), error };
}
