import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { type Kind, kinds } from '../../src/api/resources.generated.ts';
import { type Cluster, kubectl } from '../support/kubernetes/api-server.ts';
import { createNamespace, sharedCluster } from '../support/kubernetes/shared-cluster.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
let cluster: Cluster;

beforeAll(async () => {
  cluster = await sharedCluster();
});

const head = 'apiVersion: gueststore.dev/v1alpha1\nkind: ';

test('the folder of kinds can be applied with -f and with -k', async () => {
  const dryRun = ['apply', '--dry-run=server', '--output=name'];
  const byFile = await kubectl(cluster, [...dryRun, '--filename', `${root}crds`]);
  const byKustomize = await kubectl(cluster, [...dryRun, '--kustomize', `${root}crds`]);
  const names = Object.values(kinds).map(
    ({ plural }) => `customresourcedefinition.apiextensions.k8s.io/${plural}.gueststore.dev`,
  );
  expect(byFile.trim().split('\n').toSorted()).toEqual(names.toSorted());
  expect(byKustomize.trim().split('\n').toSorted()).toEqual(names.toSorted());
});

test('the API server takes the kinds as they are meant', async () => {
  const { items } = JSON.parse(await kubectl(cluster, ['get', 'crd', '--output=json'])) as {
    readonly items: readonly {
      readonly spec: {
        readonly group: string;
        readonly scope: string;
        readonly names: Readonly<Record<string, unknown>>;
      };
      readonly status: {
        readonly conditions: readonly { readonly type: string; readonly status: string; readonly message: string }[];
      };
    }[];
  };
  const ours = items.filter(({ spec }) => spec.group === 'gueststore.dev');
  for (const { spec, status } of ours) {
    const { plural, singular, shortNames, namespaced } = kinds[spec.names.kind as Kind];
    expect(spec.names).toMatchObject({ plural, singular, shortNames, categories: ['gueststore'] });
    expect(spec.scope).toBe(namespaced ? 'Namespaced' : 'Cluster');
    // Among them NonStructuralSchema, and names that another kind has.
    const trouble = status.conditions.filter(
      ({ type, status: is }) => (is === 'True') !== /^(NamesAccepted|Established)$/.test(type),
    );
    expect(trouble).toEqual([]);
  }
  expect(ours).toHaveLength(Object.keys(kinds).length);
});

test('an object that nobody has looked at yet does not count as current', async () => {
  await using namespace = await createNamespace(cluster, 'kinds');
  await kubectl(
    cluster,
    ['apply', '--namespace', namespace.name, '--filename=-'],
    `${head}GuestStoreRepository\nmetadata: {name: main}\nspec: {datastore: default}\n`,
  );
  const generation = await kubectl(cluster, [
    'get',
    'gsrepo',
    'main',
    '--namespace',
    namespace.name,
    '--output=jsonpath={.status.observedGeneration}',
  ]);
  expect(generation).toBe('-1');
});

test('a status written with a manifest is dropped', async () => {
  await using namespace = await createNamespace(cluster, 'kinds');
  const manifest = `${head}GuestStoreRepository\nmetadata: {name: main}\nspec: {datastore: default}\nstatus: {observedGeneration: 7}\n`;
  await kubectl(cluster, ['apply', '--namespace', namespace.name, '--filename=-'], manifest);
  const generation = await kubectl(cluster, [
    'get',
    'gsrepo',
    'main',
    '--namespace',
    namespace.name,
    '--output=jsonpath={.status.observedGeneration}',
  ]);
  expect(generation).toBe('-1');
});

