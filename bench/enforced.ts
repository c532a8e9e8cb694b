import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '../test/support/eventually.ts';
import { type ApiServer, kubectl, startApiServer } from '../test/support/kubernetes/api-server.ts';
import { askRaw } from '../test/support/raw-client.ts';
import { type BenchRow, median } from './row.ts';

/** Milliseconds, G22. */
const budget = 1_500;
const program = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const manifests = fileURLToPath(new URL('../manifests', import.meta.url));

/**
 * How long after `kubectl apply` of a policy returned its new rules decide at a VM's socket: operator and daemon are
 * processes of the built program, the API server is real, the datastore local.
 */
export async function enforcedRows(rounds: number): Promise<readonly BenchRow[]> {
  execFileSync('npm', ['run', '-s', 'build'], { stdio: 'inherit' });
  const folder = mkdtempSync(join(tmpdir(), 'enforced-'));
  const processes: ChildProcess[] = [];
  await using server = await startApiServer();
  try {
    const times = await measure(server, folder, processes, rounds);
    const sorted = times.toSorted((a, b) => a - b);
    const p99 = sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * 0.99) - 1)] ?? Number.NaN;
    const measured = `median ${Math.round(median(times))} ms, p99 ${Math.round(p99)} ms, ${times.length} edits`;
    const what = 'kubectl apply of a policy to enforced';
    return [{ id: 'G22', what, budget: `p99 <= ${budget} ms`, measured, ratio: p99 / budget, pass: p99 <= budget }];
  } finally {
    for (const child of processes) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(
  server: ApiServer,
  folder: string,
  processes: ChildProcess[],
  rounds: number,
): Promise<number[]> {
  const start = (...args: string[]) => processes.push(spawn(process.execPath, [program, ...args], { stdio: 'ignore' }));
  await kubectl(server, ['apply', '-k', manifests]);
  await kubectl(server, ['wait', '--for=condition=Established', 'crd', '--all']);
  const datastore = join(folder, 'datastore');
  mkdirSync(datastore);
  start('operator', '--datastore', datastore, '--kubeconfig', server.kubeconfig);
  start('daemon', '--datastore', datastore, '--host', 'bench', '--run-dir', join(folder, 'run'));
  await kubectl(server, ['create', 'namespace', 'bench']);
  await kubectl(server, ['apply', '-f', '-'], fleet);
  const socket = join(folder, 'run/bench/vm.vsock_1024');
  const status = async () => (await askRaw(socket, 'GET /motd HTTP/1.1\r\n\r\n')).text.slice(9, 12);
  await eventually(async () => ((await status()) === '200' ? true : undefined), 60_000);
  const times: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const denied = round % 2 === 0;
    await kubectl(server, ['apply', '-f', '-'], policy(denied));
    const applied = performance.now();
    while ((await status()) !== (denied ? '403' : '200')) {
      if (performance.now() - applied > 30_000) throw new Error('a policy was not enforced within 30 s');
    }
    times.push(performance.now() - applied);
  }
  return times;
}

const head = 'apiVersion: gueststore.dev/v1alpha1\n';
const fleet = `${head}kind: GuestStoreRepository
metadata: {name: main, namespace: bench}
spec: {datastore: default}
---
${head}kind: ContentItem
metadata: {name: motd, namespace: bench}
spec:
  repositoryRef: {name: main}
  path: /motd
  source: {inline: {text: hello}}
---
${head}kind: GuestVM
metadata: {name: vm, namespace: bench}
spec: {host: bench, channel: {hybridUDS: {}}}
`;

function policy(denied: boolean): string {
  return `${head}kind: VMAccessPolicy
metadata: {name: edit, namespace: bench}
spec: {vmSelector: {}, deny: ['${denied ? '.*' : '/nothing'}']}
`;
}
