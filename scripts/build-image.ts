import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

// `npm run image [-- ENGINE OPTIONS]`: the image gueststore:<version of package.json>, labelled with version and commit.

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly version: string };
const labels = ['--build-arg', `VERSION=${version}`, '--build-arg', `REVISION=${revision()}`];
const options = ['build', ...labels, '--tag', `gueststore:${version}`, ...process.argv.slice(2), '.'];
try {
  execFileSync('docker', options, { stdio: 'inherit' });
} catch (error) {
  console.error(`the image was not built: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

/** The commit, marked when files differ from it; `unknown` outside of Git. */
function revision(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--abbrev=40', '--exclude=*', '--dirty'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return 'unknown';
  }
}
