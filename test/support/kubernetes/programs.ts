import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { access, constants, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A Go module of our own that pins Kubernetes and etcd byte by byte (go.sum). */
const moduleFolder = fileURLToPath(new URL('go', import.meta.url));

export type ProgramName = 'etcd' | 'kube-apiserver' | 'kubectl' | 'kube-controller-manager';

interface Recipe {
  readonly go: string;
  /** Rough, on two cores with an empty Go build cache. */
  readonly duration: string;
}

const recipes: Readonly<Record<ProgramName, Recipe>> = {
  etcd: { go: 'go.etcd.io/etcd/server/v3', duration: '10 s' },
  'kube-apiserver': { go: 'k8s.io/kubernetes/cmd/kube-apiserver', duration: '4 min' },
  kubectl: { go: 'k8s.io/kubernetes/cmd/kubectl', duration: '1 min' },
  'kube-controller-manager': { go: 'k8s.io/kubernetes/cmd/kube-controller-manager', duration: '1.5 min' },
};
const programNames = Object.keys(recipes) as readonly ProgramName[];

export interface FoundPrograms {
  readonly found: ReadonlyMap<ProgramName, string>;
  readonly missing: readonly ProgramName[];
}

/** Looks in `KUBEBUILDER_ASSETS` (the convention of envtest), then in the cache. Builds nothing. */
export async function findPrograms(): Promise<FoundPrograms> {
  const folders = [process.env.KUBEBUILDER_ASSETS, await cacheFolder()].filter((folder) => folder !== undefined);
  const found = new Map<ProgramName, string>();
  for (const name of programNames)
    for (const folder of folders) {
      const file = join(folder, name);
      if (!found.has(name) && (await isExecutable(file))) found.set(name, file);
    }
  return { found, missing: programNames.filter((name) => !found.has(name)) };
}

/** The file of one program. Throws, with the way out, when it is neither in `KUBEBUILDER_ASSETS` nor in the cache. */
export async function programFile(name: ProgramName): Promise<string> {
  const file = (await findPrograms()).found.get(name);
  if (file === undefined)
    throw new Error(
      `${name} is neither in $KUBEBUILDER_ASSETS nor in ${await cacheFolder()}: \`npm run preflight\` builds it`,
    );
  return file;
}

/** What a build of `names` takes, in words, for the person who waits. */
export function buildAnnouncement(names: readonly ProgramName[]): string {
  return names.map((name) => `${name} (about ${recipes[name].duration})`).join(', ');
}

/** Builds one program with Go into the cache. A second build at the same time does no harm: the last rename wins. */
export async function buildProgram(name: ProgramName): Promise<void> {
  const folder = await cacheFolder();
  await mkdir(folder, { recursive: true });
  const temporary = join(folder, `.${name}-${randomUUID()}`);
  try {
    const flags = ['-trimpath', '-ldflags', await linkerFlags()];
    await run('go', ['build', ...flags, '-o', temporary, recipes[name].go], { cwd: moduleFolder });
    await rename(temporary, join(folder, name));
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Kubernetes' programs state their version only where the linker is told it. */
async function linkerFlags(): Promise<string> {
  const version = await kubernetesVersion();
  const [major, minor] = version.split('.');
  const set = (variable: string, value: string) => `-X k8s.io/component-base/version.${variable}=${value}`;
  return `-s -w ${set('gitVersion', `v${version}`)} ${set('gitMajor', major ?? '')} ${set('gitMinor', minor ?? '')}`;
}

/** By version, and outside the checkout, so that a fresh clone pays for the build only once a machine. */
async function cacheFolder(): Promise<string> {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return join(cache, 'gueststore-operator', `kubernetes-${await kubernetesVersion()}`);
}

async function kubernetesVersion(): Promise<string> {
  const text = await readFile(join(moduleFolder, 'go.mod'), 'utf8');
  const version = /^\s*k8s\.io\/kubernetes v(\S+)$/m.exec(text)?.[1];
  if (version === undefined) throw new Error(`${moduleFolder}/go.mod requires no k8s.io/kubernetes`);
  return version;
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
