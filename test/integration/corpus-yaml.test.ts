import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { parseManifests } from '../../src/api/manifests.ts';
import { corpusFiles, corpusFolder } from '../support/corpus.ts';
import { testFolder } from '../support/folder.ts';
import type { Cluster } from '../support/kubernetes/api-server.ts';
import { programFile } from '../support/kubernetes/programs.ts';
import { sharedCluster } from '../support/kubernetes/shared-cluster.ts';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await sharedCluster();
});

/** The objects that kubectl reads in a file, without asking the server what it thinks of them; undefined when it cannot read it. */
async function kubectlReads(file: string): Promise<readonly { readonly spec?: unknown }[] | undefined> {
  const args = ['create', '--dry-run=client', '--validate=false', '--output=json', '--filename', file];
  try {
    const command = ['--kubeconfig', cluster.kubeconfig, ...args];
    const { stdout } = await promisify(execFile)(await programFile('kubectl'), command, { maxBuffer: 64 << 20 });
    return stdout.split(/(?<=^\}$)/m).flatMap((json) => (json.trim() === '' ? [] : [JSON.parse(json)]));
  } catch {
    return undefined;
  }
}

/** The same with our reading, as it would stand in JSON. */
async function weRead(file: string): Promise<readonly { readonly spec?: unknown }[] | undefined> {
  const { documents, faults } = parseManifests(await readFile(file), file);
  return faults.length > 0 ? undefined : documents.map(({ value }) => JSON.parse(JSON.stringify(value)));
}

const specs = (objects: readonly { readonly spec?: unknown }[] | undefined) => objects?.map(({ spec }) => spec);

test.each(corpusFiles('yaml'))('$name is read as kubectl reads it', async ({ name }) => {
  const file = join(corpusFolder, 'yaml', name);
  const theirs = await kubectlReads(file);
  expect(theirs === undefined).toBe(name.startsWith('bad-'));
  expect(specs(await weRead(file))).toEqual(specs(theirs));
});

test('two thousand odd words are read as kubectl reads them', async () => {
  const letters = fc.constantFrom(...'0123456789+-._eExXoObBaAfF:nNyYsStTuUlLrR~');
  const word = fc.oneof(
    fc.string({ unit: letters, minLength: 1, maxLength: 6 }),
    fc.string({ unit: fc.constantFrom(...'0123456789_.eE+-'), minLength: 1, maxLength: 24 }),
    fc
      .tuple(fc.constantFrom('0x', '0b', '0o', '0', '-0x', '+', '-'), fc.stringMatching(/^[0-9a-fA-F_]{1,20}$/))
      .map((parts) => parts.join('')),
  );
  // What is a sign of YAML at the place of a word would change the document rather than the word.
  const words = fc.sample(word, 2000).filter((text) => !/^-+$|:$|^---|^\.\.\.$/.test(text));
  const file = join(await testFolder(), 'words.yaml');
  const head = 'apiVersion: gueststore.dev/v1alpha1\nkind: VMAccessPolicy\nmetadata: {name: words}\nspec:\n';
  await writeFile(file, `${head}${words.map((text, index) => `  w${index}: ${text}\n`).join('')}`);
  const [[theirs], [ours]] = [specs(await kubectlReads(file)) ?? [], specs(await weRead(file)) ?? []];
  expect(theirs).toBeDefined();
  const spelled = (read: unknown) =>
    words.map((text, index) => [text, (read as Readonly<Record<string, unknown>>)[`w${index}`]]);
  expect(spelled(ours)).toEqual(spelled(theirs));
});
