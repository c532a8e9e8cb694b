// Generated from crds/*.yaml by scripts/generate-api.ts (npm run generate). Changes here are lost.
import type { Metadata, NamespacedMetadata } from './metadata.ts';
import type { KindFacts } from './schema.ts';

export const apiGroup = 'gueststore.dev';
export const apiVersion = 'gueststore.dev/v1alpha1';

export type Kind = 'ClusterVMAccessPolicy' | 'ContentItem' | 'GuestStoreDatastore' | 'GuestStoreHost' | 'GuestStoreRepository' | 'GuestVM' | 'VMAccessPolicy';

export type Resource = ClusterVMAccessPolicy | ContentItem | GuestStoreDatastore | GuestStoreHost | GuestStoreRepository | GuestVM | VMAccessPolicy;

export const kinds: Readonly<Record<Kind, KindFacts>> = {
  ClusterVMAccessPolicy: {"plural":"clustervmaccesspolicies","singular":"clustervmaccesspolicy","shortNames":["gscpolicy"],"namespaced":false},
  ContentItem: {"plural":"contentitems","singular":"contentitem","shortNames":["gsitem"],"namespaced":true},
  GuestStoreDatastore: {"plural":"gueststoredatastores","singular":"gueststoredatastore","shortNames":["gsds"],"namespaced":false},
  GuestStoreHost: {"plural":"gueststorehosts","singular":"gueststorehost","shortNames":["gshost"],"namespaced":false},
  GuestStoreRepository: {"plural":"gueststorerepositories","singular":"gueststorerepository","shortNames":["gsrepo"],"namespaced":true},
  GuestVM: {"plural":"guestvms","singular":"guestvm","shortNames":["gsvm"],"namespaced":true},
  VMAccessPolicy: {"plural":"vmaccesspolicies","singular":"vmaccesspolicy","shortNames":["gspolicy"],"namespaced":true},
};

/** What VMs of many namespaces may fetch and what not. */
export interface ClusterVMAccessPolicy {
  readonly apiVersion: typeof apiVersion;
  readonly kind: 'ClusterVMAccessPolicy';
  readonly metadata: Metadata;
  readonly spec: ClusterVMAccessPolicySpec;
  readonly status: ClusterVMAccessPolicyStatus;
}

/** One content path (or a tree under it) of a repository, and where its bytes come from. */
export interface ContentItem {
  readonly apiVersion: typeof apiVersion;
  readonly kind: 'ContentItem';
  readonly metadata: NamespacedMetadata;
  readonly spec: ContentItemSpec;
  readonly status: ContentItemStatus;
}

/** What namespaces may do with the datastore of this name. A datastore without such an object is open to every namespace. */
export interface GuestStoreDatastore {
  readonly apiVersion: typeof apiVersion;
  readonly kind: 'GuestStoreDatastore';
  readonly metadata: Metadata;
  readonly spec: GuestStoreDatastoreSpec;
  readonly status: GuestStoreDatastoreStatus;
}

/** What the daemon of one host says of itself, as the operator last heard it. */
export interface GuestStoreHost {
  readonly apiVersion: typeof apiVersion;
  readonly kind: 'GuestStoreHost';
  readonly metadata: Metadata;
  readonly spec: GuestStoreHostSpec;
  readonly status: GuestStoreHostStatus;
}

/** One tree of content in a datastore, from which VMs are served. */
export interface GuestStoreRepository {
  readonly apiVersion: typeof apiVersion;
  readonly kind: 'GuestStoreRepository';
  readonly metadata: NamespacedMetadata;
  readonly spec: GuestStoreRepositorySpec;
  readonly status: GuestStoreRepositoryStatus;
}

/** One VM, how its requests arrive and what it is served from. */
export interface GuestVM {
  readonly apiVersion: typeof apiVersion;
  readonly kind: 'GuestVM';
  readonly metadata: NamespacedMetadata;
  readonly spec: GuestVMSpec;
  readonly status: GuestVMStatus;
}

