import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { load } from 'js-yaml';
import { expect, test } from 'vitest';
import { promtool } from '../support/prometheus.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const monitoring = join(root, 'manifests/monitoring');
const read = (file: string) => readFileSync(join(root, file), 'utf8');

interface Groups {
  readonly groups: readonly { readonly rules: readonly AlertRule[] }[];
}

interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

const { groups } = load(read('manifests/monitoring/alerts.yaml')) as Groups;
const rules = groups.flatMap((group) => group.rules);

test('promtool finds the rules right, and each fires when it should and not before', async () => {
  const check = await promtool(['check', 'rules', '--lint=all', join(monitoring, 'alerts.yaml')]);
  expect(check).toMatchObject({ code: 0, output: expect.stringContaining(`SUCCESS: ${rules.length} rules found`) });
  const tests = await promtool(['test', 'rules', join(root, 'test/monitoring/alerts.yaml')]);
  expect(tests).toMatchObject({ code: 0, output: expect.stringContaining('SUCCESS') });
});

test('no alert is without a test', () => {
  const { tests } = load(read('test/monitoring/alerts.yaml')) as {
    tests: readonly { alert_rule_test: readonly { alertname: string; exp_alerts: readonly unknown[] }[] }[];
  };
  const asked = tests.flatMap(({ alert_rule_test }) => alert_rule_test);
  for (const { alert } of rules) {
    const counts = asked.filter(({ alertname }) => alertname === alert).map(({ exp_alerts }) => exp_alerts.length);
    expect(Math.min(...counts), `${alert} rests`).toBe(0);
    expect(Math.max(...counts), `${alert} fires`).toBeGreaterThan(0);
  }
});

test('the Prometheus Operator gets the same rules', () => {
  const { spec } = load(read('manifests/monitoring/prometheus-rule.yaml')) as { spec: Groups };
  expect(spec.groups).toEqual(groups);
});

test('each alert says how bad it is and what it means, and has a page, and no page is without an alert', () => {
  for (const { alert, labels, annotations } of rules) {
    expect(['critical', 'warning']).toContain(labels.severity);
    expect(annotations).toEqual({
      summary: expect.stringMatching(/\.$/),
      description: expect.stringMatching(/\.$/),
      runbook_url: `docs/runbooks/${alert}.md`,
    });
  }
  const names = rules.map(({ alert }) => alert).sort();
  const pages = globSync('docs/runbooks/*.md', { cwd: root });
  expect(pages.map((page) => basename(page, '.md')).sort()).toEqual(names);
  for (const page of pages) {
    const text = read(page);
    const { expr = '' } = rules.find(({ alert }) => alert === basename(page, '.md')) ?? {};
    expect(text, page).toContain(`* Asks: \`${expr}\``);
    expect(text, page).toMatch(/^## How to look\n\n```sh\n(?:.|\n)+```\n\n## How to mend\n\n\* /m);
  }
  const listed = Array.from(
    read('docs/monitoring.md').matchAll(/^\| \[(\w+)\]\(runbooks\/\1\.md\) /gm),
    ([, name]) => name,
  );
  expect(listed.sort()).toEqual(names);
});

test('alerts, runbooks and the dashboard ask for metrics that docs/metrics.md lists', () => {
  const listed = new Set(Array.from(read('docs/metrics.md').matchAll(/^\| `(\w+)/gm), ([, name]) => name));
  const dashboard = read('manifests/monitoring/dashboard.json');
  const pages = globSync('docs/runbooks/*.md', { cwd: root }).map(read);
  const asked = [...rules.map(({ expr }) => expr), dashboard, ...pages].join('\n');
  const metric =
    /\b(?:gueststore|gstored|controller_runtime|workqueue|rest_client|reflector|leader_election|process|nodejs)_\w+/g;
  const names = new Set([...asked.matchAll(metric)].map(([name]) => name.replace(/_(?:bucket|sum|count)$/, '')));
  expect(names.size).toBeGreaterThan(30);
  expect([...names].filter((name) => !listed.has(name))).toEqual([]);
});
