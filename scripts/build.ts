import { execFileSync } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

// `npm run build`: src/ as JavaScript in dist/. Node runs no TypeScript below node_modules, and starts slower with it.

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
// What was deleted in src/ must not live on.
rmSync('dist', { recursive: true, force: true });
try {
  execFileSync('tsc', ['--project', 'tsconfig.build.json'], { stdio: 'inherit' });
  chmodSync('dist/main.js', 0o755);
} catch (error) {
  console.error(`build failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
