import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { access, constants, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A Go module of our own that pins what it requires byte by byte (go.sum). */
interface GoModule {
  readonly folder: string;
  /** Whose version names the folder of the cache. */
  readonly requires: string;
  readonly cache: string;
  /** What the linker is told: some programs state their version only then. `version` is without `v`. */
  linkerFlags(version: string): string;
}

const kubernetes: GoModule = {
  folder: fileURLToPath(new URL('go', import.meta.url)),
  requires: 'k8s.io/kubernetes',
  cache: 'kubernetes',
  linkerFlags: (version) => {
    const [major, minor] = version.split('.');
    const set = (variable: string, value: string) => `-X k8s.io/component-base/version.${variable}=${value}`;
    return `${set('gitVersion', `v${version}`)} ${set('gitMajor', major ?? '')} ${set('gitMinor', minor ?? '')}`;
  },
};
const helm: GoModule = {
  folder: fileURLToPath(new URL('go-helm', import.meta.url)),
  requires: 'helm.sh/helm/v4',
  cache: 'helm',
  linkerFlags: (version) => `-X helm.sh/helm/v4/internal/version.version=v${version}`,
};

export type ProgramName = 'etcd' | 'kube-apiserver' | 'kubectl' | 'kube-controller-manager' | 'helm';

interface Recipe {
  readonly module: GoModule;
  readonly go: string;
  /** Rough, on two cores with an empty Go build cache. */
  readonly duration: string;
  /** Built when a test asks for it, and not before every run. */
  readonly onDemand?: boolean;
}

const recipes: Readonly<Record<ProgramName, Recipe>> = {
  etcd: { module: kubernetes, go: 'go.etcd.io/etcd/server/v3', duration: '10 s' },
  'kube-apiserver': { module: kubernetes, go: 'k8s.io/kubernetes/cmd/kube-apiserver', duration: '4 min' },
  kubectl: { module: kubernetes, go: 'k8s.io/kubernetes/cmd/kubectl', duration: '1 min' },
  'kube-controller-manager': {
    module: kubernetes,
    go: 'k8s.io/kubernetes/cmd/kube-controller-manager',
    duration: '1.5 min',
  },
  helm: { module: helm, go: 'helm.sh/helm/v4/cmd/helm', duration: '3 min', onDemand: true },
};
const programNames = Object.keys(recipes) as readonly ProgramName[];

export interface FoundPrograms {
  readonly found: ReadonlyMap<ProgramName, string>;
  /** Without those that are built on demand. */
  readonly missing: readonly ProgramName[];
}

/** Looks in `KUBEBUILDER_ASSETS` (the convention of envtest), then in the cache. Builds nothing. */
export async function findPrograms(): Promise<FoundPrograms> {
  const found = new Map<ProgramName, string>();
  for (const name of programNames)
    for (const folder of [process.env.KUBEBUILDER_ASSETS, await cacheFolder(recipes[name].module)]) {
      if (folder === undefined) continue;
      const file = join(folder, name);
      if (!found.has(name) && (await isExecutable(file))) found.set(name, file);
    }
  return { found, missing: programNames.filter((name) => !found.has(name) && recipes[name].onDemand !== true) };
}

/**
 * The file of one program. One that is built on demand is built; any other that is neither in `KUBEBUILDER_ASSETS` nor in
 * the cache is an error that says the way out.
 */
export async function programFile(name: ProgramName): Promise<string> {
  const file = (await findPrograms()).found.get(name);
  if (file === undefined && recipes[name].onDemand === true) {
    console.log(`Building once for this machine: ${buildAnnouncement([name])}.`);
    await buildProgram(name);
    return join(await cacheFolder(recipes[name].module), name);
  }
  if (file === undefined)
    throw new Error(
      `${name} is neither in $KUBEBUILDER_ASSETS nor in ${await cacheFolder(recipes[name].module)}: \`npm run preflight\` builds it`,
    );
  return file;
}

/** What a build of `names` takes, in words, for the person who waits. */
export function buildAnnouncement(names: readonly ProgramName[]): string {
  return names.map((name) => `${name} (about ${recipes[name].duration})`).join(', ');
}

/** Builds one program with Go into the cache. A second build at the same time does no harm: the last rename wins. */
export async function buildProgram(name: ProgramName): Promise<void> {
  const { module, go } = recipes[name];
  const folder = await cacheFolder(module);
  await mkdir(folder, { recursive: true });
  const temporary = join(folder, `.${name}-${randomUUID()}`);
  try {
    const flags = ['-trimpath', '-ldflags', `-s -w ${module.linkerFlags(await versionOf(module))}`];
    await run('go', ['build', ...flags, '-o', temporary, go], { cwd: module.folder });
    await rename(temporary, join(folder, name));
  } finally {
    await rm(temporary, { force: true });
  }
}

/** By version, and outside the checkout, so that a fresh clone pays for the build only once a machine. */
async function cacheFolder(module: GoModule): Promise<string> {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return join(cache, 'gueststore-operator', `${module.cache}-${await versionOf(module)}`);
}

async function versionOf({ folder, requires }: GoModule): Promise<string> {
  const text = await readFile(join(folder, 'go.mod'), 'utf8');
  const prefix = requires.replaceAll('.', '\\.');
  const version = new RegExp(`^\\s*(?:require )?${prefix} v(\\S+)$`, 'm').exec(text)?.[1];
  if (version === undefined) throw new Error(`${folder}/go.mod requires no ${requires}`);
  return version;
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
