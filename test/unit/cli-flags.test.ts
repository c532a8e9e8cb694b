import { readFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { commands } from '../../src/cli/commands.ts';
import { environmentTwin, type Flag, readFlags, readNamedFolders } from '../../src/cli/flags.ts';
import { commandUsage, usage } from '../../src/cli/usage.ts';

const flags: readonly Flag[] = [
  { name: 'datastore', value: 'DIR', many: true, required: true, help: 'folder' },
  { name: 'log-level', value: 'LEVEL', default: 'info', help: 'level' },
  { name: 'output', short: 'o', value: 'FORMAT', help: 'format' },
  { name: 'max-connections', value: 'N', default: '8', help: 'number' },
  { name: 'once', help: 'end' },
];

const daemon = ['--datastore', '/d', '--host', 'h', '--run-dir', '/r'];
const stdout = new PassThrough();

test('a flag on the command line comes before its twin in the environment, and that before the default', () => {
  const environment = { GUESTSTORE_LOG_LEVEL: 'debug', GUESTSTORE_DATASTORE: 'a=/a,b=/b' };
  const values = readFlags(flags, ['--log-level', 'warn'], environment);
  expect(values.text('log-level')).toBe('warn');
  expect(values.list('datastore')).toEqual(['a=/a', 'b=/b']);
  expect(readFlags(flags, [], environment).text('log-level')).toBe('debug');
  expect(readFlags(flags, ['--datastore', '/c'], {}).text('log-level')).toBe('info');
});

test('words, short flags and switches are told apart', () => {
  const values = readFlags(flags, ['x', '-o', 'json', '--once', '--datastore', '/a', 'y'], {});
  expect([values.positionals, values.optional('output'), values.on('once')]).toEqual([['x', 'y'], 'json', true]);
  expect(readFlags(flags, ['--datastore', '/a'], { GUESTSTORE_ONCE: 'true' }).on('once')).toBe(true);
});

test.each([
  { args: [], message: /--datastore DIR is needed \(or GUESTSTORE_DATASTORE/ },
  { args: ['--datastore', '/a', '--nonsense'], message: /nonsense/ },
  { args: ['--datastore'], message: /datastore/ },
])('refuses $args', ({ args, message }) => {
  expect(() => readFlags(flags, args, {})).toThrow(message);
});

test.each(['-1', '1.5', 'many', ''])('"%s" is no whole number', (text) => {
  const values = readFlags(flags, ['--datastore', '/a', `--max-connections=${text}`], {});
  expect(() => values.whole('max-connections')).toThrow(/whole number/);
});

test('a datastore without a name is "default"', () => {
  expect([...readNamedFolders('datastore', ['/a', 'fast=/b'])]).toEqual([
    ['default', '/a'],
    ['fast', '/b'],
  ]);
  expect(() => readNamedFolders('datastore', ['/a', 'default=/b'])).toThrow(/given twice/);
  expect(() => readNamedFolders('datastore', ['=/a'])).toThrow(/NAME=DIR/);
});

test.each(Object.entries(commands))('the usage of %s names each flag with its twin', (name, command) => {
  const text = commandUsage(name, command);
  expect(usage()).toContain(command.summary);
  for (const flag of command.flags) {
    expect(text).toContain(`--${flag.name}`);
    expect(text).toContain(environmentTwin(flag.name));
  }
});

test.each(Object.entries(commands))('docs/commands.md says of %s what --help prints', (name, command) => {
  const page = readFileSync(new URL('../../docs/commands.md', import.meta.url), 'utf8');
  expect(page).toContain(`## ${name}\n\n\`\`\`text\n${commandUsage(name, command)}\`\`\`\n`);
});

test.each([
  { name: 'operator', args: ['--datastore', '/d', '--signing-key', '/k'], message: /--signing-key is not supported/ },
  { name: 'daemon', args: [...daemon, '--trust', '/k'], message: /--trust is not supported/ },
  { name: 'daemon', args: [...daemon, '--cache-dir', '/c'], message: /--cache-dir is not supported/ },
  { name: 'daemon', args: [...daemon, '--transport', 'fast'], message: /--transport fast is not supported/ },
  { name: 'daemon', args: [...daemon, '--transport', 'slow'], message: /auto, fast or node/ },
])('$name $args is refused, not ignored', async ({ name, args, message }) => {
  const command = commands[name];
  const values = readFlags(command?.flags ?? [], args, {});
  const context = { environment: {}, version: '', io: { stdout, stderr: stdout, signal: AbortSignal.abort() } };
  const log = () => Promise.reject(new Error('it went on'));
  await expect(command?.run(values, { ...context, log })).rejects.toThrow(message);
});
