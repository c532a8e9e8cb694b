// Writes the TypeScript of the resources from crds/*.yaml, which are the one statement of their schemas:
//   src/api/resources.generated.ts   types, and what each kind is called
//   src/api/schemas.generated.ts     the schemas with their CEL rules, as data
//   docs/resources/*.md              the table of fields, between the markers on each page
// With --check nothing is written, and it exits 1 when one of them is not what would be written.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { load } from 'js-yaml';
import type { Schema } from '../src/api/schema.ts';

interface Definition {
  readonly spec: {
    readonly group: string;
    readonly scope: 'Namespaced' | 'Cluster';
    readonly names: {
      readonly kind: string;
      readonly plural: string;
      readonly singular: string;
      readonly shortNames: readonly string[];
    };
    readonly versions: readonly [{ readonly name: string; readonly schema: { readonly openAPIV3Schema: Schema } }];
  };
}

const root = new URL('../', import.meta.url);
const header = '// Generated from crds/*.yaml by scripts/generate-api.ts (npm run generate). Changes here are lost.\n';

/** Shapes that several kinds share get a name of their own; others are named after the way to them. */
const sharedNames: Readonly<Record<string, string>> = {
  'conditions[]': 'Condition',
  'matchExpressions[]': 'LabelRequirement',
  'warnings[]': 'PolicyWarning',
  repositoryRef: 'RepositoryRef',
  namespaceSelector: 'LabelSelector',
  selector: 'LabelSelector',
  vmSelector: 'VMSelector',
  configMapKeyRef: 'KeyRef',
  secretKeyRef: 'KeyRef',
  items: 'AllowedReferences',
  vms: 'AllowedReferences',
};

const definitions = await readDefinitions();
const outputs = new Map([
  ['src/api/resources.generated.ts', resourcesFile(definitions)],
  ['src/api/schemas.generated.ts', schemasFile(definitions)],
]);
for (const definition of definitions) {
  const page = `docs/resources/${fileName(definition.spec.names.kind)}.md`;
  const text = await readFile(new URL(page, root), 'utf8').catch(() => undefined);
  if (text !== undefined) outputs.set(page, withFields(text, definition));
}
const stale: string[] = [];
for (const [path, text] of outputs) {
  if ((await readFile(new URL(path, root), 'utf8').catch(() => '')) === text) continue;
  stale.push(path);
  if (!process.argv.includes('--check')) await writeFile(new URL(path, root), text);
}
if (process.argv.includes('--check') && stale.length > 0) {
  console.error(`${stale.join(', ')}: not what crds/ gives; run: npm run generate`);
  process.exitCode = 1;
}

async function readDefinitions(): Promise<readonly Definition[]> {
  const folder = new URL('crds/', root);
  const files = (await readdir(folder)).filter((name) => name.endsWith('.yaml')).sort();
  return Promise.all(files.map(async (name) => load(await readFile(new URL(name, folder), 'utf8')) as Definition));
}

function resourcesFile(all: readonly Definition[]): string {
  const interfaces = new Map<string, string>();
  const kinds = all.map(({ spec }) => spec.names.kind);
  const resources = all.map(({ spec }) => {
    const { openAPIV3Schema } = spec.versions[0].schema;
    const { kind } = spec.names;
    const part = (name: 'spec' | 'status') =>
      interfaceOf(
        openAPIV3Schema.properties?.[name] ?? {},
        `${kind}${name === 'spec' ? 'Spec' : 'Status'}`,
        kind,
        interfaces,
      );
    return `${comment(openAPIV3Schema, '')}export interface ${kind} {
  readonly apiVersion: typeof apiVersion;
  readonly kind: '${kind}';
  readonly metadata: ${spec.scope === 'Namespaced' ? 'NamespacedMetadata' : 'Metadata'};
  readonly spec: ${part('spec')};
  readonly status: ${part('status')};
}
`;
  });
  const facts = all.map(({ spec }) => {
    const { kind, plural, singular, shortNames } = spec.names;
    return `  ${kind}: ${JSON.stringify({ plural, singular, shortNames, namespaced: spec.scope === 'Namespaced' })},\n`;
  });
  const { group, versions } = all[0]?.spec ?? { group: '', versions: [{ name: '' }] };
  return `${header}import type { Metadata, NamespacedMetadata } from './metadata.ts';
import type { KindFacts } from './schema.ts';

export const apiGroup = '${group}';
export const apiVersion = '${group}/${versions[0].name}';

export type Kind = ${kinds.map((kind) => `'${kind}'`).join(' | ')};

export type Resource = ${kinds.join(' | ')};

export const kinds: Readonly<Record<Kind, KindFacts>> = {
${facts.join('')}};

${resources.join('\n')}
${[...interfaces].map(([name, body]) => `/** @public */\n${body.replace('NAME', name)}`).join('\n')}`;
}

