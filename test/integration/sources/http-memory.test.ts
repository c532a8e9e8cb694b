import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { startHttpServer } from '../../support/http-server.ts';

const MiB = 1024 * 1024;
const program = fileURLToPath(new URL('../../support/drain-http.ts', import.meta.url));

test('memory does not grow with the size of a body', async () => {
  await using server = await startHttpServer();
  // Large enough for the collector to have found its pace.
  server.serve('/small', { body: 64 * MiB });
  server.serve('/large', { body: 200 * MiB });
  const { stdout } = await promisify(execFile)(process.execPath, [program, server.url('/small'), server.url('/large')]);
  const { size, grown } = JSON.parse(stdout);
  expect(size).toBe(200 * MiB);
  expect(grown).toBeLessThan(48 * MiB);
});
