import { dump } from 'js-yaml';
import type { Resource } from '../api/resources.generated.ts';
import { conditionOf } from '../core/conditions.ts';
import { GuestStoreError } from '../lib/errors.ts';
import { readKeptStatus } from '../operator/world/kept-status.ts';
import { listDocuments, readDocument } from '../store/documents.ts';
import { layoutOf } from '../store/layout.ts';
import type { ExitCode, Io } from './io.ts';
import { kindsNamed, orderOfKinds } from './kind-words.ts';
import type { Place } from './place.ts';
import { troubleRows } from './status-rows.ts';
import { formatTable } from './table.ts';

export interface GetOptions {
  readonly kind: string;
  readonly name: string | undefined;
  readonly namespace: string | undefined;
  readonly place: Place;
  readonly output: string | undefined;
  readonly version: string;
}

interface Seen {
  readonly objects: readonly Resource[];
  readonly trouble: readonly string[][];
}

/** `gueststore get KIND [NAME]`: status at a glance, from a datastore that `up` writes, a cluster, or bare manifests. */
export async function runGet(options: GetOptions, io: Io): Promise<ExitCode> {
  const kinds = kindsNamed(options.kind);
  const seen = await look(options, io);
  const objects = seen.objects.filter(
    ({ kind, metadata }) =>
      kinds.includes(kind) &&
      (options.name === undefined || metadata.name === options.name) &&
      (options.namespace === undefined || metadata.namespace === undefined || metadata.namespace === options.namespace),
  );
  if (options.name !== undefined && objects.length === 0) {
    throw new GuestStoreError('SourceNotFound', `there is no ${options.kind} "${options.name}"`);
  }
  io.stdout.write(format(objects, options, options.name === undefined ? seen.trouble : []));
  return 0;
}

async function look({ place, version }: GetOptions, io: Io): Promise<Seen> {
  if (place.kind !== 'datastore') {
    const { lookWorld } = await import('./look-world.ts');
    return { objects: [...(await lookWorld(place, version, io.signal)).objects()], trouble: [] };
  }
  const layout = layoutOf(place.folder);
  const readOnly = () => Promise.reject(new GuestStoreError('Internal', 'a look writes nothing'));
  const kept = await readKeptStatus(
    {
      documents: () => listDocuments(layout),
      readDocument: (name) => readDocument(layout, name),
      writeDocument: readOnly,
      removeDocument: readOnly,
    },
    (document, error) => io.stderr.write(`gueststore get: ${document} cannot be read: ${String(error)}\n`),
  );
  if (kept.objects.length === 0 && kept.hosts.size === 0 && kept.trouble.size === 0) {
    throw new GuestStoreError(
      'SourceNotFound',
      `${place.folder} keeps no status: only "gueststore up" does; in a cluster ask it without --datastore`,
    );
  }
  const hosts = [...kept.hosts].map(
    ([name, status]) =>
      ({
        apiVersion: 'gueststore.dev/v1alpha1',
        kind: 'GuestStoreHost',
        metadata: { name },
        spec: { suspend: false },
        status,
      }) as Resource,
  );
  return { objects: [...kept.objects, ...hosts], trouble: troubleRows(kept.trouble.values()) };
}

function format(objects: readonly Resource[], { output, name }: GetOptions, trouble: readonly string[][]): string {
  const sorted = objects.toSorted((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
  const [only] = sorted;
  const whole = name !== undefined && sorted.length === 1 ? only : { apiVersion: 'v1', kind: 'List', items: sorted };
  switch (output) {
    case 'json':
      return `${JSON.stringify(whole, undefined, 2)}\n`;
    case 'yaml':
      return dump(JSON.parse(JSON.stringify(whole)), { lineWidth: -1 });
    case undefined:
    case 'wide':
      return table(sorted, output === 'wide', trouble);
    default:
      throw new GuestStoreError('InvalidArgument', `-o ${output}: wide, json or yaml`);
  }
}

function table(objects: readonly Resource[], wide: boolean, trouble: readonly string[][]): string {
  const several = new Set(objects.map(({ kind }) => kind)).size > 1 || trouble.length > 0;
  const rows = objects.map((object) => {
    const ready = conditionOf(object.status.conditions, 'Ready');
    const { metadata, kind } = object;
    return [
      ...(several ? [kind] : []),
      metadata.namespace ?? '',
      metadata.name,
      ready?.status ?? 'Unknown',
      ready?.reason ?? 'Pending',
      ...(wide ? [detail(object)] : []),
      ready?.message ?? 'Not looked at yet.',
    ];
  });
  const troubled = trouble.map(([kind = '', file = '', ready = '', reason = '', message = '']) => [
    kind,
    '',
    file,
    ready,
    reason,
    ...(wide ? [''] : []),
    message,
  ]);
  if (rows.length + troubled.length === 0) return 'Nothing found.\n';
  const header = [
    ...(several ? ['KIND'] : []),
    'NAMESPACE',
    'NAME',
    'READY',
    'REASON',
    ...(wide ? ['DETAIL'] : []),
    'MESSAGE',
  ];
  return formatTable(header, [...rows, ...troubled]);
}

/** What people look for first in each kind. */
function detail(object: Resource): string {
  switch (object.kind) {
    case 'GuestStoreDatastore':
      return `${object.status.namespaces ?? 0} namespaces, ${object.status.repositories ?? 0} repositories, ${object.status.refused ?? 0} refused, ${object.status.bytes ?? 0} bytes`;
    case 'GuestStoreRepository':
      return `datastore ${object.spec.datastore}, revision ${object.status.revision ?? '-'}, ${object.status.items ?? 0} items, ${object.status.bytes ?? 0} bytes`;
    case 'ContentItem':
      return `${object.spec.path}, ${object.status.size ?? '-'} bytes, ${object.status.digest ?? 'no digest'}`;
    case 'GuestVM':
      return `host ${object.spec.host ?? '-'}, repository ${object.status.repository ?? '-'}, ${object.status.rules?.grant ?? 0} grants, ${object.status.rules?.deny ?? 0} denies`;
    case 'VMAccessPolicy':
    case 'ClusterVMAccessPolicy':
      return `${object.status.matched ?? 0} VMs matched, ${object.status.programmed ?? 0} programmed`;
    case 'GuestStoreHost':
      return `${object.status.vms ?? 0} VMs, version ${object.status.version ?? '-'}`;
  }
}

function sortKey({ kind, metadata }: Resource): string {
  return `${orderOfKinds.indexOf(kind)} ${metadata.namespace ?? ''}/${metadata.name}`;
}