/** The name of an interface for an object schema, which is added to `interfaces` unless an equal one is there. */
function interfaceOf(schema: Schema, name: string, prefix: string, interfaces: Map<string, string>): string {
  const fields = Object.entries(schema.properties ?? {}).map(([key, property]) => {
    const optional = schema.required?.includes(key) || property.default !== undefined ? '' : '?';
    return `${comment(property, '  ')}  readonly ${key}${optional}: ${typeOf(property, key, prefix, interfaces)};\n`;
  });
  const body =
    fields.length === 0
      ? 'export type NAME = Readonly<Record<string, never>>;\n'
      : `export interface NAME {\n${fields.join('')}}\n`;
  const there = interfaces.get(name);
  if (there !== undefined && there !== body) return interfaceOf(schema, `${prefix}${name}`, prefix, interfaces);
  interfaces.set(name, body);
  return name;
}

function typeOf(schema: Schema, key: string, prefix: string, interfaces: Map<string, string>): string {
  if (schema['x-kubernetes-int-or-string']) return 'number | string';
  switch (schema.type) {
    case 'object':
      return schema.additionalProperties === undefined
        ? interfaceOf(
            schema,
            sharedNames[key] ?? `${prefix}${pascal(key)}`,
            sharedNames[key] ?? `${prefix}${pascal(key)}`,
            interfaces,
          )
        : `Readonly<Record<string, ${typeOf(schema.additionalProperties, key, prefix, interfaces)}>>`;
    case 'array': {
      const item = typeOf(schema.items ?? {}, `${key}[]`, prefix, interfaces);
      return /[ |]/.test(item) ? `readonly (${item})[]` : `readonly ${item}[]`;
    }
    case 'string':
      return schema.enum?.map((value) => `'${value}'`).join(' | ') ?? 'string';
    case 'integer':
    case 'number':
      return 'number';
    case 'boolean':
      return 'boolean';
    default:
      throw new Error(`${prefix} ${key}: a schema without a type`);
  }
}

function comment(schema: Schema, indent: string): string {
  return schema.description === undefined ? '' : `${indent}/** ${schema.description.trim()} */\n`;
}

function pascal(key: string): string {
  const singular = key.endsWith('ies[]') ? `${key.slice(0, -5)}y` : key.replace(/s?\[\]$/, '');
  return singular.charAt(0).toUpperCase() + singular.slice(1);
}

function schemasFile(all: readonly Definition[]): string {
  const entries = all.map(
    ({ spec }) => `  ${spec.names.kind}: ${JSON.stringify(spec.versions[0].schema.openAPIV3Schema, null, 1)},\n`,
  );
  return `${header}import type { Kind } from './resources.generated.ts';
import type { Schema } from './schema.ts';

/** Schema of each kind, CEL rules included. */
export const schemas: Readonly<Record<Kind, Schema>> = {
${entries.join('')}};
`;
}

function fileName(kind: string): string {
  return kind.replace(/(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/g, '-').toLowerCase();
}

/** The page with its table of fields renewed. */
function withFields(page: string, { spec }: Definition): string {
  const rows = [...fieldRows(spec.versions[0].schema.openAPIV3Schema.properties?.spec ?? {}, 'spec')];
  const table = ['| field | type | default | |', '| --- | --- | --- | --- |', ...rows].join('\n');
  const marked = /(<!-- fields: generated from crds\/ -->\n)[\s\S]*?(<!-- end of fields -->)/;
  if (!marked.test(page))
    throw new Error(`docs/resources: the page of ${spec.names.kind} has no markers for its fields`);
  return page.replace(marked, (_, start: string, end: string) => `${start}${table}\n${end}`);
}

function* fieldRows(schema: Schema, path: string): Iterable<string> {
  for (const [key, property] of Object.entries(schema.properties ?? {})) {
    const inner = property.items ?? property;
    const here = `${path}.${key}${property.items === undefined ? '' : '[]'}`;
    const required = schema.required?.includes(key) ? 'required' : '';
    const standard = property.default === undefined ? required : `\`${JSON.stringify(property.default)}\``;
    yield `| \`${here}\` | ${describeType(inner)} | ${standard} | ${property.description?.trim().replace(/[|<]/g, '\\$&') ?? ''} |`;
    yield* fieldRows(inner, here);
  }
}

function describeType(schema: Schema): string {
  if (schema['x-kubernetes-int-or-string']) return 'quantity';
  if (schema.enum !== undefined) return schema.enum.join(', ');
  return schema.additionalProperties === undefined ? (schema.type ?? '') : 'map';
}
