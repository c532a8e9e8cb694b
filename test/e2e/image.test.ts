import { chown, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { GenericContainer, type StartedTestContainer, Wait } from 'testcontainers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { type ContainerEngine, startContainerEngine } from '../support/container-engine.ts';
import { buildImage } from '../support/container-image.ts';
import { eventually } from '../support/eventually.ts';
import { patternOf } from '../support/http-server.ts';
import { createInstallation, type Installation } from '../support/installation.ts';
import { kubeconfigOf } from '../support/kubernetes/api-server.ts';
import { item, namespace, repository, vm, yaml } from '../support/manifests.ts';
import { askRaw } from '../support/raw-client.ts';
import { openGuest } from '../support/slow-guest.ts';

// The image as it is shipped: built by `npm run image`, run as the manifests run it. One story, from top to bottom.

const image = `gueststore:${packageJson.version}`;
/** As in manifests/: the operator and whoever owns the datastore. */
const user = 65532;
const large = patternOf(3, 24_000_000);

const stack = new AsyncDisposableStack();
let engine: ContainerEngine;
let installation: Installation;
let operator: StartedTestContainer;
let daemon: StartedTestContainer;

beforeAll(async () => {
  [engine, installation] = await Promise.all([startContainerEngine(), createInstallation()]);
  stack.use(installation);
  stack.use(engine);
  await buildImage(engine);
  process.env.DOCKER_HOST = engine.host;
  // The engine and all its containers go with this process; nothing else has to clean up.
  process.env.TESTCONTAINERS_RYUK_DISABLED = 'true';
  // Containers share this machine's network: there is no bridge to look for.
  process.env.TESTCONTAINERS_HOST_OVERRIDE = '127.0.0.1';
}, 600_000);

afterAll(() => stack.disposeAsync());

describe('the image', () => {
  test('says what it is: version, commit, licence', async () => {
    const [{ Config }] = JSON.parse(await engine.docker(['image', 'inspect', image]));
    expect(Config.Labels).toMatchObject({
      'org.opencontainers.image.title': 'gueststore',
      'org.opencontainers.image.version': packageJson.version,
      'org.opencontainers.image.licenses': packageJson.license,
      'org.opencontainers.image.revision': expect.stringMatching(/^([0-9a-f]{40}(-dirty)?|unknown)$/),
    });
    expect(Config).toMatchObject({ User: '65532:65532', Entrypoint: ['node', '/app/dist/main.js'] });
    expect(await runOnce(['--version'])).toBe(`gueststore ${packageJson.version}\n`);
  });

  test('lists what it is made of, all of it and nothing else (CycloneDX)', async () => {
    const bill = JSON.parse(await runNode('process.stdout.write(fs.readFileSync("/app/sbom.cdx.json"))'));
    expect(bill).toMatchObject({
      bomFormat: 'CycloneDX',
      metadata: { component: { name: 'gueststore', version: packageJson.version } },
    });
    const listed = bill.components.map((one: { group?: string; name: string; version: string }) =>
      [one.group, `${one.name}@${one.version}`].filter(Boolean).join('/'),
    );
    const there = JSON.parse(
      await runNode(`
        const found = [];
        for (const file of fs.globSync("/app/node_modules/**/package.json")) {
          if (!/node_modules\\/(@[^/]+\\/)?[^/@]+\\/package.json$/.test(file)) continue;
          const { name, version } = JSON.parse(fs.readFileSync(file, "utf8"));
          found.push(name + "@" + version);
        }
        process.stdout.write(JSON.stringify(found))`),
    );
    expect(listed.length).toBeGreaterThan(20);
    expect([...new Set(listed)].toSorted()).toEqual([...new Set(there)].toSorted());
  });

  test('adds little to Node: its own code in one small layer on that of its packages', async () => {
    const history = await engine.docker(['history', '--human=false', '--format', '{{.Size}} {{.CreatedBy}}', image]);
    const layers = history
      .trim()
      .split('\n')
      .map((line) => Number(line.split(' ')[0]));
    // Newest first; what stands above the base, which is the last.
    const ours = layers.slice(0, -1).filter((bytes) => bytes > 0);
    expect(ours).toHaveLength(3);
    expect(ours[0]).toBeLessThan(4_000_000);
    expect(ours.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(60_000_000);
  });
});

describe('operator and daemon in containers', () => {
  test('publish, and serve the socket of a VM on the host', async () => {
    const { folder, datastore, imports, kubectl, runDir, socket } = installation;
    await writeFile(join(imports, 'large.bin'), large);
    const kubeconfig = join(folder, 'container.kubeconfig');
    const { server, operatorToken } = installation;
    await writeFile(kubeconfig, kubeconfigOf(server.url, server.caFile, operatorToken), { mode: 0o600 });
    for (const path of [datastore, kubeconfig]) await chown(path, user, user);
    await mkdir(runDir('host-a'));
    operator = await sealed('operator', [
      '--datastore=default=/datastore',
      '--import-dir=/imports',
      '--kubeconfig=/kubeconfig',
    ])
      .withUser(`${user}:${user}`)
      .withBindMounts([
        { source: datastore, target: '/datastore' },
        { source: imports, target: '/imports', mode: 'ro' },
        { source: kubeconfig, target: '/kubeconfig', mode: 'ro' },
        { source: dirname(installation.server.caFile), target: dirname(installation.server.caFile), mode: 'ro' },
      ])
      .withWaitStrategy(Wait.forLogMessage('leading'))
      .start();
    daemon = await sealed('daemon', ['--datastore=default=/datastore', '--host=host-a', '--run-dir=/run/gueststore'])
      .withUser('0:0')
      .withAddedCapabilities('CHOWN', 'DAC_OVERRIDE')
      .withBindMounts([
        { source: datastore, target: '/datastore' },
        { source: runDir('host-a'), target: '/run/gueststore' },
      ])
      .withWaitStrategy(Wait.forLogMessage('daemon ready'))
      .start();
    await kubectl(['apply', '--filename', '-'], fleet());
    await kubectl(['-n', 'fleet', 'wait', '--for=condition=Ready', '--timeout=60s', 'contentitem', '--all']);
    await kubectl(['-n', 'fleet', 'wait', '--for=condition=Ready', '--timeout=60s', 'guestvm', '--all']);
    // The operator, who is not root, hears of the daemon, who is.
    await eventually(
      () => kubectl(['wait', '--for=condition=Ready', '--timeout=10s', 'gueststorehost', 'host-a']),
      60_000,
    );
    const answer = await askRaw(socket('host-a', 'fleet', 'web-7'), 'GET /config/motd.txt HTTP/1.1\r\n\r\n');
    expect(answer.text).toMatch(/^HTTP\/1.1 200 .*hello\n$/s);
  });

  test('SIGTERM lets a guest have the rest of what it is being sent, and ends with 0', async () => {
    const guest = await openGuest(installation.socket('host-a', 'fleet', 'web-7'));
    guest.socket.write('GET /large.bin HTTP/1.1\r\n\r\n');
    await guest.received(1_000_000);
    guest.socket.pause();
    const stopping = daemon.stop({ timeout: 30_000, remove: false });
    await eventually(async () => (await logs(daemon)).includes('daemon stops') || undefined, 30_000);
    expect(await state(daemon)).toMatchObject({ Running: true });
    guest.socket.resume();
    const { bytes, error } = await guest.finished;
    await stopping;
    expect(error).toBeUndefined();
    const body = bytes.subarray(bytes.indexOf('\r\n\r\n') + 4);
    expect(body.equals(large)).toBe(true);
    expect(await state(daemon)).toMatchObject({ Running: false, ExitCode: 0, OOMKilled: false });
  });

  test('SIGTERM makes the operator give its Lease back, and ends with 0', async () => {
    await operator.stop({ timeout: 30_000, remove: false });
    expect(await state(operator)).toMatchObject({ Running: false, ExitCode: 0 });
    expect(await logs(operator)).toContain('lease released');
    const lease = [
      '-n',
      'gueststore-system',
      'get',
      'lease',
      'gueststore-operator',
      '-o',
      'jsonpath={.spec.holderIdentity}',
    ];
    expect(await installation.kubectl(lease)).toBe('');
  });
});

/** Nothing may be written but what is mounted, nothing may be had that is not given, and there is no shell. */
class SealedContainer extends GenericContainer {
  constructor() {
    super(image);
    this.hostConfig.ReadonlyRootfs = true;
  }
}

function sealed(command: string, args: readonly string[]): GenericContainer {
  return new SealedContainer()
    .withCommand([command, ...args])
    .withNetworkMode('host')
    .withDroppedCapabilities('ALL')
    .withSecurityOpt('no-new-privileges')
    .withTmpFs({ '/bin': 'ro' });
}

function fleet(): string {
  return yaml(
    namespace('fleet'),
    repository(),
    item('motd', '/config/motd.txt', 'hello\n'),
    item('large', '/large.bin', '', { source: { file: { path: 'large.bin' } } }),
    vm('web-7', { host: 'host-a' }),
  );
}

function runOnce(args: readonly string[]): Promise<string> {
  return engine.docker(['run', '--rm', '--network=none', '--read-only', image, ...args]);
}

function runNode(script: string): Promise<string> {
  return engine.docker(['run', '--rm', '--network=none', '--read-only', '--entrypoint=node', image, '-e', script]);
}

async function state(container: StartedTestContainer): Promise<unknown> {
  return JSON.parse(await engine.docker(['inspect', '--format', '{{json .State}}', container.getId()]));
}

async function logs(container: StartedTestContainer): Promise<string> {
  return engine.docker(['logs', container.getId()]);
}
