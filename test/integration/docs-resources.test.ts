import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { kinds } from '../../src/api/resources.generated.ts';
import { judge } from '../support/judge.ts';
import { kubectl } from '../support/kubernetes/api-server.ts';
import { sharedCluster } from '../support/kubernetes/shared-cluster.ts';

const folder = fileURLToPath(new URL('../../docs/resources/', import.meta.url));
const pages = readdirSync(folder)
  .filter((name) => name !== 'README.md')
  .map((name) => ({ name, text: readFileSync(`${folder}${name}`, 'utf8') }));

const examples = pages.flatMap(({ name, text }) =>
  Array.from(text.matchAll(/^```yaml\n(.*?)^```$/gms), ([, yaml = '']) => ({ name, yaml })),
);

test('every kind has a page with an example of it', () => {
  const shown = examples.flatMap(({ yaml }) => judge(yaml).resources.map(({ kind }) => kind));
  expect(new Set(shown)).toEqual(new Set(Object.keys(kinds)));
  expect(pages).toHaveLength(Object.keys(kinds).length);
});

test.each(examples)('the example of $name is valid, and leaves no doubt', ({ name, yaml }) => {
  expect(judge(yaml, name)).toMatchObject({ faults: [], warnings: [] });
});

test('the API server takes all examples', async () => {
  const cluster = await sharedCluster();
  const inDefault = examples.map(({ yaml }) => yaml.replaceAll(/namespace: fleet/g, 'namespace: default'));
  for (const yaml of inDefault) {
    await kubectl(cluster, ['apply', '--server-side', '--dry-run=server', '--validate=strict', '--filename=-'], yaml);
  }
});
