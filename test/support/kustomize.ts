import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { loadAll } from 'js-yaml';
import { programFile } from './kubernetes/programs.ts';

const run = promisify(execFile);

/** Folder of what is installed, with a slash at its end. */
export const manifestsFolder = fileURLToPath(new URL('../../manifests/', import.meta.url));

/** Every whole installation that the repository ships, as a folder below `manifests`: the base first. */
export const installations: readonly string[] = [
  '.',
  ...globSync('overlays/*', { cwd: manifestsFolder }).sort((a, b) => a.localeCompare(b)),
];

/** As much of any Kubernetes object as a test looks at. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: unknown;
}

export interface PodTemplate {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: PodSpec;
}

export interface PodSpec {
  readonly serviceAccountName: string;
  readonly automountServiceAccountToken?: boolean;
  readonly securityContext: {
    readonly runAsUser?: number;
    readonly runAsGroup?: number;
    readonly fsGroup?: number;
    readonly supplementalGroups?: readonly number[];
  };
  readonly containers: readonly Container[];
  readonly volumes: readonly { readonly name: string; readonly [source: string]: unknown }[];
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly imagePullPolicy?: string;
  readonly args: readonly string[];
  readonly livenessProbe?: { readonly httpGet: { readonly path: string } };
  readonly readinessProbe?: { readonly httpGet: { readonly path: string } };
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
  readonly securityContext: {
    readonly runAsUser?: number;
    readonly readOnlyRootFilesystem?: boolean;
    readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] };
  };
}

/** What kubectl renders of a folder below `manifests`. */
export async function render(folder: string): Promise<readonly KubeObject[]> {
  const { stdout } = await run(await programFile('kubectl'), ['kustomize', `${manifestsFolder}${folder}`], {
    maxBuffer: 64 << 20,
  });
  return parseObjects(stdout);
}

export function parseObjects(yaml: string): readonly KubeObject[] {
  return loadAll(yaml).filter((object) => object !== null && object !== undefined) as KubeObject[];
}

/** `kind namespace/name`, which no two objects of an installation share. */
export function nameOf({ kind, metadata }: KubeObject): string {
  return `${kind} ${metadata.namespace === undefined ? '' : `${metadata.namespace}/`}${metadata.name}`;
}

/** The pod templates of an installation, by name of the Deployment or DaemonSet. */
export function podTemplates(objects: readonly KubeObject[]): ReadonlyMap<string, PodTemplate> {
  const workloads = objects.filter(({ kind }) => kind === 'Deployment' || kind === 'DaemonSet');
  return new Map(
    workloads.map(({ metadata, spec }) => [metadata.name, (spec as { readonly template: PodTemplate }).template]),
  );
}