/** What VMs of this namespace may fetch and what not. */
export interface VMAccessPolicy {
  readonly apiVersion: typeof apiVersion;
  readonly kind: 'VMAccessPolicy';
  readonly metadata: NamespacedMetadata;
  readonly spec: VMAccessPolicySpec;
  readonly status: VMAccessPolicyStatus;
}

/** @public */
export interface LabelRequirement {
  /** Key of the label. */
  readonly key: string;
  /** How the label relates to the values. */
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  /** Values for In and NotIn. */
  readonly values?: readonly string[];
}

/** @public */
export interface LabelSelector {
  /** Labels that must be there with exactly these values. */
  readonly matchLabels?: Readonly<Record<string, string>>;
  /** Conditions on labels that must all hold. */
  readonly matchExpressions?: readonly LabelRequirement[];
}

/** @public */
export interface VMSelector {
  /** Labels that must be there with exactly these values. */
  readonly matchLabels?: Readonly<Record<string, string>>;
  /** Conditions on labels that must all hold. */
  readonly matchExpressions?: readonly LabelRequirement[];
  /** Names of GuestVMs. When given, a VM must bear one of them (and match the labels too, where labels are given). */
  readonly names?: readonly string[];
}

/** @public */
export interface ClusterVMAccessPolicySpec {
  /** Namespaces whose VMs are selected, by label; empty selects all. */
  readonly namespaceSelector: LabelSelector;
  /** VMs that the rules apply to, by label and name; empty selects all. */
  readonly vmSelector: VMSelector;
  /** Content paths that the VMs may fetch. A grant beats every deny, of any policy. */
  readonly grant?: readonly string[];
  /** Content paths that the VMs may not fetch, unless granted. */
  readonly deny?: readonly string[];
  /** Whole, a rule must match the whole content path. Search, anywhere in it. */
  readonly match: 'Whole' | 'Search';
  /** Enforce puts the rules in force. Audit only says in logs what they would decide. */
  readonly mode: 'Enforce' | 'Audit';
  /** Stops work on this object; what is in force stays in force. */
  readonly suspend: boolean;
}

/** @public */
export interface Condition {
  /** Which fact. */
  readonly type: string;
  /** Whether it is so. */
  readonly status: 'True' | 'False' | 'Unknown';
  /** Generation of the object that this was said of. */
  readonly observedGeneration?: number;
  /** When status last changed. */
  readonly lastTransitionTime: string;
  /** Why, as one word of a closed set. */
  readonly reason: string;
  /** Why, for people; and the way out where there is one. */
  readonly message: string;
}

/** @public */
export interface PolicyWarning {
  /** Kind of finding. */
  readonly code: string;
  /** What it means here. */
  readonly message: string;
  /** A content path that shows it. */
  readonly witness?: string;
}

/** @public */
export interface ClusterVMAccessPolicyStatus {
  /** Generation that this status speaks of; -1 before the operator has seen the object. */
  readonly observedGeneration?: number;
  /** Value of the annotation gueststore.dev/requestedAt that was last acted upon. */
  readonly lastHandledReconcileAt?: string;
  /** What is true of the object now. Types are Ready, Reconciling, Stalled, RulesEffective, Programmed and NotSupportedYet. */
  readonly conditions?: readonly Condition[];
  /** VMs that are selected. */
  readonly matched?: number;
  /** Selected VMs whose host has put these rules in force. */
  readonly programmed?: number;
  /** Findings on the rules, the first 32. */
  readonly warnings?: readonly PolicyWarning[];
}

/** @public */
export interface RepositoryRef {
  /** Name of the GuestStoreRepository. */
  readonly name: string;
  /** Its namespace; the own one when left out. */
  readonly namespace?: string;
}

/** @public */
export interface ContentItemSourceInline {
  /** Text, stored as UTF-8. */
  readonly text?: string;
  /** Any bytes, as standard base64 with padding and without line breaks. */
  readonly base64?: string;
}

