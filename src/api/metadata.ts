/** The part of an object's metadata that this program reads. */
export interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  /** RFC 3339. */
  readonly creationTimestamp?: string;
  /** RFC 3339; set while finalizers hold a deleted object. */
  readonly deletionTimestamp?: string;
}

/** Metadata of an object that lives in a namespace; `default` where its manifest named none. */
export interface NamespacedMetadata extends Metadata {
  readonly namespace: string;
}
