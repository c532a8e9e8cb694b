import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';
import { badFiles, corpusFiles, corpusFolder } from '../support/corpus.ts';
import { judge } from '../support/judge.ts';
import { kubectl } from '../support/kubernetes/api-server.ts';
import { programFile } from '../support/kubernetes/programs.ts';
import { sharedCluster } from '../support/kubernetes/shared-cluster.ts';

interface ServerVerdicts {
  /** What the API server would keep, in the order of the files that hold it. */
  readonly accepted: readonly {
    readonly kind: string;
    readonly metadata: object;
    readonly spec?: object;
    readonly status?: object;
  }[];
  /** What it said of a file that it refused. */
  refusal(file: string): string | undefined;
}

const good = corpusFiles('good');
const bad = badFiles();
let server: ServerVerdicts;

beforeAll(async () => {
  const cluster = await sharedCluster();
  // Some manifests name a namespace; without it the API server refuses them for that alone.
  await kubectl(cluster, ['create', 'namespace', 'corpus']);
  // One kubectl for all: it goes on after an object that is refused, and names the file.
  const args = [
    'create',
    '--dry-run=server',
    '--validate=strict',
    '--output=json',
    '--filename=good',
    '--filename=bad',
  ];
  const { stdout, stderr } = await promisify(execFile)(
    await programFile('kubectl'),
    ['--kubeconfig', cluster.kubeconfig, ...args],
    { cwd: corpusFolder, maxBuffer: 64 << 20 },
  ).catch((error: { readonly stdout: string; readonly stderr: string }) => error);
  server = {
    accepted: stdout.split(/(?<=^\}$)/m).flatMap((json) => (json.trim() === '' ? [] : [JSON.parse(json)])),
    refusal: (file) => stderr.split(/\n|(?<=[,[]) ?(?=error |unable |resource )/).find((part) => part.includes(file)),
  };
});

test('the API server accepts what we accept, and refuses what we refuse', () => {
  const differing: string[] = [];
  for (const { name, text } of good) {
    const ours = judge(text, name).faults.length === 0;
    const theirs = server.refusal(`good/${name}`) === undefined;
    if (!ours || !theirs) differing.push(`good/${name}: ours ${ours}, theirs ${theirs}`);
  }
  for (const { name, text } of bad) {
    const ours = judge(text, name).faults.length === 0;
    const theirs = server.refusal(`bad/${name}`) === undefined;
    if (ours || theirs) differing.push(`bad/${name}: ours ${ours}, theirs ${theirs}`);
  }
  expect(differing).toEqual([]);
  expect(server.accepted).toHaveLength(good.length);
  console.log(`corpus: ${good.length} good, ${bad.length} bad, verdicts equal`);
});

/** Without the place in a list, and a key of a map counts as its map: kubectl is not as exact. */
function coarse(field: string): string {
  return field.replace(/\[[^\]]*\]/g, '').replace(/^(metadata\.\w+)\..*/, '$1');
}

test.each(bad.filter(({ field }) => /^(spec|metadata|status)\./.test(field)))(
  '$name: the API server blames $field too',
  ({ name, field }) => {
    const said = server.refusal(`bad/${name}`)?.replace(/\[\d+\]/g, '');
    // Names are refused in other words when the object cannot even be addressed.
    const words = { 'metadata.name': /\bname\b/, 'metadata.namespace': /namespace/ }[field];
    if (words !== undefined) expect(said).toMatch(words);
    else if (field === 'metadata.creationTimestamp') expect(said).toContain('parsing time');
    else expect(said).toContain(coarse(field));
  },
);

test('the API server fills in the same defaults', () => {
  const ours = good.flatMap(({ name, text }) => judge(text, name).resources);
  const key = ({ kind, metadata, spec }: { kind: string; metadata: object; spec?: object | undefined }) =>
    JSON.stringify([kind, 'name' in metadata && metadata.name, sorted(spec)]);
  const theirs = new Map(server.accepted.map((object) => [key(object), object]));
  for (const resource of ours) {
    const { spec = {}, status } = theirs.get(key(resource)) ?? {};
    expect({ spec, status }).toEqual({ spec: resource.spec, status: resource.status });
  }
});

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
