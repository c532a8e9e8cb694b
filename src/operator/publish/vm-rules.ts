import type { GuestVM } from '../../api/resources.generated.ts';
import type { Digest } from '../../core/digest.ts';
import { compareKeys, keyOf, type ObjectKey } from '../../core/names.ts';
import { type Failure, failureOf } from '../../core/outcome.ts';
import { labelsOfNamespace, selects } from '../../core/selector.ts';
import type { RuleSet } from '../../core/settings.ts';
import { asGuestStoreError } from '../../lib/errors.ts';
import { compileRuleSet } from '../../rules/compile.ts';
import { type PolicyRules, type Posture, rulesForVm } from '../../rules/rules-for-vm.ts';
import { ruleSetDigest } from '../../store/canonical.ts';
import type { Policy, World } from '../types.ts';
import type { AppliedPolicies } from './applied-policies.ts';

/** The effective rules of one VM, with where they came from. */
export interface VmRules {
  readonly policies: readonly Policy[];
  readonly rules: { readonly digest: Digest; readonly set: RuleSet } | { readonly failure: Failure };
}

/** Computes each distinct combination of policies once, however many VMs share it. */
export interface RulesOfVms {
  of(vm: GuestVM, posture: Posture | undefined): VmRules;
}

/** Good for one pass: policies must not change under it. */
export function createRulesOfVms(world: World, applied: AppliedPolicies): RulesOfVms {
  const memo = new Map<string, VmRules['rules']>();
  const cluster = inOrder(world.clusterPolicies, applied);
  const byNamespace = Map.groupBy(inOrder(world.policies, applied), ({ metadata }) => metadata.namespace);
  return {
    of: (vm, posture) => {
      const candidates = [...cluster, ...(byNamespace.get(vm.metadata.namespace) ?? [])];
      const policies: Policy[] = [];
      try {
        policies.push(...candidates.filter((policy) => selectsVm(policy, vm, world)));
      } catch (thrown) {
        // A selector that cannot be understood might select this VM: its rules cannot be told.
        return { policies, rules: { failure: failureOf(asGuestStoreError(thrown)) } };
      }
      const combination = JSON.stringify([
        policies.map(({ kind, metadata }) => [kind, keyOf(metadata)]),
        posture?.posture === 'Closed' ? posture : null,
      ]);
      const rules = memo.get(combination) ?? compiled(policies, posture);
      memo.set(combination, rules);
      return { policies, rules };
    },
  };
}

function inOrder(policies: ReadonlyMap<ObjectKey, Policy>, applied: AppliedPolicies): Policy[] {
  return [...policies].toSorted(([a], [b]) => compareKeys(a, b)).flatMap(([, policy]) => applied.of(policy) ?? []);
}

/** Whether a policy is in force for a VM. One that is on its way out is not. */
export function selectsVm(policy: Policy, vm: GuestVM, world: World): boolean {
  if (policy.metadata.deletionTimestamp !== undefined) return false;
  const { namespace, name, labels } = vm.metadata;
  if (policy.kind === 'ClusterVMAccessPolicy') {
    if (!selects(policy.spec.namespaceSelector, labelsOfNamespace(world.namespaces, namespace))) return false;
  } else if (policy.metadata.namespace !== namespace) return false;
  return selects(policy.spec.vmSelector, labels ?? {}, name);
}

function compiled(policies: readonly Policy[], posture: Posture | undefined): VmRules['rules'] {
  try {
    const set = rulesForVm(policies.map(rulesOf), posture);
    // Once here, so that what a daemon will read is known to compile before it is published.
    compileRuleSet(set);
    return { digest: ruleSetDigest(set), set };
  } catch (thrown) {
    return { failure: failureOf(asGuestStoreError(thrown)) };
  }
}

function rulesOf(policy: Policy): PolicyRules {
  const { kind, metadata, spec } = policy;
  const { name } = metadata;
  return {
    policy: metadata.namespace === undefined ? { kind, name } : { kind, namespace: metadata.namespace, name },
    grant: spec.grant ?? [],
    deny: spec.deny ?? [],
    match: spec.match,
    mode: spec.mode,
  };
}
