import { execFile } from 'node:child_process';
import { chmod, copyFile, cp, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from './eventually.ts';
import { startLeashed } from './kubernetes/leashed.ts';

const run = promisify(execFile);

/** A Docker engine of the test's own, which nothing else on the machine sees. */
export interface ContainerEngine extends AsyncDisposable {
  /** What `DOCKER_HOST` is for it. */
  readonly host: string;
  /** The docker command against it: what it printed. */
  docker(args: readonly string[]): Promise<string>;
}

/** What the Dockerfile is built from, unless told otherwise. */
export const baseImage = 'node:26-bookworm-slim';

/**
 * Starts dockerd (a second or two) in a mount namespace, without a bridge and without a rule in the firewall: containers
 * share the network of the machine (`--network host`). Its images hold `baseImage`, made from this machine's Node.
 */
export async function startContainerEngine(): Promise<ContainerEngine> {
  await using stack = new AsyncDisposableStack();
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'dock-')));
  stack.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
  const host = `unix://${join(folder, 'docker.sock')}`;
  const log = join(folder, 'dockerd.log');
  const network = ['--bridge=none', '--iptables=false', '--ip6tables=false', '--ip-forward=false'];
  const places = ['data-root', 'exec-root', 'pidfile'].map((flag) => `--${flag}=${join(folder, flag)}`);
  // An engine that is killed leaves its mounts behind; those of a namespace go with its last process.
  const namespace = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation=slave'];
  const engine = await startLeashed('unshare', [...namespace, 'dockerd', `--host=${host}`, ...network, ...places], log);
  stack.defer(() => engine.kill());
  let ended = false;
  void engine.exited.then(() => {
    ended = true;
  });
  const docker = async (args: readonly string[]): Promise<string> => {
    const environment = { ...process.env, DOCKER_HOST: host, DOCKER_BUILDKIT: '0' };
    return (await run('docker', args, { env: environment, maxBuffer: 64 << 20 })).stdout;
  };
  const answers = async (): Promise<boolean | undefined> => ended || (await docker(['version']).then(() => true));
  await eventually(answers, 60_000);
  if (ended) throw new Error(`dockerd did not start: ${await readFile(log, 'utf8')}`);
  await makeBaseImage(join(folder, 'base'), docker);
  const kept = stack.move();
  return { host, docker, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Node as it runs here with the libraries that it loads, npm with its way to the registry, and busybox for the shell. */
async function makeBaseImage(root: string, docker: ContainerEngine['docker']): Promise<void> {
  for (const name of ['bin', 'etc', 'usr/local/bin', 'usr/local/lib', 'usr/bin', 'root', 'proc', 'sys', 'dev']) {
    await mkdir(join(root, name), { recursive: true });
  }
  await mkdir(join(root, 'tmp'));
  await chmod(join(root, 'tmp'), 0o1777);
  await copyFile('/bin/busybox', join(root, 'bin/busybox'));
  await run('chroot', [root, '/bin/busybox', '--install', '-s', '/bin']);
  await symlink('/bin/env', join(root, 'usr/bin/env'));
  await copyWithLibraries(root, process.execPath, 'usr/local/bin/node');
  // npm's own folder: what is on PATH is a link to its bin/npm-cli.js.
  const npm = await realpath((await run('/bin/sh', ['-c', 'command -v npm'])).stdout.trim());
  await cp(dirname(dirname(npm)), join(root, 'usr/local/lib/npm'), { recursive: true, dereference: true });
  await symlink('../lib/npm/bin/npm-cli.js', join(root, 'usr/local/bin/npm'));
  await chmod(join(root, 'usr/local/lib/npm/bin/npm-cli.js'), 0o755);
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  await writeFile(join(root, 'etc/group'), 'root:x:0:\n');
  const settings = await npmSettings(root);
  const archive = `${root}.tar`;
  await run('tar', ['-C', root, '-cf', archive, '.']);
  const changes = ['PATH=/usr/local/bin:/usr/bin:/bin', ...settings].flatMap((one) => ['--change', `ENV ${one}`]);
  await docker(['import', ...changes, archive, baseImage]);
  await rm(root, { recursive: true, force: true });
  await rm(archive);
}

/** How npm gets its packages on this machine, as environment of the image: the registry, and who vouches for it. */
async function npmSettings(root: string): Promise<readonly string[]> {
  const asked = async (key: string) => (await run('npm', ['config', 'get', key])).stdout.trim();
  const settings = [`NPM_CONFIG_REGISTRY=${await asked('registry')}`];
  const authorities = process.env.NODE_EXTRA_CA_CERTS ?? (await asked('cafile'));
  if (authorities === '' || authorities === 'null') return settings;
  await copyFile(authorities, join(root, 'etc/authorities.pem'));
  return [...settings, 'NODE_EXTRA_CA_CERTS=/etc/authorities.pem', 'NPM_CONFIG_CAFILE=/etc/authorities.pem'];
}

async function copyWithLibraries(root: string, program: string, target: string): Promise<void> {
  await copyFile(program, join(root, target));
  await chmod(join(root, target), 0o755);
  const { stdout } = await run('ldd', [program]);
  for (const [, library = ''] of stdout.matchAll(/(?:=> |^\s+)(\/\S+)/gm)) {
    await mkdir(join(root, dirname(library)), { recursive: true });
    await copyFile(library, join(root, library));
  }
}
