import type { Condition, KubeObject } from '../../../src/kube/objects.ts';
import type { Resource } from '../../../src/kube/resource.ts';
import { type Cluster, kubectl } from './api-server.ts';

/** A kind of the tests' own, so that src/kube is tested without any of ours. */
export interface Widget extends KubeObject {
  readonly spec?: { readonly size?: number; readonly part?: string } | undefined;
  readonly status?:
    | { readonly observedGeneration?: number; readonly note?: string; readonly conditions?: readonly Condition[] }
    | undefined;
}

export const widgets: Resource<Widget> = {
  group: 'widgets.test',
  version: 'v1',
  plural: 'widgets',
  kind: 'Widget',
  namespaced: true,
};

export function widgetCrd(group = widgets.group): object {
  const { version, plural, kind } = widgets;
  const condition = {
    type: 'object',
    required: ['type', 'status'],
    properties: {
      type: { type: 'string' },
      status: { type: 'string' },
      reason: { type: 'string' },
      message: { type: 'string' },
      observedGeneration: { type: 'integer' },
      lastTransitionTime: { type: 'string', format: 'date-time' },
    },
  };
  const status = {
    type: 'object',
    properties: {
      observedGeneration: { type: 'integer' },
      note: { type: 'string' },
      conditions: {
        type: 'array',
        items: condition,
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['type'],
      },
    },
  };
  const spec = { type: 'object', properties: { size: { type: 'integer' }, part: { type: 'string' } } };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural, kind, singular: 'widget' },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: { status: {} },
          schema: { openAPIV3Schema: { type: 'object', properties: { spec, status } } },
        },
      ],
    },
  };
}

/** Resolves when widgets can be created; fine if they could before. */
export async function installWidgets(cluster: Cluster, group = widgets.group): Promise<void> {
  await kubectl(cluster, ['apply', '--server-side', '--filename', '-'], JSON.stringify(widgetCrd(group)));
  await kubectl(cluster, ['wait', '--for=condition=Established', `crd/${widgets.plural}.${group}`]);
}
