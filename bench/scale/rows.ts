import { type BenchRow, rowAtMost } from '../row.ts';
import type { FleetSize } from './fleet.ts';
import type { FleetFigures, LoopDelay } from './run-fleet.ts';

/** Connections that the operator may have: a watch for each kind that it follows and one for its Lease, 32 for calls. */
const connectionBound = 48;
const mib = 2 ** 20;

/** Each figure beside its gate. */
export function scaleRows(size: FleetSize, small: FleetFigures, full: FleetFigures): readonly BenchRow[] {
  const { first, restart, rest, memory, item, policy, connections, loops } = full;
  const fleet = `${size.items} items, ${size.vms} VMs`;
  const seconds = (value: number) => `${value.toFixed(1)} s`;
  const ms = (value: number) => `${Math.round(value * 1000)} ms`;
  const worst = (name: LoopDelay['process']) => {
    const own = loops.filter(({ process }) => process === name);
    const p99 = Math.max(...own.map(({ loop }) => loop.p99));
    const each = own.map(({ during, loop }) => `${during} ${loop.p99.toFixed(0)}/${loop.max.toFixed(0)}`).join(', ');
    return rowAtMost('', `delay of the ${name}'s event loop, p99 of each part`, 50, p99, `p99/most ms: ${each}`);
  };
  const compared = (what: string, of: (figures: FleetFigures) => number) => {
    const [few, many] = [of(small), of(full)];
    // Below the clock's step there is nothing to compare.
    const ratio = many / Math.max(few, 0.001);
    return rowAtMost('', `${what}: ratio to ${100} VMs`, 2, ratio, `${ms(few)}, ${ms(many)}`);
  };
  return [
    rowAtMost(
      'G23',
      `restart with ${fleet}, until an edit made before is served and Ready`,
      30,
      restart,
      seconds(restart),
    ),
    rowAtMost('G23', 'first start, until all is served (s)', 30, first.served, seconds(first.served)),
    {
      id: '',
      what: 'first start, until each object says Ready',
      budget: '-',
      measured: `${seconds(first.ready)}, ${first.writes} writes`,
      ratio: first.ready,
      pass: true,
    },
    rowAtMost(
      'G23',
      'heap, the most ever in use (MiB)',
      400,
      memory.mostHeap / mib,
      `${Math.round(memory.mostHeap / mib)}, needed at rest ${Math.round(memory.heap / mib)}, RSS ${Math.round(memory.mostRss / mib)}`,
    ),
    rowAtMost(
      'G23',
      `writes to the API server in ${Math.round(rest.seconds)} s at rest`,
      0,
      rest.writes,
      `${rest.writes}; CPU ${((rest.cpu / rest.seconds) * 100).toFixed(1)} % of a core`,
    ),
    compared('label of one VM, edit to decision', (figures) => figures.label.latency),
    compared('the same, CPU of the operator', (figures) => figures.label.operatorCpu),
    compared("the same, CPU of the VM's daemon", (figures) => figures.label.daemonCpu),
    rowAtMost(
      '',
      'writes for the edit of one item',
      small.item.writes,
      item.writes,
      `${small.item.writes}, ${item.writes}; Ready after ${ms(item.latency)}`,
    ),
    rowAtMost('', `policy of ${size.vms} VMs, edit to enforced (s)`, 10, policy.enforced, seconds(policy.enforced)),
    rowAtMost(
      '',
      'other edits meanwhile, slowest to decide or to be Ready (s)',
      2,
      policy.slowestOther,
      `${seconds(policy.slowestOther)}; ${policy.writes} writes in ${seconds(policy.wave)}`,
    ),
    worst('operator'),
    worst('daemon'),
    rowAtMost(
      '',
      'connections to the API server, most',
      connectionBound,
      connections.most,
      `${connections.most}, at rest ${connections.atRest}; with 100 VMs ${small.connections.most}`,
    ),
  ];
}
