import { cpus, loadavg, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { formatTable } from '../src/cli/table.ts';
import buildProgram from '../test/support/build.ts';
import { scaleRows } from './scale/rows.ts';
import { runFleet } from './scale/run-fleet.ts';
import { runSoak } from './soak/run-soak.ts';
import { soakTable } from './soak/table.ts';

// `npm run bench:scale`: a large fleet on a real API server, with the operator and daemons as processes of the built
// program. `--items`, `--vms` (10,000 each) and `--rest SECONDS` (600) make it smaller; `--soak MINUTES` soaks another
// installation while the first is at rest (`npm run soak`). Exits with 0 whatever the figures say, with 1 when a soak fails.

const { values } = parseArgs({
  options: {
    items: { type: 'string', default: '10000' },
    vms: { type: 'string', default: '10000' },
    rest: { type: 'string', default: '600' },
    rounds: { type: 'string', default: '30' },
    soak: { type: 'string' },
    /** Where the operator's Node leaves CPU profiles. */
    profile: { type: 'string' },
  },
});

const size = { items: Number(values.items), vms: Number(values.vms) };
const rounds = Number(values.rounds);
const node = values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values.profile}`];
const began = performance.now();
const say = (text: string) => console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(7)}  ${text}`);

const [cpu] = cpus();
const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
console.log(
  `Node ${process.version}, ${cpus().length} cores, ${cpu?.model ?? 'unknown'}, ${memory}, ${new Date().toISOString().slice(0, 10)}, load ${loadavg()[0]?.toFixed(1)}`,
);
await buildProgram();
const small = await runFleet({ items: 100, vms: 100, rest: 5, rounds, whole: false, node: [] }, say);
const soak = async () => {
  const seed = Math.floor(Math.random() * 1_000_000);
  say(`soak for ${values.soak} minutes, --seed ${seed}`);
  const result = await runSoak({ minutes: Number(values.soak), seed }, say);
  console.log(soakTable(result));
  if (result.failures.length > 0) process.exitCode = 1;
};
const meanwhile = values.soak === undefined ? undefined : soak;
const full = await runFleet({ ...size, rest: Number(values.rest), rounds, whole: true, node, meanwhile }, say);
console.log(
  formatTable(
    ['ID', 'WHAT', 'BUDGET', 'PASS', 'MEASURED'],
    scaleRows(size, small, full).map(({ id, what, budget, measured, pass }) => [
      id,
      what,
      budget,
      pass ? 'yes' : 'no',
      measured,
    ]),
  ),
);
