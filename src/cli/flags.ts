import { parseArgs } from 'node:util';
import { parseDuration } from '../core/duration.ts';
import { GuestStoreError, messageOf } from '../lib/errors.ts';

/** One flag of a command: `--name VALUE`, or `--name` alone when `value` is absent. */
export interface Flag {
  readonly name: string;
  /** What stands for the value in the usage, e.g. `DIR`. */
  readonly value?: string;
  readonly short?: string;
  readonly many?: true;
  readonly required?: true;
  readonly default?: string;
  readonly help: string;
}

/** What was typed, with environment twins and defaults filled in. */
export interface Values {
  readonly positionals: readonly string[];
  /** The value, or undefined where neither flag, environment nor default gives one. */
  optional(name: string): string | undefined;
  /** The value of a flag that is required or has a default. */
  text(name: string): string;
  list(name: string): readonly string[];
  on(name: string): boolean;
  whole(name: string): number;
  /** Milliseconds, of a duration such as `24h`. */
  duration(name: string): number;
}

/** `--run-dir` is `GUESTSTORE_RUN_DIR` in the environment. */
export function environmentTwin(flag: string): string {
  return `GUESTSTORE_${flag.toUpperCase().replaceAll('-', '_')}`;
}

/** Reads `args` by `flags`; a repeated flag's twin holds its values separated by commas. Throws `InvalidArgument`. */
export function readFlags(
  flags: readonly Flag[],
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Values {
  const typed = parse(flags, args);
  const given = new Map<string, readonly string[]>();
  for (const flag of flags) {
    const value = typed.values[flag.name];
    const twin = environment[environmentTwin(flag.name)];
    if (value !== undefined) given.set(flag.name, [value].flat().map(String));
    else if (twin !== undefined && twin !== '') given.set(flag.name, flag.many ? twin.split(',') : [twin]);
    else if (flag.default !== undefined) given.set(flag.name, [flag.default]);
    else if (flag.required) {
      throw new GuestStoreError(
        'InvalidArgument',
        `--${flag.name} ${flag.value ?? ''} is needed (or ${environmentTwin(flag.name)} in the environment): ${flag.help}`,
      );
    }
  }
  const optional = (name: string): string | undefined => given.get(name)?.at(-1);
  const text = (name: string): string => {
    const value = optional(name);
    if (value === undefined) throw new GuestStoreError('InvalidArgument', `--${name} is needed`);
    return value;
  };
  return {
    positionals: typed.positionals,
    optional,
    text,
    list: (name) => given.get(name) ?? [],
    on: (name) => optional(name) === 'true',
    whole: (name) => {
      const value = text(name);
      if (!/^\d{1,15}$/.test(value)) {
        throw new GuestStoreError('InvalidArgument', `--${name} ${JSON.stringify(value)}: must be a whole number`);
      }
      return Number(value);
    },
    duration: (name) => {
      try {
        return parseDuration(text(name));
      } catch (error) {
        throw new GuestStoreError('InvalidArgument', `--${name}: ${messageOf(error)}`, { cause: error });
      }
    },
  };
}

function parse(flags: readonly Flag[], args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: Object.fromEntries(
        flags.map((flag) => [
          flag.name,
          {
            type: flag.value === undefined ? ('boolean' as const) : ('string' as const),
            multiple: flag.many === true,
            ...(flag.short === undefined ? {} : { short: flag.short }),
          },
        ]),
      ),
    });
  } catch (error) {
    throw new GuestStoreError('InvalidArgument', messageOf(error));
  }
}

/** `NAME=DIR` or `DIR` alone, which is `default=DIR`. Throws `InvalidArgument` for a name twice or an empty half. */
export function readNamedFolders(flag: string, values: readonly string[]): ReadonlyMap<string, string> {
  const folders = new Map<string, string>();
  for (const value of values) {
    const at = value.indexOf('=');
    const name = at < 0 ? 'default' : value.slice(0, at);
    const folder = value.slice(at + 1);
    if (name === '' || folder === '') {
      throw new GuestStoreError('InvalidArgument', `--${flag} ${value}: write NAME=DIR, or DIR alone for "default"`);
    }
    if (folders.has(name)) throw new GuestStoreError('InvalidArgument', `--${flag}: "${name}" is given twice`);
    folders.set(name, folder);
  }
  return folders;
}
