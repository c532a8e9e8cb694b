import type { Defaults } from './defaults.ts';

/** A JSON schema, as far as the chart's values need one. */
export interface ValueSchema {
  readonly type: string | readonly string[];
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: ValueSchema;
  readonly additionalProperties?: ValueSchema | boolean;
}

/** One value that the chart takes. */
export interface Setting {
  /** Keys from the top, with dots between. */
  readonly path: string;
  readonly description: string;
  readonly schema: ValueSchema;
  readonly default: unknown;
}

const text: ValueSchema = { type: 'string' };
const onOff: ValueSchema = { type: 'boolean' };
const quantity: ValueSchema = { type: 'string', pattern: '^[0-9]+(\\.[0-9]+)?(m|k|[KMGTPE]i?)?$' };
const listOf = (items: ValueSchema): ValueSchema => ({ type: 'array', items });
const mapOf = (values: ValueSchema): ValueSchema => ({ type: 'object', additionalProperties: values });
/** Kubernetes checks what is inside. */
const anything: ValueSchema = { type: 'object', additionalProperties: true };
const resources: ValueSchema = mapOf(mapOf({ ...quantity, type: ['string', 'integer'] }));

/** What groups of settings are for. */
export const groups: Readonly<Record<string, string>> = {
  image: 'The one image that all containers run.',
  crds: 'The kinds.',
  datastore: 'Where operator and daemons keep what they share.',
  operator: 'Publishes resources into the datastore.',
  daemon: 'Serves the VMs of a node; runs on labelled nodes.',
  networkPolicies: 'Who may talk to whom, where the network enforces it.',
  podDisruptionBudget: 'What draining nodes may take away at once.',
  priorityClass: 'What a full node evicts first.',
  spread: 'Where replicas run.',
  monitoring: 'What Prometheus scrapes, and of what it tells.',
};

