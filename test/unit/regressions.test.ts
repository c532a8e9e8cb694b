import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const page = new URL('../../docs/regressions.md', import.meta.url);

interface Row {
  readonly happens: string;
  readonly tests: readonly { readonly file: string; readonly name: string }[];
}

/** The rows of all tables of the page. Throws where the third cell is neither tests nor `none yet`. */
function rowsOf(text: string): readonly Row[] {
  const rows = text.matchAll(/^\| (?<happens>.+?) \| (?<promised>.+?) \| (?<tests>.+) \|$/gm);
  return Array.from(rows, ({ groups = {} }) => ({
    happens: groups.happens ?? '',
    tests: testsOf(groups.tests ?? ''),
  })).filter(({ happens }) => happens !== 'what happens' && happens !== '---');
}

function testsOf(cell: string): Row['tests'] {
  if (['none yet', 'test', '---'].includes(cell)) return [];
  return cell.split('<br>').map((one) => {
    const { file, name } = /^\[[^\]]+\]\((?<file>[^)]+)\): (?<name>.+)$/.exec(one)?.groups ?? {};
    if (file === undefined || name === undefined) throw new Error(`not "[file](path): name of the test": ${one}`);
    return { file, name };
  });
}

/** Whether a test file gives that title to a test or a group; a table's title stands as it is written there. */
function hasTitle(source: string, title: string): boolean {
  const literal = title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll("'", "\\\\?'");
  return new RegExp(`\\(\\s*(['"\`])${literal}\\1`).test(source);
}

const rows = rowsOf(readFileSync(page, 'utf8'));

test.each(rows.flatMap(({ tests }) => tests))('$name stands in $file', ({ file, name }) => {
  const source = readFileSync(new URL(file, page), 'utf8');
  expect(name.split(' › ').filter((title) => !hasTitle(source, title))).toEqual([]);
});

/** Debts: whoever pays one takes its line away, here and on the page. */
const untested: readonly string[] = ['10,000 items and 10,000 VMs', 'Many hours of all of this'];

test('what has no test yet is known', () => {
  expect(rows.filter(({ tests }) => tests.length === 0).map(({ happens }) => happens)).toEqual(untested);
});
