/** The format that this version writes. docs/datastore.md says what each number means. */
export const storeFormat = 1;

/** The formats that this version reads, as acknowledgements tell the operator. */
export const readableFormats: readonly number[] = [1];
