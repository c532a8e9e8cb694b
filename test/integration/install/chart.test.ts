import { readFileSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { chart, createHelm, type Helm, setting } from '../../support/helm.ts';
import { type ApiServer, kubectl, startApiServer } from '../../support/kubernetes/api-server.ts';
import {
  installations,
  type KubeObject,
  manifestsFolder,
  nameOf,
  parseObjects,
  render,
} from '../../support/kustomize.ts';

const namespace = 'gueststore-system';
const named = ['gueststore', chart, '--namespace', namespace];
const strictly = ['apply', '--server-side', '--validate=strict'];
const everywhere = ['--all-namespaces', '--ignore-not-found', '--output=name'];

let server: ApiServer;
let folder: string;
let helm: Helm;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'helm-'));
  server = await startApiServer({ controllers: true });
  helm = await createHelm(folder, server.kubeconfig);
  // Building helm takes minutes, once a machine.
}, 1_200_000);
afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function rendered(values: Readonly<Record<string, unknown>>, into = namespace): Promise<readonly KubeObject[]> {
  const args = ['template', 'gueststore', chart, '--namespace', into, ...setting(values)];
  return parseObjects(await helm(args));
}

describe('the chart is the manifests', () => {
  /** Lists whose members have names come in any order; what tells Helm what to keep is Helm's alone. */
  function normal(value: unknown): unknown {
    if (Array.isArray(value)) {
      const members = value.map(normal);
      const name = (member: unknown) => (member as { readonly name?: string } | null)?.name;
      return members.every((member) => typeof name(member) === 'string')
        ? members.sort((a, b) => (name(a) ?? '').localeCompare(name(b) ?? ''))
        : members;
    }
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).flatMap(([key, inner]): [string, unknown][] => {
      if (key !== 'annotations' || typeof inner !== 'object' || inner === null) return [[key, normal(inner)]];
      const { 'helm.sh/resource-policy': _, ...others } = inner as Record<string, unknown>;
      return Object.keys(others).length === 0 ? [] : [[key, normal(others)]];
    });
    return Object.fromEntries(entries);
  }

  const byName = (objects: readonly KubeObject[]) =>
    Object.fromEntries(
      // The namespace of a release is Helm's to make.
      objects.filter(({ kind }) => kind !== 'Namespace').map((object) => [nameOf(object), normal(object)]),
    );

  const values: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
    '.': {},
    'overlays/daemon': { 'daemon.enabled': true },
    'overlays/host-path': { 'daemon.enabled': true, 'datastore.hostPath': '/var/lib/gueststore/datastore' },
    'overlays/production': {
      'daemon.enabled': true,
      'networkPolicies.enabled': true,
      'podDisruptionBudget.enabled': true,
      'priorityClass.enabled': true,
      'spread.enabled': true,
    },
    'overlays/single-node': {
      'daemon.enabled': true,
      'datastore.accessMode': 'ReadWriteOnce',
      'operator.replicas': 1,
    },
    'overlays/unprivileged-daemon': { 'daemon.enabled': true, 'daemon.unprivileged': true },
  };

  test('in every way that they can be installed', () => {
    expect(Object.keys(values)).toEqual(installations);
  });

  test.each(Object.entries(values))('manifests/%s, object by object', async (installation, given) => {
    expect(byName(await rendered(given))).toEqual(byName(await render(installation)));
  });

  test('manifests/monitoring too, but for the dashboard', async () => {
    const monitoring = (await render('monitoring')).filter(({ kind }) => kind !== 'ConfigMap');
    const base = await render('.');
    expect(byName(await rendered({ 'monitoring.enabled': true }))).toEqual(byName([...base, ...monitoring]));
  });

  test('in any namespace, with no name of another left', async () => {
    const all = Object.assign({}, ...Object.values(values)) as Record<string, unknown>;
    const objects = await rendered({ ...all, 'datastore.accessMode': 'ReadWriteMany' }, '4711');
    const namespaces = new Set(objects.map(({ metadata }) => metadata.namespace));
    expect(namespaces).toEqual(new Set([undefined, '4711']));
    expect(JSON.stringify(objects)).not.toContain(namespace);
  });
});

