import type { Entry } from '../core/catalog.ts';
import type { ObjectRef } from '../core/names.ts';
import type { RuleSet } from '../core/settings.ts';
import { type Answer, answerRequest } from '../daemon/answer.ts';
import { GuestStoreError } from '../lib/errors.ts';
import type { DecidingRule } from '../rules/compile.ts';
import { createDecider } from '../rules/decision-cache.ts';
import { explainPath } from '../rules/explain.ts';
import { exportRules } from '../rules/rule-strings.ts';
import { createStoreReader } from '../store/reader.ts';
import type { Snapshot } from '../store/types.ts';
import type { ExitCode, Io } from './io.ts';
import type { Place } from './place.ts';
import { formatTable } from './table.ts';

export interface ExplainOptions {
  /** `namespace/name`. */
  readonly vm: string;
  readonly path: string | undefined;
  readonly place: Place;
  readonly output: string;
  readonly version: string;
}

/** What the guest hears: HTTP status, code of a DataMap answer, result of the client library. */
interface Heard {
  readonly http: number;
  readonly dataMap: number;
  readonly client: number;
}

interface RuleView {
  readonly effect: 'grant' | 'deny';
  readonly pattern: string;
  readonly match: 'Whole' | 'Search';
  readonly policy: ObjectRef;
  readonly index: number;
}

/**
 * `gueststore explain NAMESPACE/VM [CONTENT_PATH]`: what the VM would be answered, and which rule of which policy makes it
 * so, by the daemon's own code; without a path, all rules in the order in which they are tried. Returns 1 for an unknown VM.
 */
export async function runExplain(options: ExplainOptions, io: Io): Promise<ExitCode> {
  if (!/^[^/]+\/[^/]+$/.test(options.vm)) {
    throw new GuestStoreError('InvalidArgument', `"${options.vm}": name the VM as NAMESPACE/NAME`);
  }
  if (options.output !== 'text' && options.output !== 'json') {
    throw new GuestStoreError('InvalidArgument', `-o ${options.output}: text or json`);
  }
  const snapshot = await snapshotFor(options, io.signal);
  const row = snapshot?.vm(options.vm);
  if (snapshot === undefined || row === undefined) {
    throw new GuestStoreError(
      'SourceNotFound',
      `there is no GuestVM ${options.vm} here; "gueststore get vms" lists them`,
    );
  }
  const rules = row.ruleSet === null ? undefined : snapshot.ruleSet(row.ruleSet);
  const told =
    options.path === undefined
      ? ruleSetView(options.vm, row.repository, rules)
      : pathView(options.vm, options.path, snapshot, row.host, rules);
  io.stdout.write(options.output === 'json' ? `${JSON.stringify(told.json, undefined, 2)}\n` : told.text);
  return 0;
}

/** The revision that is or would be served to the VM. */
async function snapshotFor(options: ExplainOptions, signal: AbortSignal): Promise<Snapshot | undefined> {
  const { place } = options;
  if (place.kind === 'datastore') {
    const reader = await createStoreReader({ folder: place.folder });
    await reader.close();
    if (reader.current === undefined) throw reader.trouble ?? noRevision(place.folder);
    return reader.current;
  }
  const [{ lookWorld }, { planWorld }] = await Promise.all([
    import('./look-world.ts'),
    import('../operator/publish/plan-world.ts'),
  ]);
  const planned = await planWorld(await lookWorld(place, options.version, signal), signal);
  return [...planned.values()].find((snapshot) => snapshot.vm(options.vm) !== undefined);
}

function noRevision(folder: string): GuestStoreError {
  return new GuestStoreError(
    'StoreUnavailable',
    `${folder} holds no revision yet; "gueststore up" or an operator makes one`,
  );
}

