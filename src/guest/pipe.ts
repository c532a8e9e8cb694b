import { chmod, lstat, mkdir, rename, rm, stat } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { errnoOf, GuestStoreError, messageOf } from '../lib/errors.ts';
import { checkSocketPath } from './parse-channel.ts';

/** Un-accepted connections that the kernel holds; a further non-blocking connect gets EAGAIN. */
const backlog = 5;

const permissionBits = 0o777;
const stickyAndWritable = 0o1002;

/** The socket that clients in the guest connect to. Disposing stops listening and leaves the file behind. */
export interface Pipe extends AsyncDisposable {
  /** Rejects when the socket cannot be listened on any longer. */
  readonly failed: Promise<never>;
}

/**
 * Listens at `path` by the rules of VMware's plugin: the folder is made if missing, gets mode 0755 (special bits are kept)
 * and must be owned by our own user; an old socket makes way; anyone may connect, or with `adminOnly` only the owner.
 * `accept` gets each connection unread. Throws `ChannelRefused` where the rules cannot be met.
 *
 * The file stays when we stop, since VMware's client tells "not running" (stale socket) from "never there" (no socket).
 */
export async function listenOnPipe(path: string, adminOnly: boolean, accept: (client: Socket) => void): Promise<Pipe> {
  // Node unlinks the name that it has bound when it closes: so it binds another, which is then renamed.
  const bound = join(dirname(path), `.gs-${process.pid}`);
  checkSocketPath(path);
  checkSocketPath(bound);
  await prepareFolder(dirname(path));
  await checkOldSocket(path);
  await rm(bound, { force: true });
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, accept);
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  try {
    await listen(server, bound);
    server.on('error', failed.reject);
    await chmod(bound, adminOnly ? 0o755 : 0o1777);
    await rename(bound, path);
  } catch (error) {
    await closed(server);
    throw refused(path, `cannot listen there: ${messageOf(error)}`, error);
  }
  return { failed: failed.promise, [Symbol.asyncDispose]: () => closed(server) };
}

async function prepareFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw refused(folder, `cannot make the folder: ${messageOf(error)}`, error);
  }
  const { uid, mode } = await stat(folder);
  const own = process.geteuid?.();
  if (uid !== own) {
    throw refused(folder, `the folder belongs to user ${uid} and must belong to the plugin's own, ${own}`);
  }
  // Never take a folder away from everybody: `--pipe /tmp/x` would make /tmp useless.
  if ((mode & stickyAndWritable) === stickyAndWritable) {
    throw refused(folder, 'everybody may write in this folder; give the pipe a folder of its own');
  }
  if ((mode & permissionBits) !== 0o755) await chmod(folder, (mode & 0o7000) | 0o755);
}

/** Only a socket makes way: a file or a link at this place is a mistake in the path. */
async function checkOldSocket(path: string): Promise<void> {
  const old = await lstat(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw refused(path, messageOf(error), error);
  });
  if (old !== undefined && !old.isSocket()) {
    throw refused(path, 'something that is no socket lies there; move it away or choose another path');
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, backlog }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

function refused(where: string, why: string, cause?: unknown): GuestStoreError {
  return new GuestStoreError('ChannelRefused', `${where}: ${why}`, { cause });
}
