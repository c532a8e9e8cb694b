import type { Kind } from '../api/resources.generated.ts';
import { type Condition, conditionOf } from './conditions.ts';
import { isReason } from './outcome.ts';

/** An object as anybody reads it; of its spec only the texts count. */
export interface Shown {
  readonly metadata?: { readonly generation?: number | undefined } | undefined;
  readonly spec?: unknown;
  readonly status?: ShownStatus | undefined;
}

export interface ShownStatus {
  readonly observedGeneration?: number | undefined;
  readonly conditions?: readonly Condition[] | undefined;
}

/** What tools that wait for any kind of object (kstatus: Flux, Argo CD, `kpt`) make of one. */
export type Progress = 'InProgress' | 'Failed' | 'Current';

/** kstatus's rules: a status of an older generation counts for nothing, Reconciling before Stalled, Ready last. */
export function progressOf({ metadata, status }: Shown): Progress {
  const { observedGeneration, conditions } = status ?? {};
  if (observedGeneration === undefined || observedGeneration !== (metadata?.generation ?? observedGeneration)) {
    return 'InProgress';
  }
  if (isTrue(conditions, 'Reconciling')) return 'InProgress';
  if (isTrue(conditions, 'Stalled')) return 'Failed';
  return isTrue(conditions, 'Ready') ? 'Current' : 'InProgress';
}

const always = ['Ready', 'Reconciling', 'Stalled', 'NotSupportedYet'];
const typesOf: Readonly<Record<Kind, readonly string[]>> = {
  GuestStoreRepository: [...always, 'Stored', 'Served'],
  ContentItem: [...always, 'SourceReady', 'Verified', 'Stored', 'Served'],
  VMAccessPolicy: [...always, 'RulesEffective', 'Programmed'],
  ClusterVMAccessPolicy: [...always, 'RulesEffective', 'Programmed'],
  GuestVM: [...always, 'RulesEffective', 'Served', 'Programmed'],
  GuestStoreHost: always,
  GuestStoreDatastore: always,
};

/** Conditions that stand only while they are true. */
const abnormal: ReadonlySet<string> = new Set(['Reconciling', 'Stalled', 'NotSupportedYet']);

/** Bytes of a whole status as JSON; etcd takes 1.5 MiB, people far less. */
const maxStatus = 128 * 1024;

type Sign = readonly [sign: RegExp, what: string];

