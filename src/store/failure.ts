import { errnoOf, GuestStoreError, messageOf } from '../lib/errors.ts';

/** What people can do about a failed system call. */
const waysOut: Readonly<Record<string, string>> = {
  ENOSPC: 'free space on the file system, or enlarge it',
  EDQUOT: "raise the quota of the datastore's owner, or free space",
  EROFS: 'mount the file system writable',
  EACCES: 'let the datastore belong to the user that operator and daemons run as',
  EPERM: 'let the datastore belong to the user that operator and daemons run as',
  ENOENT: 'see that the datastore is mounted and nobody removed its files',
  ENOTDIR: 'see that the datastore is a folder',
  EEXIST: 'see that the datastore is a folder, and that nothing else has taken its names',
  EIO: 'check the disk and the kernel log',
  ESTALE: 'mount the network file system anew',
  ENAMETOOLONG: 'choose shorter names, or another file system',
  EMFILE: 'raise the limit of open files',
};

/**
 * A failed system call as `StoreUnavailable`, saying what was tried, where, the errno name and a way out. Errors of our
 * own pass through.
 */
export function storeFailure(thrown: unknown, trying: string, path: string): GuestStoreError {
  if (thrown instanceof GuestStoreError) return thrown;
  const errno = errnoOf(thrown);
  const wayOut = waysOut[errno ?? ''] ?? 'see the datastore and the kernel log';
  const why = errno === undefined ? messageOf(thrown) : (messageOf(thrown).split(',')[0] ?? errno);
  const message = `datastore: cannot ${trying} ${placeOf(trying, path)}: ${why}; ${wayOut}`;
  return new GuestStoreError('StoreUnavailable', message, { cause: thrown });
}

/** What cannot be written has another name each time it is tried, and a status that says so would be written each time. */
function placeOf(trying: string, path: string): string {
  return trying.startsWith('read') ? path : path.replace(/(\/\.gueststore\/(?:objects|blobs|commits))\/.*$/, '$1');
}

/** Runs a step on the file system; what it throws becomes `StoreUnavailable`. */
export async function attempt<T>(trying: string, path: string, step: () => T | Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (thrown) {
    throw storeFailure(thrown, trying, path);
  }
}

/** The same for a step without waiting. */
export function attemptNow<T>(trying: string, path: string, step: () => T): T {
  try {
    return step();
  } catch (thrown) {
    throw storeFailure(thrown, trying, path);
  }
}

/** The result of `step`, or undefined when its file is not there. */
export async function unlessMissing<T>(step: () => Promise<T>): Promise<T | undefined> {
  try {
    return await step();
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}