/** @public */
export interface KeyRef {
  /** Its name, in the same namespace. */
  readonly name: string;
  /** Key of the entry. */
  readonly key: string;
}

/** @public */
export interface ContentItemSourceHttp {
  /** Address of the file, http or https. */
  readonly url: string;
}

/** @public */
export interface ContentItemSourceFile {
  /** Path below the import folder. */
  readonly path: string;
}

/** @public */
export interface ContentItemSourceOci {
  /** Reference of the artifact, with tag or digest. */
  readonly ref: string;
  /** File in the artifact; its only layer when left out. */
  readonly path?: string;
}

/** @public */
export interface ContentItemSourceGit {
  /** Address of the repository, https or ssh. */
  readonly url: string;
  /** Branch, tag or commit; the default branch when left out. */
  readonly ref?: string;
  /** File or folder in the repository; all of it when left out. */
  readonly path?: string;
}

/** @public */
export interface ContentItemSourceS3 {
  /** Address of the service; Amazon's when left out. */
  readonly endpoint?: string;
  /** Region of the bucket. */
  readonly region?: string;
  /** Name of the bucket. */
  readonly bucket: string;
  /** Key of the object. */
  readonly key: string;
}

/** @public */
export interface ContentItemSourceArtifact {
  /** Kind of the source. */
  readonly kind: 'GitRepository' | 'OCIRepository' | 'Bucket' | 'HelmChart' | 'ExternalArtifact';
  /** Name of the source. */
  readonly name: string;
  /** Its namespace; the own one when left out. */
  readonly namespace?: string;
  /** File or folder in the artifact; all of it when left out. */
  readonly path?: string;
}

/** @public */
export type ContentItemSourceExisting = Readonly<Record<string, never>>;

/** @public */
export interface ContentItemSourceCatalog {
  /** Address of the metadata.json, http or https. */
  readonly url: string;
}

/** @public */
export interface ContentItemSource {
  /** Bytes that stand in this object, at most 1 MiB. */
  readonly inline?: ContentItemSourceInline;
  /** An entry of a ConfigMap (data or binaryData). */
  readonly configMapKeyRef?: KeyRef;
  /** An entry of a Secret. Its bytes never stand in the plain tree. */
  readonly secretKeyRef?: KeyRef;
  /** A file on a web server. The digest is required, so that only the intended bytes are ever published. */
  readonly http?: ContentItemSourceHttp;
  /** A file below the import folder that the operator was started with. */
  readonly file?: ContentItemSourceFile;
  /** A layer of an OCI artifact. */
  readonly oci?: ContentItemSourceOci;
  /** A file or folder of a Git repository. */
  readonly git?: ContentItemSourceGit;
  /** An object of an S3 bucket. */
  readonly s3?: ContentItemSourceS3;
  /** What a source of Flux has fetched. */
  readonly artifact?: ContentItemSourceArtifact;
  /** Bytes that lie in the plain tree already. */
  readonly existing?: ContentItemSourceExisting;
  /** A folder that is described by a metadata.json in VMware's shape. */
  readonly catalog?: ContentItemSourceCatalog;
}

/** @public */
export interface ContentItemVerify {
  /** Public key in PEM. */
  readonly key: string;
}

/** @public */
export interface ContentItemExtract {
  /** Form of the archive. */
  readonly format: 'Tar' | 'TarGzip' | 'TarZstd' | 'Zip';
  /** Patterns of the files to publish; all when left out. */
  readonly include?: readonly string[];
  /** Patterns of files to leave out; stronger than include. */
  readonly exclude?: readonly string[];
}

