import type { ObjectKey } from '../../core/names.ts';
import type { Failure, PolicyOutcome } from '../../core/outcome.ts';
import { failureOf } from '../../core/outcome.ts';
import { requestOf } from '../../core/reconcile-request.ts';
import { selects } from '../../core/selector.ts';
import { asGuestStoreError } from '../../lib/errors.ts';
import { compilePattern } from '../../rules/pattern.ts';
import type { Policy } from '../types.ts';
import { declared, type Outcomes } from './pass.ts';
import type { Selected } from './selected.ts';

/** What came of policies, told from the VMs that they select; call after the VMs have outcomes. */
export function passPolicies(
  policies: ReadonlyMap<ObjectKey, Policy>,
  kind: Policy['kind'],
  keys: Iterable<ObjectKey>,
  selected: Selected,
  vms: Outcomes['vms'],
): Map<ObjectKey, PolicyOutcome> {
  const outcomes = new Map<ObjectKey, PolicyOutcome>();
  for (const key of keys) {
    const policy = declared(policies.get(key));
    if (policy === undefined) continue;
    const matched = selected.vmsOf(kind, key);
    const failure = ownFailure(policy) ?? publishingFailure(matched, vms);
    outcomes.set(key, {
      generation: policy.metadata.generation ?? 1,
      seq: undefined,
      inherited: false,
      failure,
      suspended: policy.spec.suspend,
      handled: policy.spec.suspend ? undefined : requestOf(policy.metadata),
      notSupported: [],
      matched: matched.size,
    });
  }
  return outcomes;
}

/** Trouble with the policy itself. A VM whose rules another policy spoils is that one's, and said on the VM. */
function ownFailure({ spec }: Policy): Failure | undefined {
  if (spec.mode === 'Audit') {
    const message =
      'spec.mode Audit is not supported by this version; none of the rules takes effect. Set Enforce, or take the policy away.';
    return { reason: 'NotSupportedYet', message, terminal: true };
  }
  try {
    selects(spec.vmSelector, {});
  } catch (thrown) {
    const { reason, message, terminal } = failureOf(asGuestStoreError(thrown));
    return { reason, message: `spec.vmSelector: ${message}`, terminal };
  }
  for (const list of ['grant', 'deny'] as const) {
    for (const [index, pattern] of (spec[list] ?? []).entries()) {
      try {
        compilePattern(pattern, spec.match);
      } catch (thrown) {
        const { reason, message, terminal } = failureOf(asGuestStoreError(thrown));
        return { reason, message: `spec.${list}[${index}]: ${message}`, terminal };
      }
    }
  }
  return undefined;
}

/** Trouble of a VM that keeps the rules of its policies from taking effect. */
export function spoils(failure: Failure | undefined): boolean {
  return failure?.reason === 'StoreUnavailable' || failure?.reason === 'TooManyRules';
}

function publishingFailure(matched: ReadonlySet<ObjectKey>, vms: Outcomes['vms']): Failure | undefined {
  for (const vm of matched) {
    const failure = vms.get(vm)?.failure;
    if (failure !== undefined && spoils(failure)) {
      return { ...failure, message: `GuestVM ${vm}: ${failure.message}` };
    }
  }
  return undefined;
}
