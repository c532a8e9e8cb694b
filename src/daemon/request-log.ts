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
  readonly store: string | undefined;
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
  const parts: LineParts = { decisions: new WeakMap(), second: Number.NaN, time: '' };

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
      files.append(everyone, line);
      if (record.vm !== undefined) files.append(vmFile(record.vm), line);
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
  /** Decisions are made once for each rule, by the rules room. */
  readonly decisions: WeakMap<Decision, string>;
  second: number;
  time: string;
}

function lineOf(record: RequestRecord, milliseconds: number, parts: LineParts): string {
  const { vm, path, decision, store, digest, reason } = record;
  return (
    `{"level":"info","time":"${timeOf(milliseconds, parts)}","vm":${vm === undefined ? 'null' : `"${vm}"`},` +
    `"path":${path === undefined ? 'null' : jsonOfGuestText(path)},${decisionOf(decision, parts)},` +
    `"store":${store === undefined ? 'null' : JSON.stringify(store)},"revision":${record.revision ?? 'null'},` +
    `"digest":${digest === undefined ? 'null' : `"${digest}"`},"status":${record.status},` +
    `"reason":${reason === undefined ? 'null' : JSON.stringify(reason)},"result":"${record.result}",` +
    `"bytes":${record.bytes},"duration":${Math.round(record.duration * 1000) / 1000},"msg":"request"}\n`
  );
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

function decisionOf(decision: Decision | undefined, parts: LineParts): string {
  if (decision === undefined) return '"decision":null,"rule":null,"policy":null';
  let text = parts.decisions.get(decision);
  if (text === undefined) {
    const { effect, rule } = decision;
    const policy = rule === undefined ? null : `${rule.policy.kind}/${keyOf(rule.policy)}#${rule.index}`;
    text = JSON.stringify({ decision: effect, rule: rule?.pattern ?? null, policy }).slice(1, -1);
    parts.decisions.set(decision, text);
  }
  return text;
}

/** Most paths are plain ASCII, which needs no more than quotes. */
function jsonOfGuestText(text: string): string {
  return /^[ !#-[\]-~]*$/.test(text) ? `"${text}"` : JSON.stringify(escapeGuestText(text));
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
