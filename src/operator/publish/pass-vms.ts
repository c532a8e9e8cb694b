import type { GuestStoreRepository, GuestVM } from '../../api/resources.generated.ts';
import { boundsOf } from '../../core/bounds.ts';
import { vmPlace } from '../../core/desired-vm.ts';
import type { ObjectKey } from '../../core/names.ts';
import type { Failure, VmOutcome } from '../../core/outcome.ts';
import { requestOf } from '../../core/reconcile-request.ts';
import type { RuleRecord, RuleSet, VmRow } from '../../core/settings.ts';
import { createBreath } from '../../lib/lifecycle.ts';
import { exportRules } from '../../rules/rule-strings.ts';
import type { Posture } from '../../rules/rules-for-vm.ts';
import type { Addresses } from './addresses.ts';
import type { AppliedPolicies } from './applied-policies.ts';
import type { Draft } from './draft.ts';
import { declared, isSuspended, type Pass } from './pass.ts';
import type { Selected } from './selected.ts';
import { createRulesOfVms, type RulesOfVms } from './vm-rules.ts';

/** The API refuses nothing up to here; beyond, status leaves the strings out and `explain` prints them. */
const maxExported = 8 * 1024;

/**
 * Drafts the rows of VMs: where each is met, which repository it is served from, which rules it has. Rules that cannot be
 * compiled leave the last good ones in force.
 */
export async function passVms(
  pass: Pass,
  addresses: Addresses,
  selected: Selected,
  applied: AppliedPolicies,
  keys: Iterable<ObjectKey>,
): Promise<Map<ObjectKey, VmOutcome>> {
  const outcomes = new Map<ObjectKey, VmOutcome>();
  const rules = createRulesOfVms(pass.world, applied);
  const breathe = createBreath();
  // Addresses first: a conflict concerns both claimants, whichever changed.
  const all = new Set(keys);
  for (const key of [...all]) {
    for (const other of addresses.claim(key, addressOf(pass, key))) all.add(other);
    await breathe();
  }
  for (const key of all) {
    const vm = declared(pass.world.vms.get(key));
    const outcome = vm && passVm(pass, addresses, rules, selected, key, vm);
    if (outcome !== undefined) outcomes.set(key, outcome);
    else {
      selected.forget(key);
      for (const draft of pass.drafts.values()) draft.setVm(key, undefined, undefined);
    }
    await breathe();
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
    handled: vm.spec.suspend ? undefined : requestOf(vm.metadata),
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
  const before = rowOf(pass, key);
  const { policies, rules } = rulesOfVms.of(vm, repository && postureOf(pass, repository, before?.rules));
  selected.set(key, policies);
  const inForce = 'set' in rules ? rules.set : before?.rules;
  const counts = { grants: inForce?.grant.length ?? 0, denies: inForce?.deny.length ?? 0 };
  if (vm.spec.suspend) return { ...base, ...nothing, ...suspendedRow(before), failure: undefined };

  const published = publishedIn(pass, place.repository, repository?.spec.datastore);
  // A VM that no repository serves is still met, so that its guest hears "trouble" and not silence.
  const home = published ?? pass.drafts.get(repository?.spec.datastore ?? '') ?? pass.drafts.values().next().value;
  const conflict = channelConflict(key, addresses.claimants(place.address));
  const row: VmRow = {
    host: place.host,
    channel: place.channel,
    repository: published === undefined ? null : place.repository,
    ruleSet: 'digest' in rules ? rules.digest : (before?.row.ruleSet ?? null),
    enabled: vm.spec.enabled,
    refused: conflict === undefined ? null : conflict.reason,
  };
  for (const draft of pass.drafts.values()) {
    if (draft !== home) draft.setVm(key, undefined, undefined);
  }
  home?.setVm(key, row, inForce);

  const unpublished: Failure | undefined =
    place.repository === null || published !== undefined
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
    ruleSet: row.ruleSet ?? undefined,
    ...counts,
    policies: policies.map(({ kind, metadata }) => ({
      kind,
      ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
      name: metadata.name,
      generation: metadata.generation ?? 1,
    })),
    exported: short ? exported : undefined,
  };
}

/** The draft that has the repository: not the one it asks for while it cannot be published there. */
function publishedIn(pass: Pass, repository: ObjectKey | null, wanted: string | undefined): Draft | undefined {
  if (repository === null) return undefined;
  const first = pass.drafts.get(wanted ?? '');
  return [...(first === undefined ? [] : [first]), ...pass.drafts.values()].find(
    (draft) => draft.repository(repository) !== undefined,
  );
}

interface Before {
  readonly row: VmRow;
  readonly rules: RuleSet | undefined;
}

/** What is in force for a VM, wherever it is. */
function rowOf(pass: Pass, key: ObjectKey): Before | undefined {
  for (const [name, draft] of pass.drafts) {
    const row = draft.vm(key);
    if (row === undefined) continue;
    const rules = row.ruleSet === null ? undefined : pass.writers.get(name)?.snapshot.ruleSet(row.ruleSet);
    return { row, rules };
  }
  return undefined;
}

/** A suspended VM keeps what it has; status goes on saying it. */
function suspendedRow(before: Before | undefined): Partial<VmOutcome> {
  if (before === undefined) return {};
  const { row, rules } = before;
  return {
    enabled: row.enabled,
    repository: row.repository ?? undefined,
    ruleSet: row.ruleSet ?? undefined,
    grants: rules?.grant.length ?? 0,
    denies: rules?.deny.length ?? 0,
  };
}

/** A suspended repository keeps the posture that it gave this VM, unless its datastore closes it: that only tightens. */
function postureOf(pass: Pass, { metadata, spec }: GuestStoreRepository, inForce: RuleSet | undefined): Posture {
  const { namespace, name } = metadata;
  const bounds = boundsOf(spec.datastore, namespace, pass.world.datastores, pass.world.namespaces);
  const closed = !('reason' in bounds) && bounds.leastPosture === 'Closed';
  const closes = ({ policy }: RuleRecord) =>
    policy.kind === 'GuestStoreRepository' && policy.namespace === namespace && policy.name === name;
  const kept = inForce?.deny.some(closes) === true ? 'Closed' : 'Open';
  const suspended = isSuspended(pass.world, spec) && inForce !== undefined;
  const posture = suspended ? kept : spec.defaultPosture;
  if (posture === 'Open' && closed)
    return { by: { kind: 'GuestStoreDatastore', name: spec.datastore }, posture: 'Closed' };
  return { by: { kind: 'GuestStoreRepository', namespace, name }, posture };
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
