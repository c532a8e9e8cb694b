import { join } from 'node:path';
import type { Digest } from '../core/digest.ts';
import { keyOf, type ObjectKey } from '../core/names.ts';
import { createLog, type Log } from '../lib/log.ts';
import type { Decision, Unavailable } from './answer.ts';
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
 * Both get the same line, which is made once.
 */
export function createRequestLog(folder: string, limits: LogFileLimits, log: Log): RequestLog {
  const files = createLogFiles(limits, (error) => {
    if (error === undefined) log.info({ folder }, 'request logs are written again');
    else log.error({ folder, err: error }, 'request logs cannot be written: lines are lost until they can');
  });
  const everyone = join(folder, 'gstored.log');
  const fileOf = new Map<ObjectKey, string>();
  let vm: ObjectKey | undefined;
  // Pino writes within the call, so `vm` is the one whose line comes.
  const lines = createLog('info', {
    write(line) {
      files.append(everyone, line);
      if (vm !== undefined) files.append(vmFile(vm), line);
    },
  });

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
      vm = record.vm;
      lines.info(fieldsOf(record), 'request');
    },
    get dropped() {
      return files.dropped;
    },
    flush: files.flush,
    close: files.close,
  };
}

function fieldsOf(record: RequestRecord) {
  const { decision } = record;
  const rule = decision?.rule;
  return {
    vm: record.vm ?? null,
    path: record.path === undefined ? null : escapeGuestText(record.path),
    decision: decision?.effect ?? null,
    rule: rule?.pattern ?? null,
    policy: rule === undefined ? null : `${rule.policy.kind}/${keyOf(rule.policy)}#${rule.index}`,
    store: record.store ?? null,
    revision: record.revision ?? null,
    digest: record.digest ?? null,
    status: record.status,
    reason: record.reason ?? null,
    result: record.result,
    bytes: record.bytes,
    duration: Math.round(record.duration * 1000) / 1000,
  };
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
