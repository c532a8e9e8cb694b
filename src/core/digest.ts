/** A digest as it stands in manifests, the datastore and logs: `sha256:` and 64 lower-case hexadecimal digits. */
export type Digest = `sha256:${string}`;

const form = /^sha256:[0-9a-f]{64}$/;

export function isDigest(text: string): text is Digest {
  return form.test(text);
}

/** The hexadecimal part alone, as file names use it. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length);
}
