import { cpus } from 'node:os';
import { formatTable } from '../src/cli/table.ts';
import type { BenchRow } from './row.ts';

// `npm run bench`: every budget that is measured, in one table. `--short` takes fewer rounds; `--only store|data-plane|enforced`
// takes a part. Exits with 0 whatever the figures say: a busy machine misses budgets that the code meets.

const short = process.argv.includes('--short');
const only = process.argv.includes('--only') ? process.argv[process.argv.indexOf('--only') + 1] : undefined;

const parts: Readonly<Record<string, () => Promise<readonly BenchRow[]>>> = {
  store: async () => (await import('./store.ts')).storeRows(short),
  'data-plane': async () => (await import('./data-plane.ts')).dataPlaneRows(short),
  enforced: async () => (await import('./enforced.ts')).enforcedRows(short ? 20 : 100),
};

const rows: BenchRow[] = [];
for (const [name, measure] of Object.entries(parts)) {
  if (only !== undefined && only !== name) continue;
  try {
    rows.push(...(await measure()));
  } catch (error) {
    rows.push({
      id: '-',
      what: name,
      budget: '-',
      measured: `failed: ${String(error)}`,
      ratio: Number.NaN,
      pass: false,
    });
  }
}

const [cpu] = cpus();
console.log(
  `Node ${process.version}, ${cpus().length} cores, ${cpu?.model ?? 'unknown'}, ${new Date().toISOString().slice(0, 10)}${short ? ', short run' : ''}`,
);
console.log(
  formatTable(
    ['ID', 'WHAT', 'BUDGET', 'RATIO', 'PASS', 'MEASURED'],
    rows.map(({ id, what, budget, measured, ratio, pass }) => [
      id,
      what,
      budget,
      ratio.toFixed(2),
      pass ? 'yes' : 'no',
      measured,
    ]),
  ),
);
