import { parseArgs } from 'node:util';
import buildProgram from '../test/support/build.ts';
import { runSoak } from './soak/run-soak.ts';
import { soakTable } from './soak/table.ts';

// `npm run soak -- --minutes N`: operator, daemon and API server under random faults; `--seed S` has the same ones again.
// Exits with 1 when something grew, a guest was lied to, or not all is as declared in the end.

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '60' }, seed: { type: 'string' } } });
const seed = values.seed === undefined ? Math.floor(Math.random() * 1_000_000) : Number(values.seed);
const minutes = Number(values.minutes);
const began = performance.now();
const say = (text: string) => console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(7)}  ${text}`);

console.log(`soak for ${minutes} minutes, --seed ${seed}`);
await buildProgram();
const result = await runSoak({ minutes, seed }, say);
console.log(soakTable(result));
if (result.failures.length > 0) process.exitCode = 1;
