import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { kinds } from '../../src/api/resources.generated.ts';
import { judge } from '../support/judge.ts';
import { kubectl } from '../support/kubernetes/api-server.ts';
import { sharedCluster } from '../support/kubernetes/shared-cluster.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const pages = globSync(['README.md', 'CONTRIBUTING.md', 'docs/**/*.md', 'src/**/*.md'], { cwd: root });
const examples = pages.flatMap((page) =>
  Array.from(readFileSync(`${root}${page}`, 'utf8').matchAll(/^```yaml\n(.*?)^```$/gms), ([, yaml = '']) => ({
    page,
    yaml,
  })),
);
const samples = globSync('manifests/samples/**/*.yaml', { cwd: root }).map((page) => ({
  page,
  yaml: readFileSync(`${root}${page}`, 'utf8'),
}));

test('every kind has a page with an example of it', () => {
  const shown = examples
    .filter(({ page }) => page.startsWith('docs/resources/'))
    .flatMap(({ yaml }) => judge(yaml).resources.map(({ kind }) => kind));
  expect(new Set(shown)).toEqual(new Set(Object.keys(kinds)));
});

describe.each([...examples, ...samples])('the manifests in $page', ({ page, yaml }) => {
  test('are valid, and leave no doubt', () => {
    expect(judge(yaml, page)).toMatchObject({ faults: [], warnings: [] });
  });

  test('are taken by the API server', async () => {
    const cluster = await sharedCluster();
    // A dry run makes no namespace for what follows.
    const inDefault = yaml
      .replaceAll(/(namespace:) (?:fleet|[a-z-]+)$/gm, '$1 default')
      .replaceAll(/namespace: fleet/g, 'namespace: default');
    await kubectl(
      cluster,
      ['apply', '--server-side', '--dry-run=server', '--validate=strict', '--filename=-'],
      inDefault,
    );
  });
});

test('every link between pages leads somewhere', () => {
  const broken = pages.flatMap((page) => {
    const folder = page.includes('/') ? page.slice(0, page.lastIndexOf('/') + 1) : '';
    const text = readFileSync(`${root}${page}`, 'utf8');
    return [...text.matchAll(/\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)/g)].flatMap(([, target = '']) =>
      globSync(target.replace(/\/$/, ''), { cwd: `${root}${folder}` }).length === 0 ? [`${page}: ${target}`] : [],
    );
  });
  expect(broken).toEqual([]);
});