/** What differs from one try to the next although nothing happened; fine where the object itself says it. */
const unstable: readonly Sign[] = [
  [/\d{4}-\d{2}-\d{2}T\d{2}:\d{2}|\b\d{2}:\d{2}:\d{2}\b/g, 'a time'],
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-/gi, 'a random id'],
  [/\.gueststore\/tmp\/|\/\.[0-9a-f]{12}\b/g, 'a temporary file'],
  [/\b(?:in|after|for) \d+(?:\.\d+)? ?ms\b/g, 'a duration that was measured'],
  [/\bpid \d+/g, 'a process id'],
  [/\b(?:attempt|retry|try) #?\d+|\b\d+ (?:attempts|retries|times)\b/gi, 'a count of attempts'],
  [/\b(?:after|received|got) \d+ (?:of \d+ )?bytes/g, 'how far a transfer came'],
  [/\b\d+ (?:more )?hosts?\b/g, 'a count of hosts'],
  [/(?:\b\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:]+\]):\d{1,5}\b/gi, 'an address with its port'],
  [/(?<!sha256:)\b[0-9a-f]{32,}\b/g, 'a long number'],
];
/** What is nobody's business, or of no use to anybody, wherever it comes from. */
const unfit: readonly Sign[] = [
  [/^\s+at .*[(:]\d+/m, 'a stack trace'],
  [/\.[cm]?[jt]s:\d+:\d+/, 'a place in the program'],
  [/\w:\/\/[^/\s@]*:[^/\s@]+@/, 'a password in a URL'],
  [/\bBearer \S|-----BEGIN|\b(?:password|token)=\S/i, 'a credential'],
  [/<html|<!doctype/i, 'a page that a server sent'],
  [/\[object \w+\]|\bundefined\b|\bNaN\b/, 'what a program prints by mistake'],
];

/**
 * What is wrong with an object's status, as sentences; none for one that keeps every promise of docs/reasons.md. With
 * `before`, the object as it was read last, what has changed between the two is judged as well. Schemas are not looked at.
 */
export function statusFaults(kind: Kind, object: Shown, before?: Shown): readonly string[] {
  return [...faultsOf(kind, object, before)];
}

function* faultsOf(kind: Kind, object: Shown, before: Shown | undefined): Iterable<string> {
  const { metadata, status } = object;
  if (status === undefined) return yield 'there is no status, not even the default of the schema';
  const { observedGeneration, conditions = [] } = status;
  if (observedGeneration === undefined) return yield 'observedGeneration is missing';
  if (observedGeneration > (metadata?.generation ?? observedGeneration)) {
    yield `observedGeneration ${observedGeneration} is newer than the object's ${metadata?.generation}`;
  }
  if (JSON.stringify(status).length > maxStatus) yield `the status is longer than ${maxStatus} characters`;
  if (observedGeneration < 0) {
    if (conditions.length > 0) yield 'there are conditions of an object that nobody has seen';
    return;
  }
  if (observedGeneration === 0) yield 'observedGeneration 0 is of no object';
  const allowed = typesOf[kind];
  for (const [index, condition] of conditions.entries()) {
    const { type } = condition;
    if (conditions.findIndex((other) => other.type === type) !== index) yield `${type} stands there twice`;
    if (!allowed.includes(type)) yield `${type} is no condition of a ${kind}`;
    for (const fault of conditionFaults(condition, observedGeneration)) yield `${type}: ${fault}`;
  }
  yield* combinationFaults(status);
  for (const text of textsOf(status)) for (const fault of textFaults(text, object.spec)) yield fault;
  if (isRecord(object.spec) && isRecord(object.spec.source) && 'secretKeyRef' in object.spec.source) {
    for (const field of ['digest', 'servedDigest']) if (field in status) yield `${field} tells of a Secret`;
  }
  if (before !== undefined) yield* changeFaults(before.status, conditions);
}

function* conditionFaults(condition: Condition, generation: number): Iterable<string> {
  const { type, status, reason, message, observedGeneration, lastTransitionTime } = condition;
  if (!['True', 'False', 'Unknown'].includes(status)) yield `status is ${JSON.stringify(status)}`;
  if (abnormal.has(type) && status !== 'True') yield 'stands there although it is not so';
  if (!isReason(reason)) yield `${JSON.stringify(reason)} is no reason of docs/reasons.md`;
  if (message.trim() === '' || message !== message.trim())
    yield `message ${JSON.stringify(message)} is blank, or not trimmed`;
  if (observedGeneration !== generation) yield `observedGeneration is ${observedGeneration}, not ${generation}`;
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(lastTransitionTime)) {
    yield `lastTransitionTime ${lastTransitionTime} is not in whole seconds of UTC`;
  }
}

/** Ready, Reconciling and Stalled must tell one story, whichever of them a tool looks at. */
function* combinationFaults({ conditions }: ShownStatus): Iterable<string> {
  const ready = conditionOf(conditions, 'Ready');
  if (ready === undefined) return yield 'Ready is missing';
  const others = ['Reconciling', 'Stalled'].flatMap((type) => conditionOf(conditions, type) ?? []);
  const wanted = ready.status === 'True' ? 0 : 1;
  if (others.length !== wanted) {
    const found = others.map(({ type }) => type).join(' and ') || 'neither Reconciling nor Stalled';
    yield `with Ready ${ready.status} there is ${found}`;
  }
  for (const { type, reason } of others) {
    if (reason !== ready.reason) yield `${type} says ${reason} where Ready says ${ready.reason}`;
  }
}

function* changeFaults(before: ShownStatus | undefined, conditions: readonly Condition[]): Iterable<string> {
  for (const { type, status, lastTransitionTime: now } of conditions) {
    const known = conditionOf(before?.conditions, type);
    if (known === undefined) continue;
    const then = known.lastTransitionTime;
    if (known.status === status && then !== now) yield `${type}: lastTransitionTime moved and the status did not`;
    if (now < then) yield `${type}: lastTransitionTime went back from ${then} to ${now}`;
  }
}

/** Every text for people: `message`, at any depth. */
function* textsOf(value: unknown): Iterable<string> {
  if (!isRecord(value)) return;
  for (const [name, inner] of Object.entries(value)) {
    if (name === 'message' && typeof inner === 'string') yield inner;
    else yield* textsOf(inner);
  }
}

function* textFaults(text: string, spec: unknown): Iterable<string> {
  for (const [sign, what] of unfit) if (sign.test(text)) yield `${what} stands in ${JSON.stringify(text)}`;
  const said = JSON.stringify(spec ?? {});
  for (const [sign, what] of unstable) {
    for (const [found] of text.matchAll(sign)) {
      if (!said.includes(found)) yield `${what} (${found}) stands in ${JSON.stringify(text)}`;
    }
  }
}

function isTrue(conditions: readonly Condition[] | undefined, type: string): boolean {
  return conditionOf(conditions, type)?.status === 'True';
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
