import { type Command, commands } from './commands.ts';
import { environmentTwin, type Flag } from './flags.ts';
import { formatTable } from './table.ts';

/** What `gueststore help` prints. */
export function usage(): string {
  const rows = Object.entries(commands).map(([name, { summary }]) => [`  ${name}`, summary]);
  return `gueststore: content for VM guests, decided by per-VM rules\n\nUsage: gueststore COMMAND [FLAGS]\n\n${formatTable(['Commands:', ''], rows)}\n"gueststore COMMAND --help" tells the flags of one.\n`;
}

/** What `gueststore COMMAND --help` prints. */
export function commandUsage(name: string, command: Command): string {
  const words = [...command.positionals, ...command.flags.filter(({ required }) => required).map(spelled)];
  const rows = command.flags.map((flag) => [`  ${spelled(flag)}`, environmentTwin(flag.name), helpOf(flag)]);
  return `gueststore ${name}: ${command.summary}\n\nUsage: gueststore ${name} ${words.join(' ')}\n\n${formatTable(['Flags:', 'Environment:', ''], rows)}`;
}

function spelled({ name, value }: Flag): string {
  return value === undefined ? `--${name}` : `--${name} ${value}`;
}

function helpOf({ help, many, required, ...flag }: Flag): string {
  const notes = [
    ...(required ? ['required'] : []),
    ...(many ? ['may be repeated'] : []),
    ...(flag.default === undefined ? [] : [`default: ${flag.default}`]),
  ];
  return notes.length === 0 ? help : `${help} (${notes.join('; ')})`;
}
