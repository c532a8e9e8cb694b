import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
/** The commands of the README, a line each, as a newcomer would copy them. */
const commands = [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/^```sh\n(.*?)^```$/gms)]
  .flatMap(([, block = '']) => block.split('\n'))
  .filter((line) => line !== '');

let clone: string;
let example: ChildProcess;
let printed = '';

beforeAll(async () => {
  clone = await mkdtemp(join(tmpdir(), 'clone-'));
  for (const part of ['package.json', 'src', 'crds', 'manifests'])
    await cp(join(root, part), join(clone, part), { recursive: true });
  await symlink(join(root, 'node_modules'), join(clone, 'node_modules'));
  example = spawn('npm', ['start'], { cwd: clone, detached: true });
  example.stdout?.on('data', (text) => {
    printed += String(text);
  });
  await eventually(() => (printed.includes('GuestStoreHost') ? true : undefined), 60_000);
});

afterAll(async () => {
  if (example.pid !== undefined) process.kill(-example.pid, 'SIGTERM');
  await new Promise((resolve) => (example.exitCode === null ? example.once('exit', resolve) : resolve(undefined)));
  await rm(clone, { recursive: true, force: true });
});

function commandWith(word: string): string {
  const command = commands.find((line) => line.includes(word));
  if (command === undefined) throw new Error(`the README has no command with ${word}`);
  return command;
}

test('the first command runs the example fleet, and everything in it is Ready', () => {
  expect(commandWith('npm start')).toBe('npm ci && npm start');
  const rows = printed.split('\n').filter((line) => /^(Guest|Content|VMAccess)/.test(line));
  expect(rows.length).toBeGreaterThan(8);
  expect(rows.filter((line) => !/ {2}True {2}/.test(line))).toEqual([]);
});

test("the second terminal's command fetches the bytes", async () => {
  await run('/bin/sh', ['-c', commandWith('getcontent /config/motd.txt')], { cwd: clone });
  expect(await readFile(join(clone, 'motd.txt'), 'utf8')).toBe(
    'Welcome. This file came through the hypervisor, not through a network.\n',
  );
});

test('what the README says is refused is refused, and explained', async () => {
  const refused = commandWith('getcontent /config/motd.txt').replace(
    '/config/motd.txt',
    '/vmware/vmtools-10/agent.bin',
  );
  await expect(run('/bin/sh', ['-c', refused], { cwd: clone })).rejects.toMatchObject({ code: 15 });
  const { stdout } = await run('/bin/sh', ['-c', commandWith('explain')], { cwd: clone });
  expect(stdout).toContain('deny by .*  (VMAccessPolicy fleet/web deny[0])');
});
