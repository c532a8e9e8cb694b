import { join } from 'node:path';
import type { Digest } from '../core/digest.ts';
import { keyOf, type ObjectKey } from '../core/names.ts';
import type { Log } from '../lib/log.ts';
import type { Decision } from '../rules/compile.ts';
import type { Unavailable } from './answer.ts';
import { createLogFiles, type LogFileLimits } from './log-files.ts';
import type { ReplyEnd } from './transport.ts';

/** One request as it ended. What it never came to is undefined. */
export interface RequestRecord {
  /** Undefined where an address does not say who asks: two VMs claim it. */
  readonly vm: ObjectKey | undefined;
  /** The canonical path, or what was asked for where it is none. */
  readonly path: string | undefined;
  readonly decision: Decision | undefined;
  /** Name of the datastore. */
  readonly datastore: string | undefined;
  /** Seq of the revision that was served from. */
  readonly revision: number | undefined;
  readonly digest: Digest | undefined;
  readonly status: number;
  readonly reason: Unavailable | string | undefined;
  readonly result: ReplyEnd['result'];
  /** Of the body. */
  readonly bytes: number;
  /** Milliseconds from the whole head to the end of the reply. */
  readonly duration: number;
}

export interface RequestLog {
  write(record: RequestRecord): void;
  readonly dropped: number;
  flush(): Promise<void>;
  close(): Promise<void>;
}

/**
 * One JSON line for each request, in `gstored.log` and in the VM's own `vms/<namespace>/<name>/vmware.log` below `folder`.
 * Both get the same line. Lines have pino's shape (`level`, `time`, fields, `msg`) but are put together here from parts
 * that are made once: a line is made for every request, and pino's own way costs a fifth of all that a small one does.
 */
export function createRequestLog(folder: string, limits: LogFileLimits, log: Log, now: () => number): RequestLog {
  const files = createLogFiles(limits, (error) => {
    if (error === undefined) log.info({ folder }, 'request logs are written again');
    else log.error({ folder, err: error }, 'request logs cannot be written: lines are lost until they can');
  });
  const everyone = join(folder, 'gstored.log');
  const fileOf = new Map<ObjectKey, string>();
  const parts: LineParts = { middles: new WeakMap(), second: Number.NaN, time: '' };

  function vmFile(key: ObjectKey): string {
    let file = fileOf.get(key);
    if (file === undefined) {
      file = join(folder, 'vms', key, 'vmware.log');
      fileOf.set(key, file);
    }
    return file;
  }

  return {
    write(record) {
      const line = lineOf(record, now(), parts);
      if (record.vm === undefined) files.append(line, everyone);
      else files.append(line, everyone, vmFile(record.vm));
    },
    get dropped() {
      return files.dropped;
    },
    flush: files.flush,
    close: files.close,
  };
}

/** What many lines have in common. */
interface LineParts {
  /** Decisions are made once for each rule, by the rules room; then by path. */
  readonly middles: WeakMap<Decision, Map<string, Middle>>;
  second: number;
  time: string;
}

/** All of a line but its time, VM and duration, and the record that it was made for. */
interface Middle {
  readonly record: RequestRecord;
  readonly text: string;
}

/** Paths of one rule whose lines are remembered. */
const maxMiddles = 256;

function lineOf(record: RequestRecord, milliseconds: number, parts: LineParts): string {
  const vm = record.vm === undefined ? 'null' : `"${record.vm}"`;
  const duration = Math.round(record.duration * 1000) / 1000;
  return `{"level":"info","time":"${timeOf(milliseconds, parts)}","vm":${vm},${middleOf(record, parts)}${duration},"msg":"request"}\n`;
}

function middleOf(record: RequestRecord, { middles }: LineParts): string {
  const { decision, path } = record;
  if (decision === undefined || path === undefined) return formMiddle(record);
  let ofDecision = middles.get(decision);
  if (ofDecision === undefined || ofDecision.size >= maxMiddles) {
    ofDecision = new Map();
    middles.set(decision, ofDecision);
  }
  const known = ofDecision.get(path);
  if (known !== undefined && sayTheSame(known.record, record)) return known.text;
  const text = formMiddle(record);
  ofDecision.set(path, { record, text });
  return text;
}

/** Of two records with one path and decision. */
function sayTheSame(a: RequestRecord, b: RequestRecord): boolean {
  return (
    a.revision === b.revision &&
    a.digest === b.digest &&
    a.status === b.status &&
    a.bytes === b.bytes &&
    a.result === b.result &&
    a.reason === b.reason &&
    a.datastore === b.datastore
  );
}

function formMiddle(record: RequestRecord): string {
  const rule = record.decision?.rule;
  const fields = {
    path: record.path === undefined ? null : escapeGuestText(record.path),
    decision: record.decision?.effect ?? null,
    rule: rule?.pattern ?? null,
    policy: rule === undefined ? null : `${rule.policy.kind}/${keyOf(rule.policy)}#${rule.index}`,
    datastore: record.datastore ?? null,
    revision: record.revision ?? null,
    digest: record.digest ?? null,
    status: record.status,
    reason: record.reason ?? null,
    result: record.result,
    bytes: record.bytes,
  };
  return `${JSON.stringify(fields).slice(1, -1)},"duration":`;
}

/** RFC 3339 in UTC with milliseconds. */
function timeOf(milliseconds: number, parts: LineParts): string {
  const second = Math.floor(milliseconds / 1000);
  if (second !== parts.second) {
    parts.second = second;
    parts.time = new Date(second * 1000).toISOString().slice(0, -4);
  }
  const rest = Math.floor(milliseconds - second * 1000);
  return `${parts.time}${rest < 100 ? (rest < 10 ? '00' : '0') : ''}${rest}Z`;
}

/**
 * JSON escapes only what would break JSON. Whoever reads the log on a terminal is also spared what that would obey:
 * delete, C1 controls, line separators, and marks that turn the direction of writing.
 */
export function escapeGuestText(text: string): string {
  if (/^[ -~]*$/.test(text)) return text;
  return text.replace(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