/** @public */
export interface ContentItemSpec {
  /** The repository that publishes it. */
  readonly repositoryRef: RepositoryRef;
  /** Content path that guests ask for: absolute, printable UTF-8 in Unicode normalization form C. Of a tree, the folder that it stands under. */
  readonly path: string;
  /** Where the bytes come from; exactly one. */
  readonly source: ContentItemSource;
  /** Digest that the bytes must have; nothing else is ever published. Required for http. */
  readonly digest?: string;
  /** Public keys; the bytes must bear a signature by one of them. */
  readonly verify?: readonly ContentItemVerify[];
  /** Publishes the files of an archive under path, in place of the archive. */
  readonly extract?: ContentItemExtract;
  /** How often a remote source is asked; the repository's interval when left out. */
  readonly interval?: string;
  /** Stops work on this object; what is in force stays in force. */
  readonly suspend: boolean;
}

/** @public */
export interface ContentItemProgress {
  /** Bytes received. */
  readonly bytes: number;
  /** Bytes in all, where the source says so. */
  readonly total?: number;
}

/** @public */
export interface ContentItemStatus {
  /** Generation that this status speaks of; -1 before the operator has seen the object. */
  readonly observedGeneration?: number;
  /** Value of the annotation gueststore.dev/requestedAt that was last acted upon. */
  readonly lastHandledReconcileAt?: string;
  /** What is true of the object now. Types are Ready, Reconciling, Stalled, SourceReady, Verified, Stored, Served and NotSupportedYet. */
  readonly conditions?: readonly Condition[];
  /** Digest of what is published; never of a Secret. */
  readonly digest?: string;
  /** Bytes of what is published. */
  readonly size?: number;
  /** What the source calls the published version. */
  readonly sourceRevision?: string;
  /** Digest that all hosts serve. */
  readonly servedDigest?: string;
  /** How far fetching is; only while it goes on. */
  readonly progress?: ContentItemProgress;
}

/** @public */
export interface GuestStoreDatastoreNamespaceEgress {
  /** Names that a URL, or a redirect, may have; a leading "*." stands for one or more labels. Any name when left out. An address in place of a name must lie in cidrs. */
  readonly hosts?: readonly string[];
  /** Addresses that may be connected to. Any when left out. */
  readonly cidrs?: readonly string[];
  /** Whether servers on the operator's own machine may be asked. */
  readonly loopback: boolean;
}

/** @public */
export interface GuestStoreDatastoreNamespace {
  /** All fits every namespace, Selector those whose labels match. */
  readonly from: 'All' | 'Selector';
  /** Labels of the namespaces, for Selector. */
  readonly selector?: LabelSelector;
  /** Folders of the datastore at or below which the roots of their repositories must lie. ${namespace} stands for the name of the namespace. */
  readonly roots: readonly string[];
  /** Largest size of one content file of these namespaces; 512Mi, the ceiling of the model, when left out. */
  readonly maxItemSize?: number | string;
  /** Most bytes that each of these namespaces may keep in the datastore, over all its repositories; unbounded when left out. */
  readonly quota?: number | string;
  /** Closed denies what no rule grants to every VM of their repositories, whatever the repository says. Open leaves it to the repository. */
  readonly leastPosture: 'Open' | 'Closed';
  /** Where their http sources may connect to. Link-local addresses and cloud metadata services are refused to everybody. */
  readonly egress: GuestStoreDatastoreNamespaceEgress;
}

/** @public */
export interface GuestStoreDatastoreSpec {
  /** Rules for namespaces. The first that fits a namespace holds for it; one that none fits may not use the datastore. */
  readonly namespaces: readonly GuestStoreDatastoreNamespace[];
  /** Stops work in the datastore, as spec.suspend of each of its repositories would; what is in force stays in force. */
  readonly suspend: boolean;
}

/** @public */
export interface GuestStoreDatastoreStatus {
  /** Generation that this status speaks of; -1 before the operator has seen the object. */
  readonly observedGeneration?: number;
  /** Value of the annotation gueststore.dev/requestedAt that was last acted upon. */
  readonly lastHandledReconcileAt?: string;
  /** What is true of the object now. Types are Ready, Reconciling and Stalled. */
  readonly conditions?: readonly Condition[];
  /** Namespaces with repositories in it. */
  readonly namespaces?: number;
  /** Repositories that name it. */
  readonly repositories?: number;
  /** Repositories among them that ask for more than they may have; each says what in its own status. */
  readonly refused?: number;
  /** Bytes of all content in it. */
  readonly bytes?: number;
}

