import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

// src/kube/README.md says that a stranger can take the folder along, with what, and shows an operator made of it.

const folder = fileURLToPath(new URL('../../../src/kube/', import.meta.url));
const read = (name: string) => readFileSync(`${folder}${name}`, 'utf8');

test('the README shows the example as it is', () => {
  expect(read('README.md')).toContain(`\`\`\`ts\n${read('example.ts')}\`\`\``);
});

test('the example is short', () => {
  const lines = read('example.ts').split('\n');
  expect(lines.filter((line) => line !== '' && !/^(import|\/[/*])/.test(line)).length).toBeLessThanOrEqual(30);
});

test('the folder needs three packages and four files besides itself', () => {
  const sources = globSync('*.ts', { cwd: folder });
  const imported = sources.flatMap((name) =>
    Array.from(read(name).matchAll(/(?:from|import\() ?'([^']+)'/g), ([, from]) => from),
  );
  const foreign = imported.filter((from) => from !== undefined && !from.startsWith('./') && !from.startsWith('node:'));
  expect([...new Set(foreign)].toSorted()).toEqual([
    '../lib/errors.ts',
    '../lib/lifecycle.ts',
    '../lib/log.ts',
    '../lib/metrics.ts',
    '@kubernetes/client-node',
    'js-yaml',
    'undici',
  ]);
});

test('the error codes are those that the README names', () => {
  const used = globSync('*.ts', { cwd: folder }).flatMap((name) =>
    Array.from(
      read(name).matchAll(/GuestStoreError\(\s*'(\w+)'|asGuestStoreError\(\w+, '(\w+)'/g),
      ([, one, other]) => one ?? other,
    ),
  );
  for (const code of new Set(used)) expect(read('README.md')).toContain(`\`${code}\``);
  expect(used).not.toHaveLength(0);
});
