import { connect, createServer, type Socket } from 'node:net';
import { Transform } from 'node:stream';

/** Stands in front of a real server as the network does: it sees only bytes, and can lose them. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Connections accepted since the start. */
  readonly accepted: number;
  readonly open: number;
  /** Breaks every open connection with RST. */
  reset(): void;
  /** From now on nothing passes on open connections, which stay open: a cable that was pulled out. New ones work. */
  silence(): void;
  /** New connections are reset at once, until `accept`. */
  refuse(): void;
  accept(): void;
  /** From now on everything takes so many milliseconds longer, each way. */
  delay(milliseconds: number): void;
}

export async function createTcpProxy(target: { readonly port: number; readonly host?: string }): Promise<TcpProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let accepted = 0;
  let refusing = false;
  let late = 0;
  const slow = () =>
    new Transform({
      transform: (chunk, _, done) => {
        if (late === 0) done(null, chunk);
        else setTimeout(done, late, null, chunk);
      },
    });
  const server = createServer((near) => {
    if (refusing) {
      near.resetAndDestroy();
      return;
    }
    accepted += 1;
    const far = connect(target.port, target.host ?? '127.0.0.1');
    const pair = [near, far] as const;
    pairs.add(pair);
    for (const [one, other] of [pair, [far, near] as const]) {
      one.on('error', () => other.destroy());
      one.on('close', () => {
        pairs.delete(pair);
        other.destroy();
      });
      one.pipe(slow()).pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const reset = () => {
    for (const [near, far] of pairs) {
      near.resetAndDestroy();
      far.destroy();
    }
  };
  return {
    port: address.port,
    get accepted() {
      return accepted;
    },
    get open() {
      return pairs.size;
    },
    reset,
    silence() {
      for (const [near, far] of pairs) {
        near.unpipe();
        far.unpipe();
        near.pause();
        far.pause();
      }
    },
    refuse() {
      refusing = true;
    },
    accept() {
      refusing = false;
    },
    delay(milliseconds) {
      late = milliseconds;
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      reset();
      await closed;
    },
  };
}
