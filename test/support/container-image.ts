import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { ContainerEngine } from './container-engine.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** `npm run image` with an engine of the test's own: a minute at most, most of it for npm. */
export async function buildImage({ host }: ContainerEngine): Promise<void> {
  const environment = { ...process.env, DOCKER_HOST: host, DOCKER_BUILDKIT: '0' };
  await promisify(execFile)('npm', ['run', 'image', '--', '--network=host'], {
    cwd: root,
    env: environment,
    maxBuffer: 64 << 20,
  });
}
