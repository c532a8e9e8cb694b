import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { testFolder } from '../../support/folder.ts';
import { type PodTemplate, podTemplates, render } from '../../support/kustomize.ts';
import { askRaw } from '../../support/raw-client.ts';
import { changeOf, openWriter, plainlessRow, publish, rulesOf, stored, vmChange, vmRow } from '../../support/store.ts';

// The daemon as a process with exactly the user, groups, capabilities and read-only mounts that its manifest gives the
// container: enough to serve, and none of it too much.

const root = fileURLToPath(new URL('../../..', import.meta.url));
/** The operator's, and so the datastore's. */
const operator = 65532;

interface Owner {
  readonly uid?: number;
  readonly gid?: number;
}

/** What came of a daemon once it says that it is ready. */
interface Seen {
  /** Of the manifest's probes: path and status. */
  readonly probes: readonly string[];
  /** Of two contents: one that anybody may read, one that came from a Secret. */
  readonly answers: readonly string[];
  /** `uid:gid mode` of the VM's socket. */
  readonly socket: string | undefined;
  /** The acknowledgement, when the operator's user can read it. */
  readonly acknowledged: { readonly refused: Readonly<Record<string, { readonly message: string }>> } | undefined;
}

async function daemonOf(overlay: string): Promise<PodTemplate> {
  const pod = podTemplates(await render(overlay)).get('gueststore-daemon');
  if (pod === undefined) throw new Error(`manifests/${overlay} has no daemon`);
  return pod;
}

