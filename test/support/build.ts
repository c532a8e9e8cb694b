import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** End-to-end tests run the built program, so it is built before them. */
export default async function setup(): Promise<void> {
  await promisify(execFile)('npm', ['run', 'build'], { cwd: root });
}
