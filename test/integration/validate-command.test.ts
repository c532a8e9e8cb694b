import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { runValidate } from '../../src/cli/validate.ts';
import { testFolder } from '../support/folder.ts';

/** Runs the command on a folder with these files; what it prints comes back with the folder's name taken out. */
async function validate(files: Readonly<Record<string, string>>, strict = false, paths: readonly string[] = ['']) {
  const folder = await testFolder();
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  const [stdout, stderr] = [new Collected(), new Collected()];
  const code = await runValidate(
    { paths: paths.map((path) => join(folder, path)), strict },
    { stdout, stderr, signal: new AbortController().signal },
  );
  const lines = stderr.text.replaceAll(`${folder}/`, '').split('\n').slice(0, -1);
  return { code, lines, summary: stdout.text.trim() };
}

class Collected extends Writable {
  text = '';

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

const head = 'apiVersion: gueststore.dev/v1alpha1\nkind: ';
const repository = (name: string, spec = '{datastore: default}', namespace = 'fleet') =>
  `${head}GuestStoreRepository\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: ${spec}\n---\n`;
const datastore = (namespaces: string) =>
  `${head}GuestStoreDatastore\nmetadata: {name: default}\nspec: {namespaces: ${namespaces}}\n---\n`;
const item = (name: string, more: string, source = '{inline: {text: a}}') =>
  `${head}ContentItem\nmetadata: {name: ${name}, namespace: fleet}\nspec:\n  source: ${source}\n  ${more}\n---\n`;
const vm = (name: string, more: string) =>
  `${head}GuestVM\nmetadata: {name: ${name}, namespace: fleet}\nspec:\n  host: host-a\n  ${more}\n---\n`;

test('a folder in order is said to be so', async () => {
  const files = {
    'a/repository.yaml': repository('main'),
    'a/item.yml': item('motd', 'path: /motd\n  repositoryRef: {name: main}'),
    'vm.json': JSON.stringify({
      apiVersion: 'gueststore.dev/v1alpha1',
      kind: 'GuestVM',
      metadata: { name: 'web-7', namespace: 'fleet' },
      spec: { host: 'host-a', channel: { hybridUDS: {} } },
    }),
    'deployment.yaml': 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n',
    'kustomization.yaml': 'resources: [vm.json]\n',
    '.hidden.yaml': 'not: ours\n',
    '.git/config.yaml': 'not: ours\n',
    'notes.txt': 'not: ours\n',
  };
  expect(await validate(files)).toEqual({
    code: 0,
    lines: [],
    summary: '3 valid objects, 0 faults, 0 warnings, 1 object of other kinds passed over',
  });
});

test('each fault is printed with its place and a way out, and the code is 1', async () => {
  const { code, lines, summary } = await validate({
    'bad.yaml': `${repository('main')}${item('motd', 'path: motd\n  repositoryRef: {name: main}')}a: [\n`,
  });
  expect(code).toBe(1);
  expect(lines).toEqual([
    expect.stringMatching(/^bad\.yaml:11: spec\.path: must begin with '\/' \(.+\)$/),
    expect.stringMatching(/^bad\.yaml:15: .+ \(.+\)$/),
  ]);
  expect(summary).toBe('1 valid object, 2 faults, 0 warnings');
});

test.each([
  [
    'an item of a repository that is not there',
    item('a', 'path: /a\n  repositoryRef: {name: main}'),
    ['RepositoryNotFound'],
  ],
  [
    'an item of a repository that does not let it in',
    repository('main', '{datastore: default}', 'other') +
      item('a', 'path: /a\n  repositoryRef: {name: main, namespace: other}'),
    ['ReferenceNotPermitted'],
  ],
  [
    'a path that two items claim',
    repository('main') + ['b', 'a'].map((name) => item(name, 'path: /p\n  repositoryRef: {name: main}')).join(''),
    ['item fleet/a too, which comes first (PathConflict)'],
  ],
  [
    'a channel that two VMs claim',
    repository('main') +
      vm('web-7', 'channel: {hybridUDS: {}}') +
      vm('web-8', 'channel: {hybridUDS: {path: web-7.vsock}}'),
    ['GuestVM fleet/web-8 has the same channel', 'GuestVM fleet/web-7 has the same channel'],
  ],
  [
    'a datastore that does not take the namespace in',
    datastore('[]') + repository('main'),
    ['No rule of GuestStoreDatastore default fits namespace fleet'],
  ],
  [
    'a root that the datastore does not give',
    datastore('[{from: All}]') + repository('main', '{datastore: default, root: GuestStore}'),
    ['choose a root at or below fleet (RootNotPermitted)'],
  ],
  [
    'a source that the datastore lets connect nowhere',
    datastore('[{from: All, egress: {hosts: [files.test]}}]') +
      repository('main') +
      item(
        'a',
        `path: /a\n  repositoryRef: {name: main}\n  digest: sha256:${'0'.repeat(64)}`,
        '{http: {url: "http://other.test/a"}}',
      ),
    ['lets no source of namespace fleet connect there (EgressNotPermitted)'],
  ],
  ['a VM without a repository', vm('web-7', 'channel: {hybridUDS: {}}'), ['RepositoryNotFound']],
  [
    'a VM with two repositories to choose from',
    repository('one') + repository('two') + vm('web-7', 'channel: {hybridUDS: {}}'),
    ['RepositoryAmbiguous'],
  ],
  [
    'roots that lie in one another',
    repository('one', '{datastore: default, root: a}') + repository('two', '{datastore: default, root: a/b}'),
    ['overlaps the root of repository fleet/one'],
  ],
  [
    'a ConfigMap that is not there',
    repository('main') +
      item('a', 'path: /a\n  repositoryRef: {name: main}', '{configMapKeyRef: {name: files, key: a}}'),
    ['there is no ConfigMap fleet/files'],
  ],
  [
    'a Secret without that key',
    repository('main') +
      'apiVersion: v1\nkind: Secret\nmetadata: {name: keys, namespace: fleet}\nstringData: {b: c}\n---\n' +
      item('a', 'path: /a\n  repositoryRef: {name: main}', '{secretKeyRef: {name: keys, key: a}}'),
    ['Secret fleet/keys has no key a (it has b)'],
  ],
  [
    'an object that stands twice',
    repository('main') + repository('main'),
    ['GuestStoreRepository fleet/main stands in'],
  ],
  ['a key that stands twice', repository('main', '{datastore: a, datastore: b}'), ['only the last one counts']],
])('%s is a warning, and a fault only when asked to be strict', async (_, text, expected) => {
  const lenient = await validate({ 'a.yaml': text });
  expect(lenient.lines).toEqual(expected.map((words) => expect.stringContaining(words)));
  expect(lenient.lines.every((line) => /^a\.yaml:\d+: warning: \S+: .+ \(.+\)$/.test(line))).toBe(true);
  expect(lenient.code).toBe(0);
  expect((await validate({ 'a.yaml': text }, true)).code).toBe(1);
});

test('a repository that opens itself by namespace labels is open', async () => {
  const namespace = 'apiVersion: v1\nkind: Namespace\nmetadata: {name: fleet, labels: {team: web}}\n---\n';
  const allow = '{items: {from: Selector, selector: {matchLabels: {team: web}}}}';
  const open = repository('main', `{datastore: default, allow: ${allow}}`, 'other');
  const files = { 'a.yaml': namespace + open + item('a', 'path: /a\n  repositoryRef: {name: main, namespace: other}') };
  expect((await validate(files, true)).lines).toEqual([]);
});

test('a file is read whatever its name, and links are followed', async () => {
  expect((await validate({ 'manifest.txt': repository('main') }, false, ['manifest.txt'])).summary).toMatch(/^1 valid/);
  const folder = await testFolder();
  await writeFile(join(folder, 'real'), repository('main'));
  await symlink('real', join(folder, 'link.yaml'));
  const stdout = new Collected();
  await runValidate(
    { paths: [folder], strict: false },
    { stdout, stderr: new Collected(), signal: new AbortController().signal },
  );
  expect(stdout.text).toMatch(/^1 valid/);
});

test('a path that is not there is wrong usage', async () => {
  await expect(validate({}, false, ['nowhere'])).rejects.toMatchObject({ code: 'InvalidArgument' });
  await expect(validate({}, false, [])).rejects.toMatchObject({ code: 'InvalidArgument' });
});
