import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Finding } from '../../api/findings.ts';
import type {
  ClusterVMAccessPolicy,
  ContentItem,
  GuestStoreDatastore,
  GuestStoreRepository,
  GuestVM,
  Resource,
  VMAccessPolicy,
} from '../../api/resources.generated.ts';
import { createValidate } from '../../api/validate.ts';
import { keyOf, type ObjectKey } from '../../core/names.ts';
import type { Labels } from '../../core/selector.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { sameRecord } from '../../store/canonical.ts';
import { FreezableMap } from '../publish/freezable-map.ts';
import { frozenWorld } from '../publish/frozen-world.ts';
import type { HostStatus, ObservedKind, StatusSink, World, WrittenStatus } from '../types.ts';
import { findManifests, type ManifestFile, type ManifestFolder } from './manifest-files.ts';
import { type Helper, identityOf, type ManifestObject, readObjects } from './manifest-objects.ts';
import { type Documents, openShelf } from './shelf.ts';

/** Milliseconds for which a file must be missing to be gone, for which a change must be over, and for all looks. */
const absence = 100;
const unrest = 50;
const longestUnrest = 5_000;

interface KeptObject {
  readonly object: ManifestObject;
  readonly generation: number;
}

/** What a file last held that was valid, as it is kept in the datastore. */
export interface KeptFile {
  readonly digest: string;
  readonly objects: readonly KeptObject[];
}

/** A file, or the whole folder, that could not be taken as it stands. */
export interface ManifestTrouble {
  readonly file: string;
  readonly findings: readonly Finding[];
}

/** A folder of manifests as the world that an operator observes; its status is kept in the datastore. */
export interface FolderWorld extends World, StatusSink {
  /** Reads what changed and tells the listeners, all at once. Resolves to the folders that are worth watching. */
  scan(): Promise<readonly string[]>;
  readonly trouble: ReadonlyMap<string, ManifestTrouble>;
  readonly hosts: ReadonlyMap<string, HostStatus>;
  /** Everything declared, as it is in force. */
  objects(): Iterable<Resource>;
}