describe('values', () => {
  interface Described {
    readonly description?: string;
    readonly type?: string | readonly string[];
    readonly additionalProperties?: unknown;
    readonly properties?: Readonly<Record<string, Described>>;
  }
  const schema = JSON.parse(readFileSync(join(chart, 'values.schema.json'), 'utf8')) as Described;
  const { global: _, ...properties } = schema.properties ?? {};

  function* leaves(of: Readonly<Record<string, Described>>, path = ''): Iterable<string> {
    for (const [key, inner] of Object.entries(of))
      if (inner.properties === undefined) yield `${path}${key}`;
      else yield* leaves(inner.properties, `${path}${key}.`);
  }

  test('each has a description, and no others are taken', () => {
    const check = (at: Described, path: string) => {
      expect(at.description, path).toMatch(/\.$/);
      if (at.properties === undefined) return;
      expect(at.additionalProperties, path).toBe(false);
      for (const [key, inner] of Object.entries(at.properties)) check(inner, `${path}.${key}`);
    };
    check(schema, '');
  });

  /** With something to change for every value. */
  const volumes = [{ name: 'archive', emptyDir: {} }];
  const base = {
    'daemon.enabled': true,
    'daemon.unprivileged': true,
    'crds.install': false,
    'operator.extraVolumes': volumes,
    'daemon.extraVolumes': volumes,
  };
  const mount = { name: 'archive', mountPath: '/archive' };
  const other: Readonly<Record<string, unknown>> = {
    'image.repository': 'registry.example:5000/team/gueststore',
    'image.tag': 'v9',
    'image.digest': `sha256:${'0'.repeat(64)}`,
    'image.pullPolicy': 'Always',
    'image.pullSecrets': ['registry'],
    'crds.install': true,
    'datastore.accessMode': 'ReadWriteOnce',
    'datastore.storageClassName': 'nfs',
    'datastore.size': '1Ti',
    'datastore.existingClaim': 'mine',
    'datastore.hostPath': '/srv/datastore',
    'operator.replicas': 1,
    'operator.resources': { limits: { memory: '2Gi' } },
    'operator.extraArgs': ['--log-level=debug'],
    'operator.extraEnv': [{ name: 'HTTPS_PROXY', value: 'http://proxy.example:3128' }],
    'operator.extraVolumes': [{ name: 'archive', persistentVolumeClaim: { claimName: 'archive' } }],
    'operator.extraVolumeMounts': [mount],
    'operator.nodeSelector': { zone: 'a' },
    'operator.tolerations': [{ operator: 'Exists' }],
    'daemon.enabled': false,
    'daemon.unprivileged': false,
    'daemon.supplementalGroups': [36],
    'daemon.resources': { limits: { memory: '2Gi' } },
    'daemon.extraArgs': ['--log-level=debug'],
    'daemon.extraVolumes': [{ name: 'archive', persistentVolumeClaim: { claimName: 'archive' } }],
    'daemon.extraVolumeMounts': [mount],
    'daemon.nodeSelector': { zone: 'a' },
    'daemon.tolerations': [{ operator: 'Exists' }],
    'networkPolicies.enabled': true,
    'podDisruptionBudget.enabled': true,
    'priorityClass.enabled': true,
    'spread.enabled': true,
    'monitoring.enabled': true,
  };

  test('each changes what is installed, and what it makes is valid', { timeout: 300_000 }, async () => {
    expect(Object.keys(other)).toEqual([...leaves(properties)]);
    const before = new Set((await rendered(base, 'default')).map((object) => JSON.stringify(object)));
    const made: string[] = [];
    for (const [path, value] of Object.entries(other)) {
      const needed = path === 'datastore.accessMode' ? { 'operator.replicas': 1 } : {};
      const after = (await rendered({ ...base, ...needed, [path]: value }, 'default')).map((one) =>
        JSON.stringify(one),
      );
      const changed = after.filter((object) => !before.has(object));
      expect(changed.length > 0 || after.length < before.size, path).toBe(true);
      made.push(...changed);
    }
    // Kinds of the Prometheus Operator, which this cluster does not have.
    const known = [...new Set(made)].filter((object) => !object.includes('"apiVersion":"monitoring.coreos.com/'));
    await kubectl(server, [...strictly, '--dry-run=server', '--filename=-'], known.join('\n---\n'));
  });

  test('those that docs/install.md shows are taken, and what they make is valid', async () => {
    const page = readFileSync(new URL('../../../docs/install.md', import.meta.url), 'utf8');
    const [, example] = /^```yaml values\n(.*?)^```$/ms.exec(page) ?? [];
    const file = join(folder, 'values.yaml');
    await writeFile(file, example ?? '');
    const made = await helm(['template', 'gueststore', chart, '--namespace', 'default', '--values', file]);
    expect(made).toContain('storageClassName: "cephfs"');
    await kubectl(server, [...strictly, '--dry-run=server', '--filename=-'], made);
  });

  test.each([
    [{ 'operator.replica': 2 }, /\/operator': additional properties 'replica' not allowed/],
    [{ 'operator.replicas': 'two' }, /\/operator\/replicas': got string, want integer/],
    [
      { 'operator.resources': { limits: { memory: '1 GB' } } },
      /\/operator\/resources\/limits\/memory': '1 GB' does not match/,
    ],
    [
      { 'datastore.accessMode': 'ReadOnlyMany' },
      /\/datastore\/accessMode': value must be one of 'ReadWriteMany', 'ReadWriteOnce'/,
    ],
    [{ 'datastore.hostPath': 'datastore' }, /\/datastore\/hostPath': 'datastore' does not match/],
    [{ 'image.tag': 'gueststore:1' }, /\/image\/tag'/],
    [{ 'daemon.supplementalGroups': [0] }, /\/daemon\/supplementalGroups\/0': minimum: got 0, want 1/],
    [
      { 'datastore.existingClaim': 'a', 'datastore.hostPath': '/a' },
      /two answers to one question.*Leave one of them empty/,
    ],
    [{ 'datastore.accessMode': 'ReadWriteOnce' }, /set operator\.replicas=1 too/],
  ])('%j is refused, and the message says where', async (values, message) => {
    await expect(helm(['template', ...named, ...setting(values)])).rejects.toThrow(message);
  });
});

// Dozens of commands, one after the other.
describe('helm', { timeout: 300_000 }, () => {
  test('finds nothing to complain of', async () => {
    expect(await helm(['lint', '--strict', chart])).toContain('0 chart(s) failed');
  });

  test('installs, upgrades, goes back, takes away without what people made, and finds it again', async () => {
    const said = await helm(['install', ...named, '--create-namespace', '--timeout=60s']);
    expect(said).toContain('kubectl rollout status deployment/gueststore-operator --namespace gueststore-system');
    const wanted = (await rendered({})).map(nameOf);
    const manifest = parseObjects(await helm(['get', 'manifest', 'gueststore', '--namespace', namespace])).map(nameOf);
    expect(manifest).toEqual(wanted);
    await kubectl(server, ['wait', '--for=condition=Established', '--timeout=60s', 'crd', '--all']);
    const samples = `${manifestsFolder}samples/fleet`;
    await kubectl(server, [...strictly, '--filename', samples]);
    const objects = await kubectl(server, ['get', 'gueststore', ...everywhere]);
    expect(objects.split('\n').length).toBeGreaterThan(8);
    const identities = async () =>
      (
        await kubectl(server, [
          'get',
          'crd,persistentvolumeclaims,contentitems,guestvms',
          '--all-namespaces',
          '--output=jsonpath={.items[*].metadata.uid}',
        ])
      ).split(' ');
    const first = await identities();

    // The next version: another category of a kind, another number of replicas.
    const next = join(folder, 'next');
    await cp(chart, next, { recursive: true });
    const crd = join(next, 'templates', 'crd-content-item.yaml');
    const text = await readFile(crd, 'utf8');
    await writeFile(crd, text.replace('categories: [gueststore]', 'categories: [gueststore, next]'));
    await helm(['upgrade', 'gueststore', next, '--namespace', namespace, ...setting({ 'operator.replicas': 3 })]);
    const state = () =>
      Promise.all([
        kubectl(server, ['get', 'crd', 'contentitems.gueststore.dev', '--output=jsonpath={.spec.names.categories}']),
        kubectl(server, ['get', 'deployment', '--namespace', namespace, '--output=jsonpath={.items[*].spec.replicas}']),
      ]);
    expect(await state()).toEqual(['["gueststore","next"]', '3']);
    await helm(['rollback', 'gueststore', '1', '--namespace', namespace]);
    expect(await state()).toEqual(['["gueststore"]', '2']);
    expect(await identities()).toEqual(first);

    const farewell = await helm(['uninstall', 'gueststore', '--namespace', namespace]);
    expect(farewell).toContain('gueststore-datastore');
    expect(await identities()).toEqual(first);
    expect(await kubectl(server, ['get', 'gueststore', ...everywhere])).toBe(objects);
    const gone = await kubectl(server, [
      'get',
      'deployments,serviceaccounts,roles,rolebindings',
      '--namespace',
      namespace,
      '--output=name',
    ]);
    expect(gone).not.toContain('gueststore');
    expect(await kubectl(server, ['get', 'clusterroles,clusterrolebindings', '--output=name'])).not.toContain(
      'gueststore',
    );

    await helm(['install', ...named]);
    expect(await identities()).toEqual(first);
    expect(await state()).toEqual(['["gueststore"]', '2']);
  });

  test('takes over what kubectl applied, when it is told to', async () => {
    // As docs/install.md says; no operator has put a finalizer on anything.
    await kubectl(server, ['delete', 'gueststore', '--all', '--all-namespaces']);
    expect(await kubectl(server, ['get', 'gueststore', ...everywhere])).toBe('');
    await helm(['uninstall', 'gueststore', '--namespace', namespace]);
    await kubectl(server, ['apply', '--server-side', '--force-conflicts', '--kustomize', manifestsFolder]);
    await expect(helm(['install', ...named])).rejects.toThrow(/cannot be imported|invalid ownership metadata/);
    await helm(['install', ...named, '--take-ownership']);
    const deployment = ['get', 'deployment', 'gueststore-operator', '--namespace', namespace];
    const owner = await eventually(() =>
      kubectl(server, [...deployment, '--output=jsonpath={.metadata.annotations.meta\\.helm\\.sh/release-name}']),
    );
    expect(owner).toBe('gueststore');
  });

  test('goes without a trace, as docs/uninstall.md says', async () => {
    await helm(['uninstall', 'gueststore', '--namespace', namespace]);
    const kinds = ['crd', '--selector', 'app.kubernetes.io/part-of=gueststore'];
    expect(await kubectl(server, ['get', ...kinds, '--output=name'])).toContain('contentitems.gueststore.dev');
    await kubectl(server, ['delete', ...kinds]);
    expect(await kubectl(server, ['get', 'crd', '--output=name'])).toBe('');
    await kubectl(server, ['delete', 'namespace', namespace, '--wait=false']);
    const everything = 'clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings';
    expect(await kubectl(server, ['get', everything, '--output=name'])).not.toContain('gueststore');
  });
});