/** Every value of the chart, in the order of values.yaml. `defaults` come from the manifests that the templates come from. */
export function settingsOf(defaults: Defaults): readonly Setting[] {
  return [
    {
      path: 'image.repository',
      description: 'Registry and name of the image.',
      schema: { ...text, pattern: '^[^\\s:@]+(:[0-9]+/[^\\s:@]+)?$' },
      default: defaults.imageRepository,
    },
    {
      path: 'image.tag',
      description: "Tag of the image; the chart's own version when empty.",
      schema: { ...text, pattern: '^[A-Za-z0-9_][A-Za-z0-9._-]*$|^$' },
      default: '',
    },
    {
      path: 'image.digest',
      description: 'Digest of the image, which then counts instead of the tag.',
      schema: { ...text, pattern: '^sha256:[0-9a-f]{64}$|^$' },
      default: '',
    },
    {
      path: 'image.pullPolicy',
      description: 'When nodes pull the image.',
      schema: { type: 'string', enum: ['Always', 'IfNotPresent', 'Never'] },
      default: defaults.imagePullPolicy,
    },
    {
      path: 'image.pullSecrets',
      description: 'Names of Secrets of the namespace that open the registry.',
      schema: listOf(text),
      default: [],
    },
    {
      path: 'crds.install',
      description:
        'Whether the kinds belong to this release: then an upgrade changes them too. Uninstalling leaves them, and with them every object, whatever is said here.',
      schema: onOff,
      default: true,
    },
    {
      path: 'datastore.accessMode',
      description: 'ReadWriteOnce is enough where operator and daemon run on one node.',
      schema: { type: 'string', enum: ['ReadWriteMany', 'ReadWriteOnce'] },
      default: defaults.accessMode,
    },
    {
      path: 'datastore.storageClassName',
      description: "Class of the claim; the cluster's default class when empty.",
      schema: text,
      default: '',
    },
    {
      path: 'datastore.size',
      description: 'What the claim asks for.',
      schema: quantity,
      default: defaults.datastoreSize,
    },
    {
      path: 'datastore.existingClaim',
      description: 'Name of a claim that is there already; the chart then makes none.',
      schema: text,
      default: '',
    },
    {
      path: 'datastore.hostPath',
      description:
        'A folder that lies at the same place on every node, instead of a claim that a class fills, such as /var/lib/gueststore/datastore. It must be there and belong to uid 65532.',
      schema: { ...text, pattern: '^/.*[^/]$|^$' },
      default: '',
    },
    {
      path: 'operator.replicas',
      description: 'One leads, the others stand by.',
      schema: { type: 'integer', minimum: 0, maximum: 9 },
      default: defaults.replicas,
    },
    {
      path: 'operator.resources',
      description: 'Requests and limits of the container.',
      schema: resources,
      default: defaults.operatorResources,
    },
    {
      path: 'operator.extraArgs',
      description: 'More arguments, such as --datastore=archive=/archive or --import-dir=fleet=/import.',
      schema: listOf(text),
      default: [],
    },
    {
      path: 'operator.extraEnv',
      description: 'More environment variables, such as HTTPS_PROXY, as in a container.',
      schema: listOf(anything),
      default: [],
    },
    {
      path: 'operator.extraVolumes',
      description: 'More volumes, such as a second datastore, as in a pod.',
      schema: listOf(anything),
      default: [],
    },
    {
      path: 'operator.extraVolumeMounts',
      description: 'Where the container finds them, as in a container.',
      schema: listOf(anything),
      default: [],
    },
    {
      path: 'operator.nodeSelector',
      description: 'Labels of nodes on which it may run.',
      schema: mapOf(text),
      default: {},
    },
    {
      path: 'operator.tolerations',
      description: 'Taints of nodes that it stands, as in a pod.',
      schema: listOf(anything),
      default: [],
    },
    {
      path: 'daemon.enabled',
      description: 'Whether this release has the daemon. Its namespace must then allow hostPath volumes.',
      schema: onOff,
      default: false,
    },
    {
      path: 'daemon.unprivileged',
      description:
        "Without root and capabilities. The nodes' folders must then be made beforehand, and channels of VMs may name no uid.",
      schema: onOff,
      default: false,
    },
    {
      path: 'daemon.supplementalGroups',
      description: "Groups of the nodes' VMMs, for an unprivileged daemon.",
      schema: listOf({ type: 'integer', minimum: 1 }),
      default: defaults.supplementalGroups,
    },
    {
      path: 'daemon.resources',
      description: 'Requests and limits of the container.',
      schema: resources,
      default: defaults.daemonResources,
    },
    {
      path: 'daemon.extraArgs',
      description: 'More arguments, such as --socket-root=fleet=/srv/fleet.',
      schema: listOf(text),
      default: [],
    },
    {
      path: 'daemon.extraVolumes',
      description: 'More volumes, such as a second datastore, as in a pod.',
      schema: listOf(anything),
      default: [],
    },
    {
      path: 'daemon.extraVolumeMounts',
      description: 'Where the container finds them, as in a container.',
      schema: listOf(anything),
      default: [],
    },
    {
      path: 'daemon.nodeSelector',
      description: 'Labels of nodes on which it runs.',
      schema: mapOf(text),
      default: defaults.daemonNodeSelector,
    },
    {
      path: 'daemon.tolerations',
      description: 'Taints of nodes that it stands, as in a pod.',
      schema: listOf(anything),
      default: [],
    },
    {
      path: 'networkPolicies.enabled',
      description:
        'Whether the release has NetworkPolicies. Metrics are then open to namespaces labelled gueststore.dev/scrapes=true.',
      schema: onOff,
      default: false,
    },
    {
      path: 'podDisruptionBudget.enabled',
      description: 'Whether draining nodes takes one operator at a time.',
      schema: onOff,
      default: false,
    },
    {
      path: 'priorityClass.enabled',
      description: 'Whether operator and daemon have a PriorityClass of their own, before ordinary workloads.',
      schema: onOff,
      default: false,
    },
    {
      path: 'spread.enabled',
      description: "Whether the operator's replicas must run on different nodes.",
      schema: onOff,
      default: false,
    },
    {
      path: 'monitoring.enabled',
      description:
        'Whether the release has PodMonitors and a PrometheusRule, which need the kinds of the Prometheus Operator.',
      schema: onOff,
      default: false,
    },
  ];
}
