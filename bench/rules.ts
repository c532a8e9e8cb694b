import { RE2JS } from '@bufbuild/re2';
import type { ContentPath } from '../src/core/content-path.ts';
import type { Digest } from '../src/core/digest.ts';
import type { RuleSet } from '../src/core/settings.ts';
import { compileRuleSet } from '../src/rules/compile.ts';
import { createDecider } from '../src/rules/decision-cache.ts';
import { parseRuleStrings } from '../src/rules/rule-strings.ts';

// Time of one decision on paths of 1,024 bytes: `node bench/rules.ts`. Columns, in microseconds:
//   engine    the RE2 engine, rule by rule until one matches (known path)
//   union     the engine on alternations of 64 rules (known path; says only that one of them matches)
//   ours      compileRuleSet(...).decide, known path
//   new       the same on paths never seen before, made of parts that the rules look for: median and 99th percentile
const kinds: Record<string, (index: number) => string> = {
  'folder      .*/tool-N/.*': (index) => `.*/tool-${index}/.*`,
  'prefix      /apps/toolN/.*\\.json': (index) => `/apps/tool${index}/.*\\.json`,
  'star        (.*/)*.*\\.jN': (index) => `(.*/)*.*\\.j${index}`,
  'ambiguous   /(a|aa)*bN': (index) => `/(a|aa)*b${index}`,
  'three parts .*/aN.*b.*/cN': (index) => `.*/a${index}.*b.*/c${index}`,
  'segments    /[a-z0-9/]*N/[^/]+/[^/]+': (index) => `/[a-z0-9/]*${index}/[^/]+/[^/]+`,
  'counted     .*x[a-z/]{100..149}': (index) => `.*x[a-z/]{${100 + (index % 50)}}`,
};
const parts = ['/tool-', '/a', 'b', '/c', '.j', 'aa', 'x', '/', 'n'];

function main(): void {
  console.log(`${'pattern'.padEnd(40)} rules | engine   union    ours |     new     p99 | state KiB`);
  for (const [name, pattern] of Object.entries(kinds)) {
    for (const count of [10, 100, 1000])
      measureKind(
        name,
        Array.from({ length: count }, (_, index) => pattern(index)),
      );
  }
  measureCache();
}

function measureKind(name: string, patterns: readonly string[]): void {
  const known = '/vmware/apps/'.concat('vmtools/windows64/'.repeat(60)).slice(0, 1020).concat('.exe');
  const alone = patterns.map((pattern) => RE2JS.compile(pattern, RE2JS.DOTALL));
  const unions = chunks(patterns, 64).map((chunk) => RE2JS.compile(`(?:${chunk.join(')|(?:')})`, RE2JS.DOTALL));
  const engine = micros(20, () => alone.some((one) => one.testExact(known)));
  const union = micros(50, () => unions.some((one) => one.testExact(known)));

  const rules = compileRuleSet(parseRuleStrings({ grant: '', deny: patterns.join(';') }));
  const ours = micros(500, () => rules.decide(known as ContentPath));
  const paths = Array.from({ length: 600 }, createPaths(1));
  const times = paths.map((path) => micros(1, () => rules.decide(path as ContentPath))).slice(paths.length / 2);
  times.sort((a, b) => a - b);
  const [median, late] = [times[times.length >> 1], times[Math.floor(times.length * 0.99)]];
  console.log(
    `${name.padEnd(40)} ${String(patterns.length).padStart(5)} | ${[engine, union, ours].map(cell).join(' ')} | ${cell(median)} ${cell(late)} | ${rules.stateBytes >> 10}`,
  );
}

/** What ten rules add to a request when decisions are remembered. */
function measureCache(): void {
  const decider = createDecider((_, error) => {
    throw error;
  });
  const ten = parseRuleStrings({
    grant: Array.from({ length: 9 }, (_, index) => `.*/vmtools-${index}/.*`).join(';'),
    deny: '.*',
  });
  const digest: Digest = `sha256:${'0'.repeat(64)}`;
  const texts = Array.from({ length: 1000 }, (_, index) =>
    Buffer.from(`/vmware/apps/vmtools-${index % 12}/setup-${index}.exe`),
  );
  const run = (ruleSet: RuleSet) => () => {
    // A path arrives as bytes: its text is new each time, also when it was seen before.
    for (const text of texts) decider.decide(digest, ruleSet, text.toString('latin1') as ContentPath);
  };
  const compiled = compileRuleSet(ten);
  const uncached = () => {
    for (const text of texts) compiled.decide(text.toString('latin1') as ContentPath);
  };
  console.log(
    `\nten rules, a path of 40 bytes: ${cell(micros(200, run(ten)) / 1000)} us remembered, ${cell(micros(200, uncached) / 1000)} us decided anew`,
  );
}

function createPaths(start: number): () => string {
  let seed = start;
  const below = (limit: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % limit;
  };
  return () => {
    let path = '';
    while (path.length < 1024) path += (parts[below(parts.length)] ?? '') + (below(2) === 0 ? below(1000) : '');
    return `/${path}`.slice(0, 1024);
  };
}

/** Microseconds of one run, after warming up when there are several. */
function micros(runs: number, run: () => unknown): number {
  if (runs > 1) for (let index = 0; index < runs / 2; index++) run();
  const start = performance.now();
  for (let index = 0; index < runs; index++) run();
  return ((performance.now() - start) * 1000) / runs;
}

function chunks(list: readonly string[], size: number): string[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, index) =>
    list.slice(index * size, (index + 1) * size),
  );
}

function cell(value: number | undefined): string {
  return (value ?? 0).toFixed((value ?? 0) < 10 ? 2 : 0).padStart(7);
}

main();
