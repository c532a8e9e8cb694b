import { createHash } from 'node:crypto';
import type { StoreWriter } from '../../store/types.ts';

/** How many documents the records are spread over: one change rewrites little, and a first fill writes few files. */
const shards = 64;

/** Where documents are kept: a datastore, or memory. */
export type Documents = Pick<StoreWriter, 'documents' | 'readDocument' | 'writeDocument' | 'removeDocument'>;

/** A keyed collection of JSON records that outlives the process, in documents of the datastore. */
export interface Shelf<Value> {
  readonly records: ReadonlyMap<string, Value>;
  set(key: string, value: Value): void;
  delete(key: string): void;
  /** Writes what changed since the last time. Throws `StoreUnavailable`; what is not written stays due. */
  save(): Promise<void>;
}

/** Opens the shelf `name`; a document that cannot be understood counts as empty and is told to `onUnreadable`. */
export async function openShelf<Value>(
  documents: Documents,
  name: string,
  onUnreadable: (document: string, error: unknown) => void,
): Promise<Shelf<Value>> {
  const records = new Map<string, Value>();
  const due = new Set<string>();
  for (const document of await documents.documents()) {
    if (!document.startsWith(`${name}-`)) continue;
    try {
      const bytes = await documents.readDocument(document);
      const stored = JSON.parse(new TextDecoder().decode(bytes ?? new TextEncoder().encode('{}'))) as Record<
        string,
        Value
      >;
      for (const [key, value] of Object.entries(stored)) records.set(key, value);
    } catch (error) {
      onUnreadable(document, error);
    }
  }
  return {
    records,
    set: (key, value) => {
      records.set(key, value);
      due.add(documentOf(name, key));
    },
    delete: (key) => {
      if (records.delete(key)) due.add(documentOf(name, key));
    },
    save: async () => {
      if (due.size === 0) return;
      // Taken at one moment: what is set while documents are written is due again, and waits for the next time.
      const byDocument = Map.groupBy(records, ([key]) => documentOf(name, key));
      const taken = [...due];
      due.clear();
      for (const [index, document] of taken.entries()) {
        const stored = byDocument.get(document);
        try {
          if (stored === undefined) await documents.removeDocument(document);
          else
            await documents.writeDocument(
              document,
              new TextEncoder().encode(JSON.stringify(Object.fromEntries(stored))),
            );
        } catch (thrown) {
          for (const left of taken.slice(index)) due.add(left);
          throw thrown;
        }
      }
    },
  };
}

function documentOf(name: string, key: string): string {
  const first = createHash('sha256').update(key).digest()[0] ?? 0;
  return `${name}-${(first % shards).toString(16).padStart(2, '0')}.json`;
}

/** Documents that are gone with the process. */
export function createMemoryDocuments(): Documents {
  const kept = new Map<string, Uint8Array>();
  return {
    documents: async () => [...kept.keys()],
    readDocument: async (name) => kept.get(name),
    writeDocument: async (name, bytes) => void kept.set(name, bytes),
    removeDocument: async (name) => void kept.delete(name),
  };
}
