import type { Client } from '../../../src/kube/client.ts';
import { createInformer } from '../../../src/kube/informer.ts';
import { leases } from '../../../src/kube/resource.ts';
import { silent } from '../../../src/lib/log.ts';
import { eventually } from '../eventually.ts';
import type { Installation } from '../installation.ts';
import type { Program } from '../programs.ts';

const systemNamespace = 'gueststore-system';
const leaseName = 'gueststore-operator';

export interface Operator {
  readonly identity: string;
  readonly program: Program;
  /** Resolves when it stands for the Lease. */
  readonly standing: Promise<unknown>;
}

/** Several operators of one installation, and who of them holds the Lease. */
export interface Operators extends AsyncDisposable {
  /** Starts another one and does not wait for it. */
  start(): Promise<Operator>;
  /** The holder, one that runs and is not `but`; waits for it. */
  leader(but?: Operator): Promise<Operator>;
  /** Resolves when at least one stands beside the leader. */
  standby(leader: Operator): Promise<unknown>;
  /** It was killed or has ended. */
  forget(operator: Operator): void;
  readonly all: readonly Operator[];
  deleteLease(): Promise<void>;
}

/** Milliseconds that a change of leaders may take at most. */
const patience = 90_000;

export function createOperators(installation: Installation, admin: Client, leaseSeconds: number): Operators {
  const running = new Set<Operator>();
  const stop = new AbortController();
  let started = 0;
  let holder = '';
  const informer = createInformer({ client: admin, resource: leases, namespace: systemNamespace, log: silent });
  informer.onChange((change) => {
    if (change.key !== `${systemNamespace}/${leaseName}`) return;
    holder = change.type === 'deleted' ? '' : (change.object.spec?.holderIdentity ?? '');
  });
  const following = informer.run(stop.signal);

  return {
    get all() {
      return [...running];
    },
    start: async () => {
      const identity = `operator-${started++}`;
      const program = await installation.startOperator({
        arguments: ['--lease-duration', `${leaseSeconds}s`],
        environment: { POD_NAME: identity },
      });
      const standing = program.says('caches synced', { timeout: patience });
      standing.catch(() => {});
      const operator = { identity, program, standing };
      running.add(operator);
      return operator;
    },
    leader: (but) =>
      eventually(() => [...running].find((one) => one.identity === holder && one.identity !== but?.identity), patience),
    standby: (leader) => Promise.any([...running].filter((one) => one !== leader).map(({ standing }) => standing)),
    forget: (operator) => void running.delete(operator),
    deleteLease: async () => {
      await admin.delete(leases, { namespace: systemNamespace, name: leaseName });
      await eventually(async () => {
        const lease = await admin.find(leases, { namespace: systemNamespace, name: leaseName });
        return lease?.spec?.holderIdentity === '' ? undefined : lease;
      }, patience);
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await following;
    },
  };
}
