import { globSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { load } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commands } from '../../../src/cli/commands.ts';
import { eventually } from '../../support/eventually.ts';
import { type ApiServer, kubectl, startApiServer } from '../../support/kubernetes/api-server.ts';
import {
  installations,
  type KubeObject,
  manifestsFolder,
  nameOf,
  type PodTemplate,
  podTemplates,
  render,
} from '../../support/kustomize.ts';

/** As a careful administrator applies: nothing unknown, nothing twice, nothing that the server warns of. */
const strictly = ['apply', '--server-side', '--validate=strict', '--warnings-as-errors'];
const version = (
  JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

let server: ApiServer;
const rendered = new Map<string, readonly KubeObject[]>();

beforeAll(async () => {
  server = await startApiServer({ controllers: true });
  for (const folder of installations) rendered.set(folder, await render(folder));
  await kubectl(server, [...strictly, '--kustomize', manifestsFolder]);
}, 300_000);
afterAll(() => server?.stop());

function objectsOf(folder: string): readonly KubeObject[] {
  const objects = rendered.get(folder);
  if (objects === undefined) throw new Error(`manifests/${folder} was not rendered`);
  return objects;
}

/** Names of the components that an installation lists. */
function componentsOf(folder: string): readonly string[] {
  const text = readFileSync(`${manifestsFolder}${folder}/kustomization.yaml`, 'utf8');
  const { components = [] } = load(text) as { readonly components?: readonly string[] };
  return components.map((path) => basename(path));
}

/** Of every installation: its folder, the name of the workload, and its pod. */
function allPods(): { readonly folder: string; readonly name: string; readonly pod: PodTemplate }[] {
  return installations.flatMap((folder) =>
    [...podTemplates(objectsOf(folder))].map(([name, pod]) => ({ folder, name, pod })),
  );
}

/** What a claim asks for cannot be changed, so one way to keep the datastore cannot be applied over another. */
async function forgetDatastore(): Promise<void> {
  const claim = ['persistentvolumeclaim/gueststore-datastore', '--namespace=gueststore-system'];
  // Nothing in this cluster knows that no pod uses it.
  await kubectl(server, ['patch', ...claim, '--type=merge', '--patch', '{"metadata":{"finalizers":null}}']);
  await kubectl(server, ['delete', ...claim]);
}

describe('kubectl apply -k', () => {
  test.each(installations.slice(1))('manifests/%s is taken as it stands', async (folder) => {
    await forgetDatastore();
    await kubectl(server, [...strictly, '--kustomize', `${manifestsFolder}${folder}`]);
  });

  test('changes nothing the second time', async () => {
    await forgetDatastore();
    const apply = [...strictly, '--kustomize', `${manifestsFolder}overlays/production`];
    await kubectl(server, apply);
    const versions = async () => {
      const kinds = objectsOf('overlays/production').map(({ kind }) => kind.toLowerCase());
      const names = [...new Set(kinds)].join(',');
      const found = await kubectl(server, ['get', names, '--all-namespaces', '--output=json']);
      const { items } = JSON.parse(found) as { items: (KubeObject & { metadata: { resourceVersion: string } })[] };
      // Kubernetes counts a version of a claim at every apply, though nothing in it changes.
      const counted = items.filter(({ kind }) => kind !== 'PersistentVolumeClaim');
      return counted.map((object) => `${nameOf(object)} ${object.metadata.resourceVersion}`);
    };
    const before = await versions();
    await kubectl(server, apply);
    expect(await versions()).toEqual(before);
  });

  const components = globSync('components/*', { cwd: manifestsFolder }).map((path) => basename(path));
  const daemonAnd = installations.map((folder) => componentsOf(folder).filter((name) => name !== 'daemon'));

  test('every component is part of some overlay', () => {
    expect(new Set(installations.flatMap(componentsOf))).toEqual(new Set(components));
  });

  // Those that no overlay above has shown to work without the others.
  const together = components.filter((name) => name !== 'daemon' && !daemonAnd.some((all) => `${all}` === name));
  test.each(together)('manifests/components/%s can be added alone', async (component) => {
    const folder = await realpath(await mkdtemp(join(tmpdir(), 'kustomize-')));
    try {
      const kustomization = {
        resources: [relative(folder, `${manifestsFolder}base`)],
        components: ['daemon', component].map((name) => relative(folder, `${manifestsFolder}components/${name}`)),
      };
      await writeFile(join(folder, 'kustomization.yaml'), JSON.stringify(kustomization));
      await kubectl(server, [...strictly, '--kustomize', folder]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test('the overlay that docs/install.md shows is taken as it stands', async () => {
    const page = readFileSync(new URL('../../../docs/install.md', import.meta.url), 'utf8');
    const [, example] = /^```yaml kustomization\n(.*?)^```$/ms.exec(page) ?? [];
    const folder = await realpath(await mkdtemp(join(tmpdir(), 'kustomize-')));
    try {
      for (const part of ['manifests', 'crds'])
        await cp(new URL(`../../../${part}`, import.meta.url), join(folder, part), { recursive: true });
      await writeFile(join(folder, 'kustomization.yaml'), example ?? '');
      await forgetDatastore();
      await kubectl(server, [...strictly, '--kustomize', folder]);
      const image = '--output=jsonpath={.items[*].spec.template.spec.containers[*].image}';
      const workloads = ['get', 'deployments,daemonsets', '--namespace=gueststore-system', image];
      expect(await kubectl(server, workloads)).toBe(
        Array.from({ length: 2 }, () => `registry.example/team/gueststore:${version}`).join(' '),
      );
      for (const name of globSync('{overlays,components}/*', { cwd: manifestsFolder }))
        expect(page, name).toMatch(new RegExp(`manifests/${name}|\`${basename(name)}\``));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test('the base stands in every installation, whole', () => {
    const base = objectsOf('.').map(nameOf);
    for (const folder of installations) expect(objectsOf(folder).map(nameOf)).toEqual(expect.arrayContaining(base));
  });
});

describe('every pod', () => {
  test('runs the image of this version, pulled only where it is missing', () => {
    for (const { folder, name, pod } of allPods())
      for (const { image, imagePullPolicy } of pod.spec.containers)
        expect({ folder, name, image, imagePullPolicy }).toEqual({
          folder,
          name,
          image: `gueststore:${version}`,
          imagePullPolicy: 'IfNotPresent',
        });
  });

  test('is probed at the port that it opens, has bounds, and cannot write to its own file system', () => {
    for (const { pod } of allPods())
      for (const container of pod.spec.containers) {
        expect(container).toMatchObject({
          ports: [{ name: 'metrics', containerPort: 8080 }],
          livenessProbe: { httpGet: { path: expect.stringMatching(/^\/healthz(?:\?|$)/), port: 'metrics' } },
          readinessProbe: { httpGet: { path: '/readyz', port: 'metrics' } },
          resources: {
            requests: { cpu: expect.any(String), memory: expect.any(String) },
            limits: { memory: expect.any(String) },
          },
          securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false },
        });
        expect(container.args).toContain('--metrics=:8080');
      }
  });

  test('is started with flags that there are', () => {
    for (const { pod } of allPods())
      for (const { args } of pod.spec.containers) {
        const [name = '', ...flags] = args;
        const known = commands[name]?.flags.map((flag) => `--${flag.name}`);
        expect(known).toEqual(expect.arrayContaining(flags.map((flag) => flag.replace(/=.*/, ''))));
      }
  });

  test('has a token only where it talks to the API server', () => {
    for (const { name, pod } of allPods())
      expect([name, pod.spec.automountServiceAccountToken]).toEqual([name, name === 'gueststore-operator']);
    const accounts = objectsOf('overlays/daemon').filter(({ kind }) => kind === 'ServiceAccount');
    for (const account of accounts) expect(account).toMatchObject({ automountServiceAccountToken: false });
    expect(accounts.length).toBe(2);
  });
});

test('what Prometheus is told to scrape are these pods, and Grafana gets the dashboard', async () => {
  const monitoring = await render('monitoring');
  const monitors = monitoring.filter(({ kind }) => kind === 'PodMonitor');
  const pods = podTemplates(objectsOf('overlays/daemon'));
  expect(monitors.map(({ metadata }) => metadata.name).sort()).toEqual([...pods.keys()].sort());
  for (const { metadata, spec } of monitors) {
    const labels = pods.get(metadata.name)?.metadata.labels;
    expect(spec).toMatchObject({
      jobLabel: 'app.kubernetes.io/name',
      selector: { matchLabels: { 'app.kubernetes.io/name': labels?.['app.kubernetes.io/name'] } },
      podMetricsEndpoints: [{ port: 'metrics' }],
    });
  }
  const [dashboard] = monitoring.filter(({ kind }) => kind === 'ConfigMap') as unknown as {
    readonly data: Readonly<Record<string, string>>;
  }[];
  expect(JSON.parse(dashboard?.data['gueststore.json'] ?? '')).toMatchObject({ title: 'GuestStore' });
  const namespaces = monitoring.map(({ metadata }) => metadata.namespace);
  expect(new Set(namespaces)).toEqual(new Set(['gueststore-system']));
});

describe('Pod Security', () => {
  const levels = ['restricted', 'baseline'] as const;

  beforeAll(async () => {
    for (const level of levels) {
      const labels = { 'pod-security.kubernetes.io/enforce': level };
      const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: `pss-${level}`, labels } };
      await kubectl(server, [...strictly, '--filename=-'], JSON.stringify(namespace));
      await eventually(() => kubectl(server, ['get', 'serviceaccount', 'default', '--namespace', `pss-${level}`]));
    }
  });

  /** What the server says of a pod in a namespace where `level` is enforced: undefined when it takes it. */
  async function refusal(level: (typeof levels)[number], pod: PodTemplate): Promise<string | undefined> {
    const manifest = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'probe', namespace: `pss-${level}`, labels: pod.metadata.labels },
      spec: { ...pod.spec, serviceAccountName: 'default' },
    };
    return kubectl(server, ['create', '--dry-run=server', '--filename=-'], JSON.stringify(manifest)).then(
      () => undefined,
      (error: unknown) => /violates PodSecurity "[a-z]+:latest": (.*)/.exec(String(error))?.[1] ?? String(error),
    );
  }

  /** Of each different pod of a workload: the installations that have it, and what the level refuses in it. */
  async function refusals(
    workload: string,
    level: (typeof levels)[number],
  ): Promise<Record<string, string | undefined>> {
    const pods = Map.groupBy(
      allPods().filter(({ name }) => name === workload),
      ({ pod }) => JSON.stringify(pod),
    );
    const asked = [...pods.values()].map(async (same) => {
      const [first] = same;
      if (first === undefined) throw new Error('a group of none');
      return [same.map(({ folder }) => folder).join(' '), await refusal(level, first.pod)] as const;
    });
    return Object.fromEntries(await Promise.all(asked));
  }

  test('the operator is restricted, however it is installed', async () => {
    const found = await refusals('gueststore-operator', 'restricted');
    expect(Object.keys(found).length).toBeGreaterThan(2);
    expect(new Set(Object.values(found))).toEqual(new Set([undefined]));
  });

  test('of the daemon nothing is refused but what its manifest explains', async () => {
    const root =
      'runAsNonRoot != true (pod or container "daemon" must set securityContext.runAsNonRoot=true), runAsUser=0 (container "daemon" must not set runAsUser=0)';
    const capabilities =
      'unrestricted capabilities (container "daemon" must not include "CHOWN", "DAC_OVERRIDE" in securityContext.capabilities.add)';
    const folders = (...names: readonly string[]) =>
      `restricted volume types (volumes ${names.map((name) => `"${name}"`).join(', ')} use restricted volume type "hostPath")`;
    expect(await refusals('gueststore-daemon', 'restricted')).toEqual({
      'overlays/daemon overlays/single-node': `${capabilities}, ${folders('run', 'log')}, ${root}`,
      'overlays/production': `${capabilities}, ${folders('run', 'log')}, ${root}`,
      'overlays/host-path': `${capabilities}, ${folders('hosts', 'run', 'log')}, ${root}`,
      'overlays/unprivileged-daemon': folders('run', 'log'),
    });
    expect(await refusals('gueststore-daemon', 'baseline')).toEqual({
      'overlays/daemon overlays/single-node': 'hostPath volumes (volumes "run", "log")',
      'overlays/production': 'hostPath volumes (volumes "run", "log")',
      'overlays/host-path': 'hostPath volumes (volumes "hosts", "run", "log")',
      'overlays/unprivileged-daemon': 'hostPath volumes (volumes "run", "log")',
    });
  });

  test('namespaces enforce the level that their pods need, and no lower one', () => {
    const level = (folder: string) =>
      objectsOf(folder).find(({ kind }) => kind === 'Namespace')?.metadata.labels?.[
        'pod-security.kubernetes.io/enforce'
      ];
    for (const folder of installations)
      expect([folder, level(folder)]).toEqual([
        folder,
        podTemplates(objectsOf(folder)).has('gueststore-daemon') ? 'privileged' : 'restricted',
      ]);
  });
});
