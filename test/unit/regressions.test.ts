import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const page = new URL('../../docs/regressions.md', import.meta.url);

interface Row {
  readonly happens: string;
  readonly tests: readonly { readonly file: string; readonly name: string }[];
}

/** The rows of all tables of the page. Throws where the third cell names no test. */
function rowsOf(text: string): readonly Row[] {
  const rows = text.matchAll(/^\| (?!what happens|---)(?<happens>.+?) \| (?<promised>.+?) \| (?<tests>.+) \|$/gm);
  return Array.from(rows, ({ groups = {} }) => ({
    happens: groups.happens ?? '',
    tests: testsOf(groups.tests ?? ''),
  }));
}

function testsOf(cell: string): Row['tests'] {
  return cell.split('<br>').map((one) => {
    const { file, name } = /^\[[^\]]+\]\((?<file>[^)]+)\): (?<name>.+)$/.exec(one)?.groups ?? {};
    if (file === undefined || name === undefined) throw new Error(`not "[file](path): name of the test": ${one}`);
    return { file, name };
  });
}

/**
 * Whether a test file gives that title to a test or a group; a table's title stands as it is written there. Of what CI runs
 * it is part of a command.
 */
function hasTitle(file: string, source: string, title: string): boolean {
  if (!file.endsWith('.test.ts')) return source.includes(title);
  const literal = title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll("'", "\\\\?'");
  return new RegExp(`\\(\\s*(['"\`])${literal}\\1`).test(source);
}

const rows = rowsOf(readFileSync(page, 'utf8'));

test.each(rows.flatMap(({ tests }) => tests))('$name stands in $file', ({ file, name }) => {
  const source = readFileSync(new URL(file, page), 'utf8');
  expect(name.split(' › ').filter((title) => !hasTitle(file, source, title))).toEqual([]);
});

test('each row is read', () => {
  const lines = readFileSync(page, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('|'));
  const heads = lines.filter((line) => /^\| (what happens|---) /.test(line));
  expect(rows).toHaveLength(lines.length - heads.length);
});
