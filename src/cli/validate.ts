import { type Finding, fieldName } from '../api/findings.ts';
import { isObject, type ManifestDocument, parseManifests } from '../api/manifests.ts';
import { createValidate } from '../api/validate.ts';
import { GuestStoreError } from '../lib/errors.ts';
import { crossCheck, type Declared, type ForeignObject } from './cross-checks.ts';
import type { ExitCode, Io } from './io.ts';
import { readManifestFiles } from './manifest-files.ts';

export interface ValidateOptions {
  /** Files and folders. */
  readonly paths: readonly string[];
  /** Warnings count as faults. */
  readonly strict: boolean;
}

/**
 * `gueststore validate FILE|DIR...`: says what the API server would refuse in these manifests (`file:line: field: reason (way
 * out)`, to stderr), and warns of what it would accept in vain. Returns 1 when there is a fault, else 0. Throws
 * `InvalidArgument` when a path cannot be read or none is given.
 */
export async function runValidate(options: ValidateOptions, io: Io): Promise<ExitCode> {
  if (options.paths.length === 0) {
    throw new GuestStoreError(
      'InvalidArgument',
      'validate: name the files or folders to validate, such as ./manifests',
    );
  }
  const { faults, warnings, accepted, passedOver } = await judge(options.paths, io.signal);
  for (const finding of faults.toSorted(byPlace)) io.stderr.write(`${lineOf(finding)}\n`);
  for (const finding of warnings.toSorted(byPlace)) io.stderr.write(`${lineOf(finding, 'warning: ')}\n`);
  const counts = [
    plural(accepted, 'valid object'),
    plural(faults.length, 'fault'),
    plural(warnings.length, 'warning'),
    ...(passedOver > 0 ? [`${plural(passedOver, 'object')} of other kinds passed over`] : []),
  ];
  io.stdout.write(`${counts.join(', ')}\n`);
  return faults.length > 0 || (options.strict && warnings.length > 0) ? 1 : 0;
}

interface Judgement {
  readonly faults: readonly Finding[];
  readonly warnings: readonly Finding[];
  readonly accepted: number;
  readonly passedOver: number;
}

async function judge(paths: readonly string[], signal: AbortSignal): Promise<Judgement> {
  const validate = createValidate();
  const faults: Finding[] = [];
  const warnings: Finding[] = [];
  const declared: Declared[] = [];
  const foreign: ForeignObject[] = [];
  let passedOver = 0;
  for (const path of paths) {
    for await (const file of readManifestFiles(path)) {
      signal.throwIfAborted();
      const parsed = parseManifests(file.bytes, file.path);
      faults.push(...parsed.faults);
      for (const document of parsed.documents) {
        const verdict = validate(document);
        if (verdict.outcome === 'foreign') {
          const object = foreignObject(document);
          if (object === undefined) passedOver += 1;
          else foreign.push(object);
          continue;
        }
        warnings.push(...verdict.warnings);
        if (verdict.outcome === 'accepted') declared.push({ resource: verdict.resource, document });
        else faults.push(...verdict.faults);
      }
    }
  }
  for (const { document, path, reason, wayOut } of crossCheck(declared, foreign)) {
    const { file } = document;
    warnings.push({ file, line: document.lineOf(path), field: fieldName(path), reason, wayOut });
  }
  return { faults, warnings, accepted: declared.length, passedOver };
}

/** A ConfigMap, Secret or Namespace: ours may refer to it. Whether the API server takes it is not judged here. */
function foreignObject({ value }: ManifestDocument): ForeignObject | undefined {
  if (!isObject(value) || value.apiVersion !== 'v1' || !isObject(value.metadata)) return undefined;
  const { kind, metadata } = value;
  const { name, namespace = 'default', labels } = metadata;
  if (typeof name !== 'string') return undefined;
  if (kind === 'Namespace') return { kind, key: name, data: textsOf(labels) };
  if (kind !== 'ConfigMap' && kind !== 'Secret') return undefined;
  const data = [value.data, value.binaryData, value.stringData].map(textsOf);
  return { kind, key: `${String(namespace)}/${name}`, data: Object.assign({}, ...data) };
}

function textsOf(value: ManifestDocument['value'] | undefined): Readonly<Record<string, string>> {
  return isObject(value) ? Object.fromEntries(Object.entries(value).map(([key, text]) => [key, String(text)])) : {};
}

function lineOf({ file, line, field, reason, wayOut }: Finding, prefix = ''): string {
  return `${file}:${line}: ${prefix}${field === '' ? '' : `${field}: `}${reason} (${wayOut})`;
}

function byPlace(a: Finding, b: Finding): number {
  return a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
