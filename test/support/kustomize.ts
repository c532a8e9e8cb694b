import { globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadAll } from 'js-yaml';
import type { Cluster } from './kubernetes/api-server.ts';
import { kubectl } from './kubernetes/api-server.ts';

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
  readonly securityContext: { readonly runAsUser?: number; readonly runAsGroup?: number };
  readonly containers: readonly Container[];
  readonly volumes: readonly { readonly name: string; readonly [source: string]: unknown }[];
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly imagePullPolicy?: string;
  readonly args: readonly string[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly livenessProbe?: { readonly httpGet: { readonly path: string } };
  readonly readinessProbe?: { readonly httpGet: { readonly path: string } };
  readonly resources?: { readonly requests?: object; readonly limits?: object };
  readonly securityContext: {
    readonly runAsUser?: number;
    readonly readOnlyRootFilesystem?: boolean;
    readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] };
  };
}

/** What kubectl renders of a folder below `manifests` (or any absolute one). */
export async function render(cluster: Cluster, folder: string): Promise<readonly KubeObject[]> {
  const path = folder.startsWith('/') ? folder : `${manifestsFolder}${folder}`;
  return parseObjects(await kubectl(cluster, ['kustomize', path]));
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
