import type { ContentItem, GuestStoreRepository, GuestVM, VMAccessPolicy } from '../../src/api/resources.generated.ts';
import { judge } from './judge.ts';
import { item, policy, repository, type resource, vm } from './manifests.ts';

type Spec = Readonly<Record<string, unknown>>;

/** Objects as they come out of validation, defaults filled in. */
export function repositoryOf(name: string, spec: Spec = {}, namespace = 'fleet'): GuestStoreRepository {
  return valid(repository(name, spec, { namespace }), 'GuestStoreRepository');
}

export function itemOf(spec: Spec = {}, namespace = 'fleet'): ContentItem {
  return valid(item('motd', '/motd', 'text', spec, { namespace }), 'ContentItem');
}

export function vmOf(name: string, spec: Spec = {}, namespace = 'fleet'): GuestVM {
  return valid(vm(name, spec, { namespace }), 'GuestVM');
}

export function policyOf(name: string, rules: Parameters<typeof policy>[1], spec: Spec = {}): VMAccessPolicy {
  return valid(policy(name, rules, spec), 'VMAccessPolicy');
}

type Made = ReturnType<typeof resource>;
type Of = {
  ContentItem: ContentItem;
  GuestStoreRepository: GuestStoreRepository;
  GuestVM: GuestVM;
  VMAccessPolicy: VMAccessPolicy;
};

function valid<Kind extends keyof Of>(object: Made, kind: Kind): Of[Kind] {
  const { resources, faults } = judge(JSON.stringify(object));
  const found = resources.find((one): one is Of[Kind] & (typeof resources)[number] => one.kind === kind);
  if (found === undefined) throw new Error(`no valid ${kind}: ${JSON.stringify(faults)}`);
  return found;
}