/** @public */
export interface GuestStoreHostSpec {
  /** Stops work on this object; what is in force stays in force. */
  readonly suspend: boolean;
}

/** @public */
export interface GuestStoreHostSpace {
  /** Bytes in all. */
  readonly total: number;
  /** Bytes free when freePercent last changed. */
  readonly free?: number;
  /** Free space in per cent, rounded down to tens. */
  readonly freePercent: number;
}

/** @public */
export interface GuestStoreHostStatus {
  /** Generation that this status speaks of; -1 before the operator has seen the object. */
  readonly observedGeneration?: number;
  /** Value of the annotation gueststore.dev/requestedAt that was last acted upon. */
  readonly lastHandledReconcileAt?: string;
  /** What is true of the object now. Types are Ready, Reconciling and Stalled. */
  readonly conditions?: readonly Condition[];
  /** Version of the daemon; of several, the lowest. */
  readonly version?: string;
  /** Formats of the datastore that all its daemons read. */
  readonly formats?: readonly number[];
  /** Daemons that run on the host; more than one during an update. */
  readonly instances?: number;
  /** GuestVMs that name the host. */
  readonly vms?: number;
  /** Space where the daemon keeps content, in steps of 10 % so that it seldom changes. */
  readonly space?: GuestStoreHostSpace;
}

/** @public */
export interface AllowedReferences {
  /** Same is this repository's namespace, All every namespace, Selector those whose labels match. */
  readonly from: 'Same' | 'All' | 'Selector';
  /** Labels of the namespaces, for Selector. */
  readonly selector?: LabelSelector;
}

/** @public */
export interface GuestStoreRepositoryAllow {
  /** Whose ContentItems may publish here. */
  readonly items: AllowedReferences;
  /** Whose GuestVMs may be served from here. */
  readonly vms: AllowedReferences;
}

/** @public */
export interface GuestStoreRepositoryRetention {
  /** How many revisions. */
  readonly revisions?: number;
  /** Revisions younger than this. */
  readonly age?: string;
}

/** @public */
export interface GuestStoreRepositorySpec {
  /** Name of a datastore that the operator and the daemons were started with. */
  readonly datastore: string;
  /** Folder of the plain tree in the datastore, without leading or trailing "/". One repository claims a root; <namespace>/<name> when left out. */
  readonly root?: string;
  /** Whether content also stands as plain files below root, for people and for ESXi hosts. None saves the space. */
  readonly plainTree: 'Publish' | 'None';
  /** Largest size of one content file. */
  readonly maxItemSize: number | string;
  /** Most bytes that all content of the repository may take; unbounded when left out. */
  readonly quota?: number | string;
  /** What becomes of a path that no rule names. Open lets it pass, as GuestStore does; Closed denies it to every VM. */
  readonly defaultPosture: 'Open' | 'Closed';
  /** True when the items here are the whole tree, so that a path without an item is not found (404). False while the tree is still incomplete, so that such a path is trouble (503). */
  readonly authoritative: boolean;
  /** How long the bytes of a deleted item are still served. */
  readonly removalGrace: string;
  /** Serves the VMs of this namespace that name no repository. */
  readonly default: boolean;
  /** Which other namespaces may refer to this repository. */
  readonly allow: GuestStoreRepositoryAllow;
  /** Which old revisions are kept for a rollback. What either bound would keep is kept. */
  readonly retention?: GuestStoreRepositoryRetention;
  /** How often all stored bytes are hashed again. */
  readonly scrubInterval: string;
  /** How often remote sources are asked, where an item does not say. */
  readonly interval: string;
  /** What becomes of files in the tree that no item names. Ignore leaves them alone, Adopt serves them. */
  readonly unmanaged: 'Ignore' | 'Adopt';
  /** Pins content to this revision of the datastore; rules are never pinned. */
  readonly revision?: number;
  /** Stops work on this object; what is in force stays in force. */
  readonly suspend: boolean;
}

