import type { GuestVM } from '../api/resources.generated.ts';
import { vmPlace } from '../core/desired-vm.ts';
import { isDigest } from '../core/digest.ts';
import type { ObjectKey } from '../core/names.ts';
import type { Failure, VmOutcome } from '../core/outcome.ts';
import type { VmRow } from '../core/settings.ts';
import { exportRules } from '../rules/rule-strings.ts';
import type { Addresses } from './addresses.ts';
import type { AppliedPolicies } from './applied-policies.ts';
import { declared, type Pass } from './pass.ts';
import type { Selected } from './selected.ts';
import { createRulesOfVms, type Posture, type RulesOfVms } from './vm-rules.ts';

/** The API refuses nothing up to here; beyond, status leaves the strings out and `explain` prints them. */
const maxExported = 8 * 1024;

/**
 * Drafts the rows of VMs: where each is met, which repository it is served from, which rules it has. Rules that cannot be
 * compiled leave the last good ones in force.
 */
export function passVms(
  pass: Pass,
  addresses: Addresses,
  selected: Selected,
  applied: AppliedPolicies,
  keys: Iterable<ObjectKey>,
): Map<ObjectKey, VmOutcome> {
  const outcomes = new Map<ObjectKey, VmOutcome>();
  const rules = createRulesOfVms(pass.world, applied);
  // Addresses first: a conflict concerns both claimants, whichever changed.
  const all = new Set(keys);
  for (const key of [...all]) {
    for (const other of addresses.claim(key, addressOf(pass, key))) all.add(other);
  }
  for (const key of all) {
    const vm = declared(pass.world.vms.get(key));
    const outcome = vm && passVm(pass, addresses, rules, selected, key, vm);
    if (outcome !== undefined) outcomes.set(key, outcome);
    else {
      selected.forget(key);
      for (const draft of pass.drafts.values()) draft.setVm(key, undefined, undefined);
    }
  }
  return outcomes;
}

function addressOf(pass: Pass, key: ObjectKey): string | undefined {
  const vm = declared(pass.world.vms.get(key));
  const place = vm && vmPlace(vm, pass.world.repositories, pass.world.namespaces);
  return place !== undefined && 'address' in place ? place.address : undefined;
}

function passVm(
  pass: Pass,
  addresses: Addresses,
  rulesOfVms: RulesOfVms,
  selected: Selected,
  key: ObjectKey,
  vm: GuestVM,
): VmOutcome {
  const place = vmPlace(vm, pass.world.repositories, pass.world.namespaces);
  const base = {
    generation: vm.metadata.generation ?? 1,
    seq: undefined,
    inherited: false,
    suspended: vm.spec.suspend,
    notSupported: vm.spec.uid === undefined ? [] : ['spec.uid'],
    host: vm.spec.host ?? '',
    enabled: vm.spec.enabled,
  };
  const nothing = {
    repository: undefined,
    ruleSet: undefined,
    grants: 0,
    denies: 0,
    policies: [],
    exported: undefined,
  };
  if ('unsupported' in place) {
    for (const draft of pass.drafts.values()) draft.setVm(key, undefined, undefined);
    return { ...base, ...nothing, failure: place.unsupported };
  }
  const repository = place.repository === null ? undefined : pass.world.repositories.get(place.repository);
  const { policies, rules } = rulesOfVms.of(vm, repository && postureOf(repository));
  selected.set(key, policies);
  if (vm.spec.suspend) return { ...base, ...nothing, failure: undefined };

  // A VM that no repository serves is still met, so that its guest hears "trouble" and not silence.
  const datastore = repository?.spec.datastore ?? [...pass.drafts.keys()][0] ?? '';
  const published = place.repository !== null && pass.drafts.get(datastore)?.repository(place.repository) !== undefined;
  const home = pass.drafts.get(datastore) ?? pass.drafts.values().next().value;
  const before = [...pass.drafts.values()].map((draft) => draft.vm(key)).find((row) => row !== undefined);
  const conflict = channelConflict(key, addresses.claimants(place.address));
  const row: VmRow = {
    host: place.host,
    channel: place.channel,
    repository: published ? place.repository : null,
    ruleSet: 'digest' in rules ? rules.digest : (before?.ruleSet ?? null),
    enabled: vm.spec.enabled,
    refused: conflict === undefined ? null : conflict.reason,
  };
  for (const draft of pass.drafts.values()) {
    if (draft !== home) draft.setVm(key, undefined, undefined);
  }
  home?.setVm(key, row, 'set' in rules ? rules.set : undefined);

  const unpublished: Failure | undefined =
    place.repository === null || published
      ? undefined
      : {
          reason: 'RepositoryNotReady',
          message: `Repository ${place.repository} is not published; see its status.`,
          terminal: false,
        };
  const exported = 'set' in rules ? exportRules(rules.set) : undefined;
  const short = exported !== undefined && exported.grant.length + exported.deny.length <= maxExported;
  return {
    ...base,
    failure: conflict ?? place.failure ?? unpublished ?? ('failure' in rules ? rules.failure : undefined),
    repository: place.repository ?? undefined,
    ruleSet: row.ruleSet !== null && isDigest(row.ruleSet) ? row.ruleSet : undefined,
    grants: 'set' in rules ? rules.set.grant.length : 0,
    denies: 'set' in rules ? rules.set.deny.length : 0,
    policies: policies.map(({ kind, metadata }) => ({
      kind,
      ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
      name: metadata.name,
      generation: metadata.generation ?? 1,
    })),
    exported: short ? exported : undefined,
  };
}

function postureOf(repository: {
  metadata: { namespace: string; name: string };
  spec: { defaultPosture: 'Open' | 'Closed' };
}): Posture {
  const { namespace, name } = repository.metadata;
  return { repository: { namespace, name }, posture: repository.spec.defaultPosture };
}

/** Two VMs on one socket: neither is served, since either could be the other. */
function channelConflict(key: ObjectKey, claimants: readonly ObjectKey[]): Failure | undefined {
  if (claimants.length < 2) return undefined;
  const namespace = key.slice(0, key.indexOf('/') + 1);
  const others = claimants.filter((other) => other !== key);
  const named = others.filter((other) => other.startsWith(namespace));
  const who = named.length > 0 ? `GuestVM ${named.join(', ')}` : 'a GuestVM of another namespace';
  const message = `spec.channel is claimed by ${who} too, so neither is served; give each VM a channel of its own.`;
  return { reason: 'ChannelConflict', message, terminal: true };
}
