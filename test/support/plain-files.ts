import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The files of a plain tree with their text, by path below the datastore. */
export function plainFiles(folder: string): Readonly<Record<string, string>> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.startsWith(join(folder, '.gueststore')));
  return Object.fromEntries(files.sort().map((path) => [path.slice(folder.length + 1), readFileSync(path, 'utf8')]));
}