/** @public */
export interface GuestStoreRepositoryHosts {
  /** How many there are. */
  readonly total: number;
  /** How many of them serve the newest revision. */
  readonly current: number;
  /** Hosts whose daemon does not speak, the first 64 by name. */
  readonly unreachable?: readonly string[];
}

/** @public */
export interface GuestStoreRepositoryStatus {
  /** Generation that this status speaks of; -1 before the operator has seen the object. */
  readonly observedGeneration?: number;
  /** Value of the annotation gueststore.dev/requestedAt that was last acted upon. */
  readonly lastHandledReconcileAt?: string;
  /** What is true of the object now. Types are Ready, Reconciling, Stalled, Stored, Served and NotSupportedYet. */
  readonly conditions?: readonly Condition[];
  /** Revision of the datastore in which this repository last changed. */
  readonly revision?: number;
  /** Content items that claim a path here. */
  readonly items?: number;
  /** Bytes of all content. */
  readonly bytes?: number;
  /** Hosts with VMs of this repository. */
  readonly hosts?: GuestStoreRepositoryHosts;
}

/** @public */
export interface GuestVMChannelHybridUDS {
  /** Socket of the VMM, relative to the folder of the namespace in the run folder, or absolute below its socket root; <name>.vsock when left out. */
  readonly path?: string;
  /** Port of the vsock that guests connect to. */
  readonly port: number;
  /** User that the VMM runs as; the daemon's own when left out. */
  readonly uid?: number;
  /** Group that the VMM runs as; the daemon's own when left out. */
  readonly gid?: number;
}

/** @public */
export interface GuestVMChannelSerial {
  /** Socket, relative to the folder of the namespace in the run folder, or absolute below its socket root. */
  readonly path: string;
  /** Listen, the daemon makes the socket and the VMM connects. Connect, the other way round. */
  readonly mode: 'Listen' | 'Connect';
}

/** @public */
export interface GuestVMChannelVsock {
  /** Context identifier of the VM on its host. */
  readonly cid: number;
  /** Port that guests connect to. */
  readonly port: number;
}

/** @public */
export interface GuestVMChannelTls {
  /** Common name of the certificate. */
  readonly subject: string;
}

/** @public */
export interface GuestVMChannelVsphere {
  /** Name of the vCenter Server; the only one configured when left out. */
  readonly server?: string;
  /** Instance UUID of the VM. */
  readonly instanceUUID: string;
}

/** @public */
export interface GuestVMChannelVmOperator {
  /** Name of the VirtualMachine, in the same namespace; this object's name when left out. */
  readonly name?: string;
}

/** @public */
export interface GuestVMChannel {
  /** Firecracker, Cloud Hypervisor, vhost-device-vsock, a Unix socket <path>_<port>. */
  readonly hybridUDS?: GuestVMChannelHybridUDS;
  /** QEMU or libvirt with virtio-serial, one Unix socket a VM. */
  readonly serial?: GuestVMChannelSerial;
  /** KubeVirt or vhost-vsock, the kernel's own vsock. */
  readonly vsock?: GuestVMChannelVsock;
  /** A VM with a network, known by its client certificate. */
  readonly tls?: GuestVMChannelTls;
  /** A VM on vSphere, served by VMware's own gstored. */
  readonly vsphere?: GuestVMChannelVsphere;
  /** A VirtualMachine of vm-operator, served by VMware's own gstored. */
  readonly vmOperator?: GuestVMChannelVmOperator;
}

