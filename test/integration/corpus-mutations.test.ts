import fc from 'fast-check';
import { Agent, request } from 'undici';
import { beforeAll, expect, test } from 'vitest';
import { parseManifests } from '../../src/api/manifests.ts';
import { type Kind, kinds } from '../../src/api/resources.generated.ts';
import { corpusFiles } from '../support/corpus.ts';
import { judge } from '../support/judge.ts';
import type { Cluster } from '../support/kubernetes/api-server.ts';
import { sharedCluster } from '../support/kubernetes/shared-cluster.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Path = readonly (string | number)[];

let cluster: Cluster;
let connections: Agent;

beforeAll(async () => {
  cluster = await sharedCluster();
  connections = new Agent({ connect: { ca: cluster.ca } });
  return () => connections.close();
});

/** What the API server says of creating an object, without creating it. */
async function serverRefusal(object: { [key: string]: Json }): Promise<string | undefined> {
  const { plural, namespaced } = kinds[object.kind as Kind];
  const url = `${cluster.url}/apis/gueststore.dev/v1alpha1/${namespaced ? 'namespaces/default/' : ''}${plural}`;
  const { statusCode, body } = await request(`${url}?dryRun=All&fieldValidation=Strict`, {
    method: 'POST',
    dispatcher: connections,
    headers: { authorization: `Bearer ${cluster.tokens.admin}`, 'content-type': 'application/json' },
    body: JSON.stringify(object),
  });
  const text = await body.text();
  if (statusCode < 300) return undefined;
  expect(statusCode, text).toBeLessThan(500);
  return text;
}

const originals = corpusFiles('good')
  .flatMap(({ name, text }) => parseManifests(text, name).documents)
  .map(({ value }) => value as { [key: string]: Json })
  // The namespace of the others is not there.
  .filter(({ metadata }) => !(metadata as { [key: string]: Json }).namespace);

/** Values that are wrong somewhere, and right elsewhere. */
const oddValues: readonly Json[] = [
  null, '', ' ', 'a', 'A b', 'yes', 0, -1, 1.5, 3, 1024, 4294967295, 1e20, true, false, [], {}, [null], [''], ['a'], ['('], ['a;b'],
  { a: 'b' }, { a: 1 }, { name: 'a' }, { text: '' }, { from: 'All' }, { from: 'Selector' }, { key: 'a', operator: 'Exists' },
  '/', '/a', '/a/', '//a', '/../a', '/ä/é', '/a;b', '/a\\b', '/a\u0000', '/a\u2028', '..', 'a/..', '.gueststore', '.gueststore/a',
  'https://a.example/b', 'https://u@a.example', 'http:///', 'https://a.example/ä', '1h', '0s', '1d', '90m30s', '512Mi', '513Mi', '1e3',
  '0', '-1', '0.5Gi', '4Pi', '5Pi', 'sha256:ab', `sha256:${'a'.repeat(64)}`, 'YQ==', 'YQ=', 'x'.repeat(300), 'ä'.repeat(100),
  'Open', 'Closed', 'Same', 'Whole', 'Audit', 'Listen', '(?i)a.*', 'a{1001}', '\\pN', '[[:foo:]]', '(?P<a>b)(?P<a>c)', '\\8', 'x**',
]; // biome-ignore format: a table

const oddKeys = [
  'a',
  'name',
  'namespace',
  'path',
  'port',
  'text',
  'from',
  'suspend',
  'names',
  'selector',
  'host',
  'status',
  'vsphere',
  'tls',
  '',
  'ä',
];

type Mutation =
  | { readonly act: 'remove'; readonly at: number }
  | { readonly act: 'replace'; readonly at: number; readonly value: Json }
  | { readonly act: 'add'; readonly at: number; readonly key: string; readonly value: Json }
  | { readonly act: 'copy'; readonly at: number; readonly from: number };

const at = fc.nat(10_000);
const value = fc.oneof(
  fc.constantFrom(...oddValues),
  fc.string({ unit: 'binary', maxLength: 12 }).filter((text) => text.isWellFormed()),
);
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ act: fc.constant('remove' as const), at }),
  fc.record({ act: fc.constant('replace' as const), at, value }),
  fc.record({ act: fc.constant('add' as const), at, key: fc.constantFrom(...oddKeys), value }),
  fc.record({ act: fc.constant('copy' as const), at, from: at }),
);

function mutate(original: { [key: string]: Json }, mutations: readonly Mutation[]): { [key: string]: Json } {
  const object = structuredClone(original);
  for (const step of mutations) {
    // Not what the object is: a request for another kind is another question.
    const paths = [...pathsOf(object, [])].filter(([first]) => first !== 'kind' && first !== 'apiVersion');
    const path = paths[step.at % paths.length] ?? [];
    if (step.act === 'remove') set(object, path, undefined);
    else if (step.act === 'replace') set(object, path, step.value);
    else if (step.act === 'add') set(object, [...path, step.key], step.value);
    else set(object, path, structuredClone(get(object, paths[step.from % paths.length] ?? []) ?? null));
  }
  // Nor where it lies: the server refuses a request to another place before it looks at the object.
  set(object, ['metadata', 'namespace'], get(original, ['metadata', 'namespace']));
  return object;
}

function* pathsOf(value: Json, path: Path): Iterable<Path> {
  if (path.length > 0) yield path;
  if (typeof value !== 'object' || value === null) return;
  // A list of hundreds must not take all the chances.
  for (const [key, inner] of Object.entries(value).slice(0, 12)) {
    yield* pathsOf(inner, [...path, Array.isArray(value) ? Number(key) : key]);
  }
}

function get(value: Json, path: Path): Json | undefined {
  return path.reduce<Json | undefined>((inner, key) => (inner as { [key: string]: Json } | undefined)?.[key], value);
}

function set(object: Json, path: Path, value: Json | undefined): void {
  const parent = get(object, path.slice(0, -1));
  const last = path.at(-1);
  if (typeof parent !== 'object' || parent === null || last === undefined) return;
  if (Array.isArray(parent) && typeof last === 'string') parent.push(value ?? null);
  else if (value === undefined && Array.isArray(parent)) parent.splice(Number(last), 1);
  else if (value === undefined) delete (parent as { [key: string]: Json })[last];
  else (parent as { [key: string]: Json })[last] = value;
}

test('objects that went astray at random get the same verdict here and there', async () => {
  let refused = 0;
  const run = fc.asyncProperty(
    fc.constantFrom(...originals),
    fc.array(mutation, { minLength: 1, maxLength: 3 }),
    async (original, mutations) => {
      const object = mutate(original, mutations);
      const { faults } = judge(JSON.stringify(object));
      const theirs = await serverRefusal(object);
      if (theirs !== undefined) refused += 1;
      const said = `ours: ${JSON.stringify(faults.map(({ field, reason }) => `${field}: ${reason}`))}\ntheirs: ${theirs}\n${JSON.stringify(object)}`;
      expect(faults.length > 0, said).toBe(theirs !== undefined);
    },
  );
  await fc.assert(run, { numRuns: Number(process.env.GUESTSTORE_MUTATIONS ?? 600), interruptAfterTimeLimit: 50_000 });
  // Neither verdict may be so rare that the comparison would say little.
  expect(refused).toBeGreaterThan(50);
});
