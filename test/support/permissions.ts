import type { Client } from '../../src/kube/client.ts';
import type { KubeObject, Stored } from '../../src/kube/objects.ts';
import type { Resource } from '../../src/kube/resource.ts';
import type { AuditEntry } from './kubernetes/api-server.ts';

/** One verb on one resource, as one role gives it. */
export interface Permission {
  readonly role: string;
  /** Undefined for a ClusterRole. */
  readonly roleNamespace: string | undefined;
  readonly group: string;
  /** With its subresource: `guestvms/status`. */
  readonly resource: string;
  readonly verb: string;
  /** Only objects of these names. */
  readonly names: readonly string[];
}

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

interface Role extends KubeObject {
  readonly rules: readonly Rule[] | null;
}

interface Binding extends KubeObject {
  readonly roleRef: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly { readonly kind: string; readonly name: string; readonly namespace?: string }[];
}

function rbac<T extends KubeObject>(kind: string, namespaced: boolean): Resource<T> {
  return { group: 'rbac.authorization.k8s.io', version: 'v1', plural: `${kind.toLowerCase()}s`, kind, namespaced };
}

const roles = rbac<Role>('Role', true);
const clusterRoles = rbac<Role>('ClusterRole', false);
const bindings = [rbac<Binding>('RoleBinding', true), rbac<Binding>('ClusterRoleBinding', false)];

/** Everything that bindings of the cluster give to a service account, as the server has it. */
export async function permissionsOf(admin: Client, namespace: string, name: string): Promise<readonly Permission[]> {
  const granted: Permission[] = [];
  for (const kind of bindings) {
    for (const { metadata, roleRef, subjects = [] } of (await admin.list(kind)).items) {
      const concerned = subjects.some(
        (one) => one.kind === 'ServiceAccount' && one.namespace === namespace && one.name === name,
      );
      if (!concerned) continue;
      const roleNamespace = roleRef.kind === 'Role' ? metadata.namespace : undefined;
      granted.push(...permissionsIn(await roleOf(admin, roleRef.name, roleNamespace)));
    }
  }
  return [...new Map(granted.map((one) => [spelled(one), one])).values()];
}

/** As people read it, and the same for the same permission. */
export function spelled({ verb, group, resource, names, roleNamespace }: Permission): string {
  const where = roleNamespace === undefined ? '' : ` in ${roleNamespace}`;
  const named = names.length === 0 ? '' : ` named ${names.join(', ')}`;
  return `${verb} ${resource}${group === '' ? '' : `.${group}`}${named}${where}`;
}

/** Takes one permission out of its role; what is returned puts it back. */
export async function withoutPermission(admin: Client, permission: Permission): Promise<() => Promise<void>> {
  const role = await roleOf(admin, permission.role, permission.roleNamespace);
  const kept = permissionsIn(role).filter((one) => spelled(one) !== spelled(permission));
  const resource = permission.roleNamespace === undefined ? clusterRoles : roles;
  const narrowed = await admin.replace(resource, { ...role, rules: kept.map(ruleOf) });
  return async () => {
    const { resourceVersion } = narrowed.metadata;
    await admin.replace(resource, { ...role, metadata: { ...role.metadata, resourceVersion } } as Stored<Role>);
  };
}

function roleOf(admin: Client, name: string, namespace: string | undefined): Promise<Stored<Role>> {
  return admin.get(namespace === undefined ? clusterRoles : roles, { name, namespace });
}

function permissionsIn({ metadata, rules }: Role): readonly Permission[] {
  return (rules ?? []).flatMap(({ apiGroups, resources, resourceNames = [], verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        verbs.map((verb) => ({
          role: metadata.name,
          roleNamespace: metadata.namespace,
          group,
          resource,
          verb,
          names: resourceNames,
        })),
      ),
    ),
  );
}

function ruleOf({ group, resource, verb, names }: Permission): Rule {
  return {
    apiGroups: [group],
    resources: [resource],
    ...(names.length === 0 ? {} : { resourceNames: names }),
    verbs: [verb],
  };
}

/** What a 403 in the audit log was about: the server's own words where it gave any, for they tell a create by apply from a patch. */
export function deniedPermission({ verb, objectRef, responseStatus }: AuditEntry): string {
  const said = /cannot (\w+) resource "([^"]+)" in API group "([^"]*)"/.exec(responseStatus?.message ?? '');
  const { resource = '', subresource, apiGroup = '' } = objectRef ?? {};
  const [, missing = verb, what = [resource, subresource].filter(Boolean).join('/'), group = apiGroup] = said ?? [];
  return `${missing} ${what}${group === '' ? '' : `.${group}`}`;
}
