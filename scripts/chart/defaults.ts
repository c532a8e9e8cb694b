import { load, loadAll } from 'js-yaml';

/** What the manifests say where the chart lets people say something else. */
export interface Defaults {
  readonly imageRepository: string;
  readonly imageTag: string;
  readonly imagePullPolicy: string;
  readonly accessMode: string;
  readonly datastoreSize: string;
  readonly replicas: number;
  readonly operatorResources: unknown;
  readonly daemonResources: unknown;
  readonly daemonNodeSelector: unknown;
  readonly supplementalGroups: unknown;
}

interface Workload {
  readonly kind: string;
  readonly spec: {
    readonly replicas: number;
    readonly template: {
      readonly spec: {
        readonly nodeSelector?: unknown;
        readonly securityContext: { readonly supplementalGroups?: unknown };
        readonly containers: readonly [
          { readonly image: string; readonly imagePullPolicy: string; readonly resources: unknown },
        ];
      };
    };
  };
}

interface Claim {
  readonly spec: {
    readonly accessModes: readonly [string];
    readonly resources: { readonly requests: { readonly storage: string } };
  };
}

/** `read` gives the text of a file below `manifests/`. */
export function defaultsOf(read: (path: string) => string): Defaults {
  const workload = (path: string, kind: string) => {
    const found = (loadAll(read(path)) as Workload[]).find((one) => one.kind === kind);
    if (found === undefined) throw new Error(`manifests/${path} has no ${kind}`);
    return found.spec;
  };
  const operator = workload('base/operator.yaml', 'Deployment');
  const daemon = workload('components/daemon/daemon.yaml', 'DaemonSet').template.spec;
  const unprivileged = workload('components/unprivileged-daemon/daemon.yaml', 'DaemonSet').template.spec;
  const claim = (load(read('base/datastore.yaml')) as Claim).spec;
  const [container] = operator.template.spec.containers;
  const [imageRepository = '', imageTag = ''] = container.image.split(':');
  return {
    imageRepository,
    imageTag,
    imagePullPolicy: container.imagePullPolicy,
    accessMode: claim.accessModes[0],
    datastoreSize: claim.resources.requests.storage,
    replicas: operator.replicas,
    operatorResources: container.resources,
    daemonResources: daemon.containers[0].resources,
    daemonNodeSelector: daemon.nodeSelector,
    supplementalGroups: unprivileged.securityContext.supplementalGroups,
  };
}
