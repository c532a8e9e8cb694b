import {
  apiGroup,
  type ClusterVMAccessPolicy,
  type ContentItem,
  type GuestStoreDatastore,
  type GuestStoreHost,
  type GuestStoreRepository,
  type GuestVM,
  type Kind,
  kinds,
  type VMAccessPolicy,
} from '../../api/resources.generated.ts';
import type { KubeObject } from '../../kube/objects.ts';
import type { Resource } from '../../kube/resource.ts';

function resourceOf<T extends KubeObject>(kind: Kind): Resource<T> {
  const { plural, namespaced } = kinds[kind];
  return { group: apiGroup, version: 'v1alpha1', plural, kind, namespaced };
}

/** Our kinds as the API server knows them. */
export const resources = {
  GuestStoreDatastore: resourceOf<GuestStoreDatastore>('GuestStoreDatastore'),
  GuestStoreRepository: resourceOf<GuestStoreRepository>('GuestStoreRepository'),
  ContentItem: resourceOf<ContentItem>('ContentItem'),
  VMAccessPolicy: resourceOf<VMAccessPolicy>('VMAccessPolicy'),
  ClusterVMAccessPolicy: resourceOf<ClusterVMAccessPolicy>('ClusterVMAccessPolicy'),
  GuestVM: resourceOf<GuestVM>('GuestVM'),
  GuestStoreHost: resourceOf<GuestStoreHost>('GuestStoreHost'),
} as const;