function pathView(vm: string, path: string, snapshot: Snapshot, host: string, rules: RuleSet | undefined) {
  const decider = createDecider(() => {});
  const answer = answerRequest(snapshot, vm, path, { host, decide: decider.decide, now: Date.now() });
  const canonical = 'path' in answer ? answer.path : undefined;
  const why = rules === undefined || canonical === undefined ? undefined : explainPath(rules, canonical);
  const decision = 'decision' in answer ? answer.decision : undefined;
  const entry = answer.kind === 'content' ? answer.entry : lying(snapshot, vm, answer);
  const content = entry === undefined || entry.state === 'pending' ? null : contentOf(entry);
  const heard = heardOf(answer);
  const reason = answer.kind === 'unavailable' || answer.kind === 'bad' ? answer.reason : null;
  const json = {
    vm,
    path: canonical ?? path,
    decision: decision?.effect ?? null,
    rule: decision?.rule === undefined ? null : ruleOf(decision.rule),
    content,
    answer: heard,
    reason,
    repository: snapshot.vm(vm)?.repository ?? null,
    revision: snapshot.seq === 0 ? null : snapshot.seq,
    tried: why?.tried.map(ruleOf) ?? [],
    without:
      why?.without === undefined
        ? null
        : { decision: why.without.effect, rule: why.without.rule === undefined ? null : ruleOf(why.without.rule) },
  };
  const rows = [
    ['decision', decisionText(decision?.effect, json.rule)],
    ['content', contentText(content, entry)],
    [
      'answer',
      `HTTP ${heard.http}, DataMap ${heard.dataMap}, client result ${heard.client}${reason === null ? '' : ` (${reason})`}`,
    ],
    ...json.tried.map((rule, place) => [place === 0 ? 'tried before' : '', ruleText(rule)]),
    ...(json.without === null ? [] : [['without it', decisionText(json.without.decision, json.without.rule)]]),
  ];
  return { json, text: formatTable([vm, json.path], rows) };
}

/** What lies at a path that is denied: whoever explains wants to know both. */
function lying(snapshot: Snapshot, vm: string, answer: Answer): Entry | undefined {
  const repository = snapshot.vm(vm)?.repository;
  const path = 'path' in answer ? answer.path : undefined;
  return repository && path ? snapshot.find(repository, path) : undefined;
}

function contentOf(entry: Exclude<Entry, { state: 'pending' }>) {
  // The place holder of a plan, and a Secret's digest, say nothing.
  const told = entry.sensitive !== true && !/^sha256:0+$/.test(entry.digest);
  return { digest: told ? entry.digest : null, size: told || entry.sensitive ? entry.size : null };
}

function heardOf(answer: Answer): Heard {
  switch (answer.kind) {
    case 'content':
      return { http: 200, dataMap: 0, client: 0 };
    case 'denied':
      return { http: 403, dataMap: 1, client: 15 };
    case 'not-found':
      return { http: 404, dataMap: 2, client: 16 };
    case 'bad':
      // EINVAL: any code but 0, 1 and 2 makes the plugin close, which the client library calls a peer reset.
      return { http: answer.status, dataMap: 22, client: 12 };
    case 'unavailable':
      // EIO.
      return { http: 503, dataMap: 5, client: 12 };
  }
}

function ruleSetView(vm: string, repository: string | null, rules: RuleSet | undefined) {
  const grant = (rules?.grant ?? []).map((rule) => ruleOf({ ...rule, effect: 'grant', list: 'grant' }));
  const deny = (rules?.deny ?? []).map((rule) => ruleOf({ ...rule, effect: 'deny', list: 'deny' }));
  const exported = rules === undefined ? null : exportRules(rules);
  const json = { vm, repository, rules: rules === undefined ? null : [...grant, ...deny], settings: exported };
  const rows = [...grant, ...deny].map(({ effect, pattern, match, policy, index }) => [
    effect,
    pattern,
    match,
    `${nameOf(policy)} ${effect}[${index}]`,
  ]);
  const closing =
    rules === undefined
      ? 'The rules cannot be understood: every request is answered 503.'
      : 'What no rule matches is granted.';
  const table = rows.length === 0 ? '' : formatTable(['EFFECT', 'PATTERN', 'MATCH', 'FROM'], rows);
  return { json, text: `${vm}, served from ${repository ?? 'no repository'}\n${table}${closing}\n` };
}

function ruleOf({ effect, pattern, match, policy, index }: DecidingRule): RuleView {
  return { effect, pattern, match, policy, index };
}

function decisionText(effect: string | undefined, rule: RuleView | null): string {
  if (effect === undefined) return 'none';
  return rule === null ? `${effect}: no rule matches` : `${effect} by ${ruleText(rule)}`;
}

function ruleText({ effect, pattern, policy, index }: RuleView): string {
  return `${pattern}  (${nameOf(policy)} ${effect}[${index}])`;
}

function nameOf({ kind, namespace, name }: ObjectRef): string {
  return `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}

function contentText(content: ReturnType<typeof contentOf> | null, entry: Entry | undefined): string {
  if (entry === undefined) return 'nothing lies there';
  if (content === null) return `claimed by ContentItem ${entry.claim}, its bytes are not here yet`;
  const size = content.size === null ? '' : `, ${content.size} bytes`;
  return `${content.digest ?? 'digest not told'}${size}, of ContentItem ${entry.claim}`;
}
