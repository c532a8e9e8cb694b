/** Names of extensions that this version understands where a record calls them critical. None yet. */
const understood: ReadonlySet<string> = new Set();

/**
 * The critical extensions of a record that this version does not know. Any at all: the record must fail closed (503),
 * since what they say may be that it denies.
 */
export function unknownCritical(
  record: { readonly critical?: readonly string[] },
  known: ReadonlySet<string> = understood,
): readonly string[] {
  return (record.critical ?? []).filter((name) => !known.has(name));
}

/** False: the record asks for something that this version does not know, so nothing may be decided by it. */
export function servable(record: { readonly critical?: readonly string[] }): boolean {
  return record.critical === undefined || unknownCritical(record).length === 0;
}
