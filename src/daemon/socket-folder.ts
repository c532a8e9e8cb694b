import { chmod, lstat, mkdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { errnoOf, GuestStoreError, messageOf } from '../lib/errors.ts';

/** Others may pass through on their way to the socket that is theirs, and not look around. */
const folderMode = 0o711;

/**
 * Makes the folders from `root` (which is there) down to `folder`, and throws `ChannelRefused` when one of them, `root`
 * included, is a link or could be written to by anyone but us: who can, could put a link or a socket of his own there.
 */
export async function prepareSocketFolder(root: string, folder: string): Promise<void> {
  await checkFolder(root);
  let at = root;
  for (const segment of relative(root, folder).split('/')) {
    if (segment === '') continue;
    at = join(at, segment);
    await makeFolder(at);
    await checkFolder(at);
  }
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: folderMode });
    // The process's umask may have taken away what others need to pass through.
    await chmod(folder, folderMode);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') {
      throw new GuestStoreError('ChannelRefused', `folder ${folder} cannot be made: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
}

async function checkFolder(folder: string): Promise<void> {
  const found = await lstat(folder).catch((error: unknown) => {
    throw new GuestStoreError('ChannelRefused', `folder ${folder} cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  });
  if (found.isSymbolicLink()) {
    throw new GuestStoreError('ChannelRefused', `${folder} is a symbolic link: sockets are made only in real folders`);
  }
  if (!found.isDirectory()) throw new GuestStoreError('ChannelRefused', `${folder} is not a folder`);
  if (found.uid !== process.geteuid?.() && found.uid !== 0) {
    throw new GuestStoreError(
      'ChannelRefused',
      `folder ${folder} belongs to uid ${found.uid}, who could replace the sockets in it: it must belong to the daemon`,
    );
  }
  if ((found.mode & 0o022) !== 0) {
    const mode = (found.mode & 0o7777).toString(8);
    throw new GuestStoreError(
      'ChannelRefused',
      `folder ${folder} (mode ${mode}) can be written by others, who could replace the sockets in it: chmod go-w ${folder}`,
    );
  }
}
