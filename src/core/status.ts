import type { Fact } from './conditions.ts';
import type { Reach } from './hosts.ts';
import type {
  DatastoreOutcome,
  ItemOutcome,
  Outcome,
  PolicyOutcome,
  Reason,
  RepositoryOutcome,
  VmOutcome,
} from './outcome.ts';

/**
 * What conditions say of an outcome: the last step of the operator's story, pure. `Ready` means published, and
 * acknowledged by every host with a heartbeat that has a VM of the repository; a host that is away is named elsewhere and
 * stalls nothing. Messages count no hosts: else every status would be written again when one of many comes or goes.
 * `Reconciling` and `Stalled` stand only while true (kstatus).
 */
export function readiness(outcome: Outcome, reach: Reach, suspendedBy = 'spec.suspend'): Fact[] {
  const { failure, seq, suspended } = outcome;
  if (suspended) {
    const wayOut = `while ${suspendedBy} is true; set it to false to go on.`;
    if (seq !== undefined) {
      return [fact('Ready', true, 'Suspended', `What is published stays, and edits wait, ${wayOut}`)];
    }
    return [
      fact('Ready', false, 'Suspended', `Nothing is published, and nothing will be ${wayOut}`),
      fact('Stalled', true, 'Suspended', `Nothing is done ${wayOut}`),
    ];
  }
  if (failure !== undefined) {
    return [
      fact('Ready', false, failure.reason, failure.message),
      failure.terminal
        ? fact('Stalled', true, failure.reason, 'Only a change of the resource, or of what it refers to, will help.')
        : fact(
            'Reconciling',
            true,
            failure.reason,
            'It is tried again by itself, after growing pauses; "gueststore reconcile" tries now.',
          ),
    ];
  }
  if (seq === undefined) return inProgress('Publishing', 'Seen, and not published yet; that takes moments.');
  if (reach.behind.length > 0) {
    return inProgress(
      'WaitingForHosts',
      `Published; not yet served by ${namesOf(reach.behind)}. If that lasts, read the log of the daemon there.`,
    );
  }
  return reach.current.length > 0
    ? [fact('Ready', true, 'Served', 'Published, and served by every live host that it concerns.')]
    : [fact('Ready', true, 'Published', 'Published. No live host has a VM that it concerns.')];
}

export function itemFacts(outcome: ItemOutcome, reach: Reach): Fact[] {
  const ready = outcome.fetching
    ? inProgress('Fetching', 'The source is being fetched; status.progress says how far it is.')
    : readiness(outcome, reach, "spec.suspend (its own, its repository's or its datastore's)");
  const source = outcome.sourceFailure ?? (isOfSource(outcome.failure?.reason) ? outcome.failure : undefined);
  const facts = [...ready, ...notSupportedFacts(outcome)];
  if (source !== undefined) facts.push(fact('SourceReady', false, source.reason, source.message));
  else if (outcome.sourceRevision !== undefined)
    facts.push(fact('SourceReady', true, 'Published', 'The source answered.'));
  const { served } = outcome;
  if (outcome.leftover) return facts;
  facts.push(
    served === undefined
      ? fact(
          'Stored',
          false,
          outcome.failure?.reason ?? 'Publishing',
          'Guests that ask for the path get an error, not "not found".',
        )
      : fact('Stored', true, 'Published', storedMessage(outcome)),
  );
  if (outcome.seq !== undefined) facts.push(servedFact(reach));
  return facts;
}

export function repositoryFacts(outcome: RepositoryOutcome, reach: Reach): Fact[] {
  const by = "spec.suspend (its own, or its datastore's)";
  const facts = [...readiness(outcome, reach, by), ...notSupportedFacts(outcome)];
  if (outcome.seq !== undefined) facts.push(servedFact(reach));
  return facts;
}

export function datastoreFacts({ failure, refused, suspended }: DatastoreOutcome): Fact[] {
  if (failure !== undefined) {
    return [
      fact('Ready', false, failure.reason, failure.message),
      fact('Stalled', true, failure.reason, 'Only a change of the resource, or of what it refers to, will help.'),
    ];
  }
  if (suspended) {
    const message = 'What is published stays, and edits wait, while spec.suspend is true; set it to false to go on.';
    return [fact('Ready', true, 'Suspended', message)];
  }
  const asks = refused === 1 ? 'repository asks' : 'repositories ask';
  const message = refused === 0 ? 'Its rules hold.' : `Its rules hold; ${refused} ${asks} for more, and say so.`;
  return [fact('Ready', true, 'Effective', message)];
}