export async function openFolderWorld(folder: string, documents: Documents, log: Log): Promise<FolderWorld> {
  const unreadable = (document: string, error: unknown) =>
    log.warn({ document, err: error }, 'kept document not readable');
  const kept = await openShelf<KeptFile>(documents, 'manifests', unreadable);
  const statuses = await openShelf<WrittenStatus>(documents, 'status', unreadable);
  const hosts = await openShelf<HostStatus>(documents, 'hosts', unreadable);
  /** For who reads the datastore: what is in trouble is found anew at each start. */
  const told = await openShelf<ManifestTrouble>(documents, 'trouble', unreadable);
  const validate = createValidate();
  const listeners = new Set<(kind: ObservedKind, key: ObjectKey) => void>();
  const signatures = new Map<string, string>();
  const trouble = new Map<string, ManifestTrouble>();
  const duplicates = new Map<string, ManifestTrouble>();
  const noted = new Set<string>();
  let declared = new Map<string, ManifestObject>();

  const datastores = new Map<string, GuestStoreDatastore>();
  const repositories = new Map<ObjectKey, GuestStoreRepository>();
  const items = new FreezableMap<ObjectKey, ContentItem>();
  const policies = new Map<ObjectKey, VMAccessPolicy>();
  const clusterPolicies = new Map<ObjectKey, ClusterVMAccessPolicy>();
  const vms = new FreezableMap<ObjectKey, GuestVM>();
  const namespaces = new Map<string, Labels>();
  const configMaps = new Map<ObjectKey, Helper>();
  const secrets = new Map<ObjectKey, Helper>();

  async function scan(): Promise<readonly string[]> {
    let found: ManifestFolder;
    try {
      found = await lookUntilStill();
      trouble.delete('.');
    } catch (error) {
      const reason = `the folder cannot be read (${messageOf(error)})`;
      trouble.set('.', {
        file: '.',
        findings: [
          finding('.', reason, 'mount it again or correct --manifests; the last good manifests stay in force'),
        ],
      });
      declare();
      await tell();
      return [folder];
    }
    for (const name of [...kept.records.keys(), ...trouble.keys()]) {
      if (name === '.' || found.files.has(name)) continue;
      kept.delete(name);
      trouble.delete(name);
      signatures.delete(name);
    }
    declare();
    await kept.save();
    await tell();
    return found.folders;
  }

  /**
   * Reads what changed until two looks find the same: many files that are being replaced one by one (a checkout) are one
   * change, and a file that an editor moves away to write it anew is not gone.
   */
  async function lookUntilStill(): Promise<ManifestFolder> {
    // Before anything is replaced: an object that moves to another file stays the same object.
    const known = new Map(
      [...kept.records.values()].flatMap(({ objects }) => objects.map((one) => [identityOf(one.object), one] as const)),
    );
    const deadline = performance.now() + longestUnrest;
    for (let found = await findManifests(folder); ; ) {
      const news = [...found.files.values()].filter(({ name, signature }) => signatures.get(name) !== signature);
      const missing = [...kept.records.keys()].some((name) => !found.files.has(name));
      if (news.length === 0 && !missing) return found;
      for (const file of news) await load(file, known);
      await delay(missing ? absence : unrest);
      const again = await findManifests(folder);
      if (sameFiles(found, again) || performance.now() > deadline) return again;
      found = again;
    }
  }

  async function tell(): Promise<void> {
    const now = new Map([...duplicates, ...trouble]);
    for (const file of told.records.keys()) if (!now.has(file)) told.delete(file);
    for (const [file, one] of now) if (!sameRecord(one, told.records.get(file))) told.set(file, one);
    await told.save();
  }

  async function load(file: ManifestFile, known: ReadonlyMap<string, KeptObject>): Promise<void> {
    let bytes: Uint8Array;
    try {
      bytes = await readFile(file.path);
    } catch (error) {
      trouble.set(file.name, {
        file: file.name,
        findings: [finding(file.name, messageOf(error), 'make the file readable')],
      });
      return;
    }
    signatures.set(file.name, file.signature);
    const digest = createHash('sha256').update(bytes).digest('hex');
    if (kept.records.get(file.name)?.digest === digest && !trouble.has(file.name)) return;
    const { objects, faults, ignored } = readObjects(bytes, file.name, validate);
    for (const kind of ignored) {
      const note = `${file.name} ${kind}`;
      if (!noted.has(note)) log.info({ file: file.name, kind }, 'kind of no concern here, ignored');
      noted.add(note);
    }
    if (faults.length > 0) {
      trouble.set(file.name, { file: file.name, findings: faults });
      for (const { line, field, reason, wayOut } of faults) {
        log.warn({ file: file.name, line, field, reason, wayOut }, 'manifest refused, its last good objects stay');
      }
      return;
    }
    trouble.delete(file.name);
    kept.set(file.name, {
      digest,
      objects: objects.map((object) => ({ object, generation: generationOf(object, known.get(identityOf(object))) })),
    });
  }

  /** Rebuilds the views and tells what differs. */
  function declare(): void {
    const next = new Map<string, ManifestObject>();
    const owners = new Map<string, string>();
    duplicates.clear();
    for (const [name, { objects }] of [...kept.records].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      for (const { object, generation } of objects) {
        const identity = identityOf(object);
        const owner = owners.get(identity);
        if (owner !== undefined) {
          const reason = `${identity} stands in ${owner} already`;
          duplicates.set(name, {
            file: name,
            findings: [finding(name, reason, 'remove one of the two; the first stays in force')],
          });
          continue;
        }
        owners.set(identity, name);
        next.set(identity, withMetadata(object, generation, statuses.records.get(identity)));
      }
    }
    const before = declared;
    declared = next;
    const changed: [ObservedKind, ObjectKey][] = [];
    for (const [identity, object] of before) {
      if (next.has(identity)) continue;
      mapOf(object.kind)?.delete(keyOf(object.metadata));
      statuses.delete(identity);
      changed.push([object.kind as ObservedKind, keyOf(object.metadata)]);
    }
    for (const [identity, object] of next) {
      const old = before.get(identity);
      if (old !== undefined && sameDeclaration(old, object)) continue;
      put(object);
      changed.push([object.kind as ObservedKind, keyOf(object.metadata)]);
    }
    for (const [kind, key] of changed) for (const listener of listeners) listener(kind, key);
  }

  function put(object: ManifestObject): void {
    const key = keyOf(object.metadata);
    if (object.kind === 'Namespace') namespaces.set(key, object.metadata.labels ?? {});
    else (mapOf(object.kind) as Map<ObjectKey, ManifestObject> | undefined)?.set(key, object);
  }

  function mapOf(kind: ManifestObject['kind']): Map<ObjectKey, unknown> | undefined {
    const maps: Readonly<Record<string, Map<ObjectKey, unknown>>> = {
      GuestStoreDatastore: datastores,
      GuestStoreRepository: repositories,
      ContentItem: items,
      VMAccessPolicy: policies,
      ClusterVMAccessPolicy: clusterPolicies,
      GuestVM: vms,
      Namespace: namespaces,
      ConfigMap: configMaps,
      Secret: secrets,
    };
    return maps[kind];
  }

  const live: FolderWorld = {
    repositories,
    items,
    policies,
    clusterPolicies,
    vms,
    namespaces,
    // A file that is gone is gone, and what it held with it.
    leavingNamespaces: new Set(),
    datastores,
    configMap: async (namespace, name) => configMaps.get(`${namespace}/${name}`),
    secret: async (namespace, name) => secrets.get(`${namespace}/${name}`),
    frozen: () => {
      const [maps, secretsNow] = [new Map(configMaps), new Map(secrets)];
      return {
        ...frozenWorld(live),
        configMap: async (namespace, name) => maps.get(`${namespace}/${name}`),
        secret: async (namespace, name) => secretsNow.get(`${namespace}/${name}`),
      };
    },
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    scan,
    get trouble() {
      return new Map([...duplicates, ...trouble]);
    },
    hosts: hosts.records,
    *objects() {
      for (const object of declared.values()) if ('spec' in object) yield object;
    },
    writeStatus: async (kind, key, status) => {
      const identity = `${kind} ${key}`;
      const object = declared.get(identity);
      if (object === undefined) return;
      statuses.set(identity, status);
      // The view follows at once: what was written is what is read.
      const updated = { ...object, status } as ManifestObject;
      declared.set(identity, updated);
      put(updated);
    },
    hostStatuses: () => hosts.records,
    hostAsks: () => undefined,
    writeHost: async (name, status) => hosts.set(name, status),
    removeHost: async (name) => hosts.delete(name),
    // A file that is gone is gone: there is nothing to hold back.
    hold: async () => {},
    release: async () => {},
    event: (kind, key, { type, reason, message }) => {
      log[type === 'Warning' ? 'warn' : 'info']({ kind, object: key, reason, detail: message }, 'status changed');
    },
    flush: async () => {
      await statuses.save();
      await hosts.save();
    },
  };
  return live;
}

function sameFiles(a: ManifestFolder, b: ManifestFolder): boolean {
  return (
    a.files.size === b.files.size &&
    [...a.files].every(([name, { signature }]) => b.files.get(name)?.signature === signature)
  );
}

/** As the API server counts: another generation whenever the object but for its metadata differs. */
function generationOf(object: ManifestObject, before: KeptObject | undefined): number {
  if (before === undefined) return 1;
  const { metadata: _, ...is } = object;
  const { metadata: __, ...was } = before.object;
  return sameRecord(is, was) ? before.generation : before.generation + 1;
}

export function withMetadata(
  object: ManifestObject,
  generation: number,
  status: WrittenStatus | undefined,
): ManifestObject {
  const metadata = { ...object.metadata, generation };
  return { ...object, metadata, ...(status === undefined ? {} : { status }) } as ManifestObject;
}

function sameDeclaration(a: ManifestObject, b: ManifestObject): boolean {
  return sameRecord({ ...a, status: undefined }, { ...b, status: undefined });
}

function finding(file: string, reason: string, wayOut: string): Finding {
  return { file, line: 1, field: '', reason, wayOut };
}
