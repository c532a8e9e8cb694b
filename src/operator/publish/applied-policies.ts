import { conditionOf } from '../../core/conditions.ts';
import { keyOf } from '../../core/names.ts';
import type { RuleRecord, RuleSet } from '../../core/settings.ts';
import type { Policy } from '../types.ts';

/** Policies as they are in force: a suspended one stays as it was when it was last not suspended. */
export interface AppliedPolicies {
  /** Undefined for one that is suspended and never was in force. */
  of(policy: Policy): Policy | undefined;
}

/** `published` are the rule sets of the datastore, from which what a suspended policy had is read after a restart. */
export function createAppliedPolicies(published: () => Iterable<RuleSet>): AppliedPolicies {
  const applied = new Map<string, Policy>();
  return {
    of: (policy) => {
      const name = `${policy.kind} ${keyOf(policy.metadata)}`;
      if (!policy.spec.suspend) applied.set(name, policy);
      const found = applied.get(name) ?? recovered(policy, published());
      if (found !== undefined) applied.set(name, found);
      return found;
    },
  };
}

function recovered(policy: Policy, published: Iterable<RuleSet>): Policy | undefined {
  const mine = ({ policy: { kind, namespace, name } }: RuleRecord) =>
    kind === policy.kind && name === policy.metadata.name && namespace === policy.metadata.namespace;
  for (const { grant, deny } of published) {
    const grants = grant.filter(mine);
    const denies = deny.filter(mine);
    const [first] = [...grants, ...denies];
    if (first === undefined) continue;
    const patterns = (rules: readonly RuleRecord[]) => rules.map(({ pattern }) => pattern);
    const spec = { ...policy.spec, grant: patterns(grants), deny: patterns(denies), match: first.match };
    return policy.kind === 'VMAccessPolicy'
      ? { ...policy, spec: { ...policy.spec, ...spec } }
      : { ...policy, spec: { ...policy.spec, ...spec } };
  }
  // In force without a VM to program: a deny must not be lost for the first that comes.
  return conditionOf(policy.status.conditions, 'RulesEffective')?.status === 'True' ? policy : undefined;
}