export function policyFacts(outcome: PolicyOutcome, reach: Reach): Fact[] {
  const facts = [...readiness(outcome, reach), ...notSupportedFacts(outcome)];
  // Suspended before it ever was in force: there is nothing that could be effective.
  if (outcome.suspended && outcome.seq === undefined) return facts;
  const invalid = outcome.failure?.reason === 'InvalidRule' || outcome.failure?.reason === 'NotSupportedYet';
  facts.push(
    invalid && outcome.failure !== undefined
      ? fact('RulesEffective', false, outcome.failure.reason, outcome.failure.message)
      : fact('RulesEffective', true, 'Effective', 'Every rule compiles.'),
  );
  if (outcome.seq !== undefined) {
    const waiting = reach.behind.length > 0;
    facts.push(
      fact(
        'Programmed',
        !waiting,
        waiting ? 'WaitingForHosts' : 'Programmed',
        `Selects ${countOf(outcome.matched, 'VM')}.`,
      ),
    );
  }
  return facts;
}

/** `refused` is what the VM's own daemon says against serving it. */
export function vmFacts(
  outcome: VmOutcome,
  reach: Reach,
  refused: { readonly reason: string; readonly message: string } | undefined,
): Fact[] {
  const facts =
    refused !== undefined && outcome.failure === undefined && !outcome.suspended
      ? [
          fact('Ready', false, refused.reason, refused.message),
          fact('Stalled', true, refused.reason, 'The host does not serve this VM until what it says is changed.'),
        ]
      : readiness(outcome, reach).map((one) =>
          one.type === 'Ready' && one.status === 'True' && !outcome.enabled
            ? fact(
                'Ready',
                true,
                'Disabled',
                'spec.enabled is false: the VM is answered 503. Set it to true to serve it.',
              )
            : one,
        );
  facts.push(...notSupportedFacts(outcome));
  if (outcome.seq !== undefined) {
    const behind = reach.behind.length > 0;
    const programmed = !behind && refused === undefined;
    facts.push(
      fact(
        'Programmed',
        programmed,
        programmed ? 'Programmed' : (refused?.reason ?? 'WaitingForHosts'),
        `${countOf(outcome.grants, 'grant')}, ${countOf(outcome.denies, 'deny', 'denies')}.`,
      ),
    );
  }
  return facts;
}

function storedMessage(outcome: ItemOutcome): string {
  return outcome.seq === undefined
    ? 'The last good content stays served.'
    : 'The content that this generation asks for is published.';
}

function servedFact({ behind, current }: Reach): Fact {
  if (behind.length > 0) return fact('Served', false, 'WaitingForHosts', `Not yet served by ${namesOf(behind)}.`);
  return current.length > 0
    ? fact('Served', true, 'Served', 'Served by every live host that it concerns.')
    : fact('Served', true, 'Published', 'No live host has a VM that it concerns.');
}

function notSupportedFacts(outcome: Outcome): Fact[] {
  if (outcome.notSupported.length === 0) return [];
  const fields = outcome.notSupported.join(', ');
  return [
    fact(
      'NotSupportedYet',
      true,
      'NotSupportedYet',
      `This version accepts but does not act on: ${fields}. Leave that out, or use a later version.`,
    ),
  ];
}

function inProgress(reason: Reason, message: string): Fact[] {
  return [fact('Ready', false, reason, message), fact('Reconciling', true, reason, message)];
}

function isOfSource(reason: string | undefined): boolean {
  return reason !== undefined && (reason.startsWith('Source') || ofSource.has(reason));
}

const ofSource: ReadonlySet<string> = new Set([
  'SecretNotGranted',
  'EgressNotPermitted',
  'DigestMismatch',
  'TooLarge',
  'QuotaExceeded',
]);

function fact(type: string, status: boolean, reason: string, message: string): Fact {
  return { type, status: status ? 'True' : 'False', reason, message };
}

function namesOf(hosts: readonly string[]): string {
  const named = hosts.slice(0, 3).join(', ');
  return hosts.length > 3 ? `${named} and others` : named;
}

function countOf(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