/** Runs the daemon of `pod` without the capability `less`; its VM's socket is to belong to `owner`. */
async function look(pod: PodTemplate, owner: Owner, less?: string): Promise<Seen> {
  const folder = await testFolder();
  await chmod(folder, 0o711);
  const [datastore, run, log] = ['datastore', 'run', 'log'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const writer = await openWriter(datastore, { create: true });
  const secret = await stored(writer, 'secret', { sensitive: true });
  await publish(writer, changeOf({ '/motd': await stored(writer, 'hello'), '/secret': secret }, plainlessRow));
  const rules = rulesOf();
  const channel = { kind: 'hybridUDS', path: 'web.vsock', port: 1024, ...owner } as const;
  await publish(writer, vmChange({ 'fleet/web': vmRow(rules, { channel }) }, rules));
  for (const path of [datastore, ...(await below(datastore))]) await chown(path, operator, operator);

  const [container] = pod.spec.containers;
  if (container === undefined) throw new Error('a pod without a container');
  const { runAsUser: uid = container.securityContext.runAsUser ?? operator, ...pods } = pod.spec.securityContext;
  // The kubelet makes these as root; what is not root finds them made for it.
  for (const path of [run, log]) {
    await mkdir(path);
    await chown(path, uid, uid);
  }
  const powers = (container.securityContext.capabilities?.add ?? []).filter((name) => name !== less);
  const groups = [...(pods.supplementalGroups ?? []), ...(pods.fsGroup === undefined ? [] : [pods.fsGroup])];
  const privileges = [
    `--reuid=${uid}`,
    `--regid=${pods.runAsGroup ?? 0}`,
    groups.length === 0 ? '--clear-groups' : `--groups=${groups.join(',')}`,
    `--bounding-set=${['-all', ...powers.map((name) => `+${name.toLowerCase()}`)].join(',')}`,
    '--inh-caps=-all',
    '--no-new-privs',
    '--pdeathsig=KILL',
  ];
  const mounts = await mountsOf(container, folder, datastore);
  const daemon = [join(folder, 'node/node'), join(folder, 'app/src/main.ts')];
  const here: Readonly<Record<string, string>> = {
    '--datastore=default=/datastore': `--datastore=default=${datastore}`,
    '--host=$(NODE_NAME)': '--host=host-a',
    '--run-dir=/run/gueststore': `--run-dir=${run}`,
    '--log-dir=/var/log/gueststore': `--log-dir=${log}`,
    '--metrics=:8080': '--metrics=127.0.0.1:0',
  };
  const args = container.args.map((arg) => here[arg] ?? arg);
  const script = `set -e\n${mounts.join('\n')}\nexec "$@"`;
  const child = spawn(
    'unshare',
    ['--mount', 'sh', '-c', script, 'sh', 'setpriv', ...privileges, '--', ...daemon, ...args],
    { stdio: ['ignore', 'pipe', 'inherit'], env: { PATH: process.env.PATH } },
  );
  const ended = once(child, 'exit');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  // It acknowledges and opens its sockets before it says so.
  const ready = await eventually(() => output.split('\n').find((line) => line.includes('"daemon ready"')), 60_000);
  const { metrics } = JSON.parse(ready) as { readonly metrics: string };
  const probes = [container.livenessProbe, container.readinessProbe].map(async (probe) => {
    const url = new URL(probe?.httpGet.path ?? '', `http://${metrics}`);
    const { status } = await fetch(url);
    return `${url.pathname} ${status}`;
  });

  const socket = join(run, 'fleet/web.vsock_1024');
  const found = await stat(socket).catch(() => undefined);
  const ask = (path: string) => askRaw(socket, `GET ${path} HTTP/1.1\r\n\r\n`).then(({ text }) => text);
  return {
    probes: await Promise.all(probes),
    answers: found === undefined ? [] : [lastLine(await ask('/motd')), lastLine(await ask('/secret'))],
    socket: found && `${found.uid}:${found.gid} ${(found.mode & 0o777).toString(8)}`,
    acknowledged: await acknowledgement(join(datastore, '.gueststore/hosts/host-a')),
  };
}

/** Commands that lay the program where any user finds it, and make read-only what the container has read-only. */
async function mountsOf(
  { volumeMounts }: PodTemplate['spec']['containers'][number],
  folder: string,
  datastore: string,
): Promise<readonly string[]> {
  const commands: string[] = [];
  for (const [source, name] of [
    [root, 'app'],
    [dirname(process.execPath), 'node'],
  ] as const) {
    await mkdir(join(folder, name));
    commands.push(`mount --bind '${source}' '${join(folder, name)}'`);
  }
  if (volumeMounts.find(({ name }) => name === 'datastore')?.readOnly !== true) return commands;
  const hosts = volumeMounts.find(({ name }) => name === 'hosts')?.mountPath.replace('/datastore', datastore);
  return [
    ...commands,
    `mount --bind '${datastore}' '${datastore}'`,
    `mount --bind '${hosts}' '${hosts}'`,
    `mount -o remount,ro,bind '${datastore}'`,
  ];
}

async function below(folder: string): Promise<string[]> {
  return (await readdir(folder, { recursive: true })).map((name) => join(folder, name));
}

/** What the operator's user, who has no capability, reads. */
async function acknowledgement(folder: string): Promise<Seen['acknowledged']> {
  const names = await readdir(folder).catch(() => []);
  const [name] = names.filter((one) => one.endsWith('.json'));
  if (name === undefined) return undefined;
  const owners = await Promise.all([folder, join(folder, name)].map(async (path) => (await stat(path)).uid));
  if (owners.some((uid) => uid !== operator)) return undefined;
  return JSON.parse(await readFile(join(folder, name), 'utf8'));
}

function lastLine(answer: string): string {
  return answer.slice(answer.lastIndexOf('\r\n') + 2);
}

const whole: Seen = {
  probes: ['/healthz 200', '/readyz 200'],
  answers: ['hello', 'secret'],
  socket: '1001:1002 660',
  acknowledged: expect.objectContaining({ host: 'host-a', refused: {} }),
};
const ownerOfSocket = { uid: 1001, gid: 1002 };

test.each(['overlays/daemon', 'overlays/host-path'])('what %s gives the daemon is enough', async (overlay) => {
  expect(await look(await daemonOf(overlay), ownerOfSocket)).toEqual(whole);
});

test('each capability is needed', async () => {
  const pod = await daemonOf('overlays/daemon');
  const powers = pod.spec.containers[0]?.securityContext.capabilities?.add ?? [];
  expect(powers.length).toBeGreaterThan(0);
  for (const power of powers)
    expect((await look(pod, ownerOfSocket, power)).acknowledged, `without ${power}`).toBeUndefined();
});

test('without root it serves VMMs of its groups, and says whom it cannot', async () => {
  const pod = await daemonOf('overlays/unprivileged-daemon');
  const [group] = pod.spec.securityContext.supplementalGroups ?? [];
  expect(await look(pod, { gid: group ?? -1 })).toEqual({ ...whole, socket: `${operator}:${group} 660` });
  const { acknowledged, socket } = await look(pod, ownerOfSocket);
  expect(socket).toBeUndefined();
  expect(acknowledged?.refused['fleet/web']?.message).toMatch(/EPERM/);
});
