import type { GuestStoreRepository, GuestVM } from '../api/resources.generated.ts';
import type { ObjectKey } from './names.ts';
import type { Failure } from './outcome.ts';
import { ownRepository, referRepository } from './permitted.ts';
import type { Labels } from './selector.ts';
import type { Channel } from './settings.ts';

/** Where a VM is met and from what it is served; its rules come beside it. */
export interface VmPlace {
  readonly host: string;
  readonly channel: Channel;
  /** Equal for two VMs exactly when they claim one socket. */
  readonly address: string;
  readonly repository: ObjectKey | null;
  /** Why there is no one repository, said in status; guests are answered 503. */
  readonly failure: Failure | undefined;
}

export function vmPlace(
  vm: GuestVM,
  repositories: ReadonlyMap<ObjectKey, GuestStoreRepository>,
  namespaces: ReadonlyMap<string, Labels>,
): VmPlace | { readonly unsupported: Failure } {
  const { namespace, name } = vm.metadata;
  const { channel, host, repositoryRef } = vm.spec;
  const uds = channel.hybridUDS;
  if (uds === undefined || host === undefined) {
    const kind = Object.keys(channel).at(0);
    if (kind === undefined) {
      const message = 'spec.channel names no channel; the VM is not served until it does.';
      return { unsupported: { reason: 'InvalidManifest', message, terminal: true } };
    }
    const message = `spec.channel.${kind} is not supported by this version; the VM is not served. Use hybridUDS.`;
    return { unsupported: { reason: 'NotSupportedYet', message, terminal: true } };
  }
  const path = uds.path ?? `${name}.vsock`;
  const place = path.startsWith('/') ? path : `${namespace}/${path}`;
  const referred =
    repositoryRef === undefined
      ? ownRepository(namespace, repositories)
      : referRepository(repositoryRef, namespace, 'vms', repositories, namespaces);
  return {
    host,
    channel: {
      kind: 'hybridUDS',
      path,
      port: uds.port,
      ...(uds.uid === undefined ? {} : { uid: uds.uid }),
      ...(uds.gid === undefined ? {} : { gid: uds.gid }),
    },
    address: `${host} ${place}_${uds.port}`,
    repository: 'key' in referred ? referred.key : null,
    failure: 'failure' in referred ? referred.failure : undefined,
  };
}
