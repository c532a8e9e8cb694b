import { randomInt } from 'node:crypto';
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import buildProgram from '../test/support/build.ts';
import { runHandovers } from '../test/support/handovers/run.ts';

// `npm run handovers -- --rounds 100`: three operators on a real API server take the Lease from each other while somebody
// edits. `--lease SECONDS` (15) makes it shorter, `--seed` brings a run back. Exits with 1 when anything is not as it must be.

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '100' },
    lease: { type: 'string', default: '15' },
    seed: { type: 'string', default: `${randomInt(2 ** 32)}` },
  },
});

const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
console.log(`Node ${process.version}, ${cpus().length} cores, ${memory}, ${new Date().toISOString().slice(0, 10)}`);
await buildProgram();
const began = performance.now();
const figures = await runHandovers({
  rounds: Number(values.rounds),
  seed: Number(values.seed),
  leaseSeconds: Number(values.lease),
  say: console.log,
});
console.log(figures);
console.log(`${Math.round((performance.now() - began) / 1000)} s in all`);
