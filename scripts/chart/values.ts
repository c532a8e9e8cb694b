import { dump } from 'js-yaml';
import { groups, type Setting, type ValueSchema } from './settings.ts';

/** A level of values: settings, and groups of them, by key. */
interface Group {
  readonly members: Map<string, Group | Setting>;
}

const header =
  '# Generated from scripts/chart/settings.ts and the manifests (npm run generate). Changes here are lost.\n';
/** Characters. */
const width = 120;

/** values.yaml: every setting with its default, and above it what it is for. */
export function valuesFile(settings: readonly Setting[]): string {
  return `${header}${[...groupsOf(settings).members].map(([key, group]) => `\n${linesOf(key, group, '')}`).join('')}`;
}

function linesOf(key: string, at: Group | Setting, indent: string): string {
  if (!isGroup(at)) {
    const value = dump({ [key]: at.default }, { lineWidth: -1, quoteStyle: 'single' });
    return `${comment(at.description, indent)}${value.replace(/^(?=.)/gm, indent)}`;
  }
  const members = [...at.members].map(([name, member]) => linesOf(name, member, `${indent}  `));
  return `${comment(groups[key] ?? '', indent)}${indent}${key}:\n${members.join('')}`;
}

function comment(text: string, indent: string): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || `${last} ${word}`.length > width) lines.push(`${indent}# ${word}`);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.map((line) => `${line}\n`).join('');
}

/** values.schema.json: nothing is taken that has no description. */
export function schemaFile(settings: readonly Setting[]): string {
  const top = schemaOf(groupsOf(settings), 'Values of the GuestStore chart.');
  const global = { description: 'Given by Helm where this chart is part of another.', type: 'object' };
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    ...top,
    properties: { global, ...(top.properties as object) },
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}

function schemaOf(group: Group, description: string): Readonly<Record<string, unknown>> {
  const properties = [...group.members].map(([key, member]): [string, object] => [
    key,
    isGroup(member) ? schemaOf(member, groups[key] ?? '') : leafOf(member),
  ]);
  return { description, type: 'object', additionalProperties: false, properties: Object.fromEntries(properties) };
}

function leafOf({ description, schema }: Setting): { readonly description: string } & ValueSchema {
  return { description, ...schema };
}

function groupsOf(settings: readonly Setting[]): Group {
  const top: Group = { members: new Map() };
  for (const setting of settings) {
    const keys = setting.path.split('.');
    const name = keys.pop() ?? '';
    let at = top;
    for (const key of keys) {
      const found = at.members.get(key);
      const next: Group = found !== undefined && isGroup(found) ? found : { members: new Map() };
      at.members.set(key, next);
      at = next;
    }
    at.members.set(name, setting);
  }
  return top;
}

function isGroup(at: Group | Setting): at is Group {
  return 'members' in at;
}