test('a list says whether all is well, and if not why', async () => {
  await using namespace = await createNamespace(cluster, 'kinds');
  const at = ['--namespace', namespace.name];
  const item = `${head}ContentItem\nmetadata: {name: motd}\nspec: {repositoryRef: {name: main}, path: /motd, source: {inline: {text: a}}}\n`;
  await kubectl(cluster, ['apply', ...at, '--filename=-'], item);
  const condition = {
    type: 'Ready',
    status: 'False',
    reason: 'RepositoryNotFound',
    message: 'there is no repository',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  };
  const patch = JSON.stringify({ status: { observedGeneration: 1, conditions: [condition] } });
  await kubectl(cluster, ['patch', 'gsitem', 'motd', ...at, '--subresource=status', '--type=merge', '--patch', patch]);
  const [columns, row] = (await kubectl(cluster, ['get', 'contentitems', ...at])).split('\n');
  expect(columns?.split(/ +/)).toEqual(['NAME', 'READY', 'REASON', 'PATH', 'SIZE', 'AGE']);
  expect(row).toMatch(/^motd +False +RepositoryNotFound +\/motd /);
  expect(await kubectl(cluster, ['get', 'gueststore', ...at, '--output=wide'])).toContain('there is no repository');
});

test('objects can be selected by what they refer to', async () => {
  await using namespace = await createNamespace(cluster, 'kinds');
  const at = ['--namespace', namespace.name];
  const item = (name: string, repository: string) =>
    `${head}ContentItem\nmetadata: {name: ${name}}\nspec: {repositoryRef: {name: ${repository}}, path: /${name}, source: {inline: {text: a}}}\n---\n`;
  const vm = (name: string, host: string) =>
    `${head}GuestVM\nmetadata: {name: ${name}}\nspec: {host: ${host}, channel: {hybridUDS: {}}}\n---\n`;
  const repository = (name: string, datastore: string) =>
    `${head}GuestStoreRepository\nmetadata: {name: ${name}}\nspec: {datastore: ${datastore}}\n---\n`;
  const all =
    item('a', 'one') +
    item('b', 'two') +
    vm('c', 'host-a') +
    vm('d', 'host-b') +
    repository('e', 'nfs-a') +
    repository('f', 'nfs-b');
  await kubectl(cluster, ['apply', ...at, '--filename=-'], all);
  const selected = async (plural: string, selector: string) =>
    (await kubectl(cluster, ['get', plural, ...at, '--field-selector', selector, '--output=name'])).trim();
  expect(await selected('contentitems', 'spec.repositoryRef.name=two')).toBe('contentitem.gueststore.dev/b');
  expect(await selected('guestvms', 'spec.host=host-a')).toBe('guestvm.gueststore.dev/c');
  expect(await selected('gueststorerepositories', 'spec.datastore=nfs-b')).toBe(
    'gueststorerepository.gueststore.dev/f',
  );
});

test('a policy with both lists full of the longest rules is taken', async () => {
  const rules = JSON.stringify(Array(256).fill(`/${'(ab|cd)*.'.repeat(113)}`));
  const policy = `${head}VMAccessPolicy\nmetadata: {name: full}\nspec: {vmSelector: {}, grant: ${rules}, deny: ${rules}}\n`;
  expect(await kubectl(cluster, ['create', '--dry-run=server', '--filename=-', '--output=name'], policy)).toContain(
    'full',
  );
});

test('an item with a full inline text is taken', async () => {
  const item = (base64: string) =>
    `${head}ContentItem\nmetadata: {name: full}\nspec: {repositoryRef: {name: a}, path: /a, source: {inline: {base64: ${base64}}}}\n`;
  const create = ['create', '--dry-run=server', '--filename=-', '--output=name'];
  expect(await kubectl(cluster, create, item(Buffer.alloc(2 ** 20).toString('base64')))).toContain('full');
  await expect(kubectl(cluster, create, item(Buffer.alloc(2 ** 20 + 1).toString('base64')))).rejects.toThrow(/1 MiB/);
});

test('kubectl explain says what a field is for', async () => {
  expect(await kubectl(cluster, ['explain', 'gsvm.spec.channel.hybridUDS.port'])).toContain('Port of the vsock');
});
