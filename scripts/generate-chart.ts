// Writes the Helm chart in manifests/chart from the same files that kustomize builds on, so that the two cannot drift:
//   Chart.yaml           the version, which is package.json's
//   values.yaml          what can be said, with the manifests' own values as defaults (scripts/chart/settings.ts)
//   values.schema.json   the same, strictly
//   templates/*.yaml     crds/, base/ and components/ with a list of edits (scripts/chart/templates.ts)
// NOTES.txt, checks.yaml and _image.tpl in templates/ are written by hand. With --check nothing is written, and it exits 1 when
// a file is not what would be written, or lies there and would not be.
import { globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { load } from 'js-yaml';
import { defaultsOf } from './chart/defaults.ts';
import { settingsOf } from './chart/settings.ts';
import { type Edit, keep, type Template, templatesOf } from './chart/templates.ts';
import { schemaFile, valuesFile } from './chart/values.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const chart = 'manifests/chart';
const byHand = ['NOTES.txt', 'checks.yaml', '_image.tpl'];

const { version, description } = JSON.parse(read('package.json')) as { version: string; description: string };
const defaults = defaultsOf((path) => read(`manifests/${path}`));
if (defaults.imageTag !== version)
  throw new Error(`manifests/base/operator.yaml runs gueststore:${defaults.imageTag}, package.json is ${version}`);
const settings = settingsOf(defaults);

const outputs = new Map([
  [`${chart}/Chart.yaml`, chartFile()],
  [`${chart}/values.yaml`, valuesFile(settings)],
  [`${chart}/values.schema.json`, schemaFile(settings)],
]);
for (const path of globSync('crds/*.yaml', { cwd: root }).sort())
  outputs.set(`${chart}/templates/crd-${basename(path)}`, template(path, '.Values.crds.install', [keep('  labels:')]));
for (const one of [...plainTemplates(), ...templatesOf(block)])
  outputs.set(`${chart}/templates/${basename(one.source)}`, template(`manifests/${one.source}`, one.when, one.edits));

const check = process.argv.includes('--check');
const stale: string[] = [];
for (const [path, text] of outputs) {
  if (read(path, '') === text) continue;
  stale.push(path);
  if (!check) writeFileSync(`${root}${path}`, text);
}
for (const path of globSync(`${chart}/templates/*`, { cwd: root })) {
  if (outputs.has(path) || byHand.includes(basename(path))) continue;
  stale.push(path);
  if (!check) rmSync(`${root}${path}`);
}
if (check && stale.length > 0) {
  console.error(`${stale.join(', ')}: not what manifests/ and crds/ give; run: npm run generate`);
  process.exitCode = 1;
}

function read(path: string, otherwise?: string): string {
  try {
    return readFileSync(`${root}${path}`, 'utf8');
  } catch (error) {
    if (otherwise !== undefined) return otherwise;
    throw error;
  }
}

function chartFile(): string {
  return `# Generated (npm run generate). Changes here are lost.
apiVersion: v2
name: gueststore
description: ${description}
type: application
version: ${version}
appVersion: ${version}
# The kinds have selectable fields.
kubeVersion: '>=1.32.0-0'
`;
}

/** What the base lists and `templatesOf` does not name. The namespace is Helm's to make. */
function plainTemplates(): Template[] {
  const { resources } = load(read('manifests/base/kustomization.yaml')) as { resources: readonly string[] };
  const edited = new Set(templatesOf(block).map(({ source }) => source));
  return resources
    .filter((name) => name.endsWith('.yaml') && name !== 'namespace.yaml')
    .map((name) => ({ source: `base/${name}` }))
    .filter(({ source }) => !edited.has(source));
}

function template(path: string, when: string | undefined, edits: readonly Edit[] = []): string {
  const text = edits.reduce((edited, edit) => apply(edited, edit, path), read(path).replaceAll('{{', '{{ "{{" }}'));
  const released = text
    .replaceAll('namespace: gueststore-system', 'namespace: {{ .Release.Namespace | quote }}')
    .replaceAll('gueststore-system', '{{ .Release.Namespace }}');
  const head = `# Generated from ${path} (npm run generate). Changes here are lost.\n`;
  return when === undefined ? `${head}${released}` : `${head}{{- if ${when} }}\n${released}{{- end }}\n`;
}

function apply(text: string, { find, put, times = 1 }: Edit, path: string): string {
  const pattern = typeof find === 'string' ? new RegExp(RegExp.escape(find), 'g') : new RegExp(find, 'g');
  const found = text.match(pattern)?.length ?? 0;
  if (found !== times)
    throw new Error(`scripts/chart/templates.ts: ${path} has ${found} times, not ${times}: ${String(find)}`);
  return text.replace(pattern, () => put);
}

function block(path: string, header: string): string {
  const lines = read(`manifests/${path}`).split('\n');
  const start = lines.indexOf(header);
  if (start === -1 || lines.lastIndexOf(header) !== start)
    throw new Error(`manifests/${path}: "${header}" is not there once`);
  const depth = /^ */.exec(header)?.[0].length ?? 0;
  const below = lines.slice(start + 1);
  const end = below.findIndex((line) => (/^ */.exec(line)?.[0].length ?? 0) <= depth);
  return (end === -1 ? below : below.slice(0, end)).join('\n').replace(/\n+$/, '');
}