/** @public */
export interface GuestVMSpec {
  /** Identifier of the VM with its hypervisor, such as a libvirt domain's UUID. */
  readonly uid?: string;
  /** Host whose daemon serves the VM; left out for vsphere and vmOperator, which have no daemon. */
  readonly host?: string;
  /** How the VM is met; exactly one. */
  readonly channel: GuestVMChannel;
  /** The repository that it is served from; the namespace's only one or its default when left out. */
  readonly repositoryRef?: RepositoryRef;
  /** Whether the VM may fetch anything. False answers every request with 503. */
  readonly enabled: boolean;
  /** Stops work on this object; what is in force stays in force. */
  readonly suspend: boolean;
}

/** @public */
export interface GuestVMRules {
  /** Rules that grant. */
  readonly grant: number;
  /** Rules that deny. */
  readonly deny: number;
}

/** @public */
export interface GuestVMPolicy {
  /** Kind of the object. */
  readonly kind: string;
  /** Its namespace; absent for a cluster-wide one. */
  readonly namespace?: string;
  /** Its name. */
  readonly name: string;
  /** Generation that is in force. */
  readonly generation?: number;
}

/** @public */
export interface GuestVMTarget {
  /** Name of the target, such as daemon. */
  readonly name: string;
  /** Whether the newest settings are in force. */
  readonly applied: boolean;
  /** Why not, as one word. */
  readonly reason?: string;
  /** Why not, for people. */
  readonly message?: string;
}

/** @public */
export interface GuestVMStatus {
  /** Generation that this status speaks of; -1 before the operator has seen the object. */
  readonly observedGeneration?: number;
  /** Value of the annotation gueststore.dev/requestedAt that was last acted upon. */
  readonly lastHandledReconcileAt?: string;
  /** What is true of the object now. Types are Ready, Reconciling, Stalled, RulesEffective, Served, Programmed and NotSupportedYet. */
  readonly conditions?: readonly Condition[];
  /** Namespace and name of the repository that the VM is served from. */
  readonly repository?: string;
  /** Digest of the effective rules. */
  readonly ruleSet?: string;
  /** How many rules are in force. */
  readonly rules?: GuestVMRules;
  /** Where the rules come from, the first 64 in the order in which they are tried. */
  readonly policies?: readonly GuestVMPolicy[];
  /** The setting guestStore.access.grant; absent beyond 8 KiB. */
  readonly grant?: string;
  /** The setting guestStore.access.deny; absent beyond 8 KiB. */
  readonly deny?: string;
  /** Where the settings go, and whether they are in force there. */
  readonly targets?: readonly GuestVMTarget[];
}

/** @public */
export interface VMAccessPolicySpec {
  /** VMs that the rules apply to, by label and name; empty selects all. */
  readonly vmSelector: VMSelector;
  /** Content paths that the VMs may fetch. A grant beats every deny, of any policy. */
  readonly grant?: readonly string[];
  /** Content paths that the VMs may not fetch, unless granted. */
  readonly deny?: readonly string[];
  /** Whole, a rule must match the whole content path. Search, anywhere in it. */
  readonly match: 'Whole' | 'Search';
  /** Enforce puts the rules in force. Audit only says in logs what they would decide. */
  readonly mode: 'Enforce' | 'Audit';
  /** Stops work on this object; what is in force stays in force. */
  readonly suspend: boolean;
}

/** @public */
export interface VMAccessPolicyStatus {
  /** Generation that this status speaks of; -1 before the operator has seen the object. */
  readonly observedGeneration?: number;
  /** Value of the annotation gueststore.dev/requestedAt that was last acted upon. */
  readonly lastHandledReconcileAt?: string;
  /** What is true of the object now. Types are Ready, Reconciling, Stalled, RulesEffective, Programmed and NotSupportedYet. */
  readonly conditions?: readonly Condition[];
  /** VMs that are selected. */
  readonly matched?: number;
  /** Selected VMs whose host has put these rules in force. */
  readonly programmed?: number;
  /** Findings on the rules, the first 32. */
  readonly warnings?: readonly PolicyWarning[];
}
