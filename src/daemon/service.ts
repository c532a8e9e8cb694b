import { performance } from 'node:perf_hooks';
import type { ContentPath } from '../core/content-path.ts';
import type { Digest } from '../core/digest.ts';
import type { ObjectKey } from '../core/names.ts';
import type { Channel } from '../core/settings.ts';
import { GuestStoreError } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { Snapshot, StoreReader } from '../store/types.ts';
import { HttpDate, type ResponseStatus, responseHead } from '../wire/response-head.ts';
import { type Answer, answerRequest, type Decide, type Unavailable } from './answer.ts';
import type { BlobAt, ContentInFile, ContentInMemory, Contents } from './contents.ts';
import type { RequestRecord } from './request-log.ts';
import type { Asked, Reply, Service } from './transport.ts';

/** Who is behind one address. */
export interface Tenant {
  readonly vm: ObjectKey;
  /** Name of the datastore that holds the VM's row. */
  readonly store: string;
  readonly reader: StoreReader;
  /** As the row had it when the address was opened: a VM that moved is not served at its old one. */
  readonly channel: Channel;
}

/** One address and who claims it; the claims change as revisions come. More than one: nobody is served there. */
export interface Address {
  readonly path: string;
  tenants: readonly Tenant[];
}

export interface ServiceParts {
  readonly host: string;
  readonly contents: Contents;
  readonly decide: Decide;
  readonly record: (record: RequestRecord) => void;
  readonly lost: (why: 'late' | 'gone' | 'stopped') => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Log;
}

/** What is known of an exchange besides its answer: one revision serves it from beginning to end. */
interface Exchange {
  readonly tenant: Tenant | undefined;
  readonly snapshot: Snapshot | undefined;
  /** What was asked for, when it is no canonical path. */
  readonly asked: string | undefined;
  readonly started: number;
}

/** What an answer comes to on the wire. */
interface Verdict {
  readonly status: ResponseStatus;
  readonly answer: Answer | undefined;
  readonly reason: Unavailable | string | undefined;
}

/** Makes the service of one address: request, identity, decision, content, response. */
export function createServices(parts: ServiceParts): (address: Address) => Service {
  const { contents, decide, host, now, record } = parts;
  const date = new HttpDate();

  function answer(address: Address, asked: Asked): Reply | Promise<Reply> {
    const started = performance.now();
    const tenant = address.tenants.length === 1 ? address.tenants[0] : undefined;
    const snapshot = tenant?.reader.current;
    if ('overloaded' in asked) {
      return plain({ tenant, snapshot, asked: undefined, started }, refused(503, 'Overloaded'));
    }
    if ('refusal' in asked) {
      return plain(
        { tenant, snapshot, asked: asked.line, started },
        refused(asked.refusal.status, asked.refusal.reason),
      );
    }
    const exchange: Exchange = { tenant, snapshot, asked: asked.request.path, started };
    if (tenant === undefined) return plain(exchange, refused(503, 'ChannelConflict'));
    const answered = movedAway(tenant, snapshot)
      ? undefined
      : answerRequest(snapshot, tenant.vm, asked.request.path, { host, decide, now: now() });
    if (answered === undefined) return plain(exchange, refused(503, 'UnknownVM'));
    if (answered.kind !== 'content') return plain(exchange, verdictOf(answered));
    const content = contents.cached(answered.entry.digest);
    return content === undefined
      ? openContent(exchange, tenant, answered)
      : fromMemory(exchange, { status: 200, answer: answered, reason: undefined }, content);
  }

  async function openContent(
    exchange: Exchange,
    tenant: Tenant,
    answered: Answer & { kind: 'content' },
  ): Promise<Reply> {
    const { digest, size } = answered.entry;
    const blob: BlobAt = { file: tenant.reader.blobPath(digest), digest, size };
    try {
      const content = await contents.open(blob);
      const verdict: Verdict = { status: 200, answer: answered, reason: undefined };
      return content.kind === 'memory' ? fromMemory(exchange, verdict, content) : fromFile(exchange, verdict, content);
    } catch (error) {
      parts.log.error({ vm: tenant.vm, path: answered.path, digest, err: error }, 'content cannot be served');
      const reason =
        error instanceof GuestStoreError && error.code === 'DigestMismatch' ? error.code : 'ContentUnreadable';
      return plain(exchange, { status: 503, answer: answered, reason });
    }
  }

  function plain(exchange: Exchange, verdict: Verdict): Reply {
    const first = Buffer.from(responseHead(verdict.status, 0, date.at(now())), 'latin1');
    return { first, file: undefined, length: 0, over: overOf(exchange, verdict) };
  }

  /** Head and body are one buffer, made once a second for each content. */
  function fromMemory(exchange: Exchange, verdict: Verdict, content: ContentInMemory): Reply {
    const text = date.at(now());
    const length = content.bytes.length;
    if (content.ready === undefined || content.readySecond !== date.second) {
      content.ready = Buffer.concat([Buffer.from(responseHead(200, length, text), 'latin1'), content.bytes]);
      content.readySecond = date.second;
    }
    return { first: content.ready, file: undefined, length, over: overOf(exchange, verdict) };
  }

  function fromFile(exchange: Exchange, verdict: Verdict, content: ContentInFile): Reply {
    const first = Buffer.from(responseHead(200, content.size, date.at(now())), 'latin1');
    return { first, file: content, length: content.size, over: overOf(exchange, verdict) };
  }

  function overOf(exchange: Exchange, { status, answer, reason }: Verdict): Reply['over'] {
    return ({ result, bytes }) =>
      record({
        vm: exchange.tenant?.vm,
        path: pathOf(answer) ?? exchange.asked,
        decision: answer === undefined || answer.kind === 'bad' ? undefined : answer.decision,
        datastore: exchange.tenant?.store,
        revision: exchange.snapshot?.seq,
        digest: digestOf(answer),
        status,
        reason,
        result,
        bytes,
        duration: performance.now() - exchange.started,
      });
  }

  return (address) => ({ answer: (asked) => answer(address, asked), lost: parts.lost });
}

/** A revision that was read a moment ago may place the VM elsewhere; who asks here then is not known to be that VM. */
function movedAway(tenant: Tenant, snapshot: Snapshot | undefined): boolean {
  const channel = snapshot?.vm(tenant.vm)?.channel;
  if (channel === undefined || channel === tenant.channel) return false;
  if (channel.kind !== 'hybridUDS' || tenant.channel.kind !== 'hybridUDS') return true;
  return channel.path !== tenant.channel.path || channel.port !== tenant.channel.port;
}

function refused(status: ResponseStatus, reason: string): Verdict {
  return { status, answer: undefined, reason };
}

function verdictOf(answer: Exclude<Answer, { kind: 'content' }>): Verdict {
  switch (answer.kind) {
    case 'denied':
      return { status: 403, answer, reason: undefined };
    case 'not-found':
      return { status: 404, answer, reason: undefined };
    case 'unavailable':
      return { status: 503, answer, reason: answer.reason };
    case 'bad':
      return { status: answer.status, answer, reason: answer.reason };
  }
}

function pathOf(answer: Answer | undefined): ContentPath | undefined {
  return answer === undefined || answer.kind === 'bad' ? undefined : answer.path;
}

function digestOf(answer: Answer | undefined): Digest | undefined {
  return answer?.kind === 'content' ? answer.entry.digest : undefined;
}
