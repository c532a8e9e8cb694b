import { type Kind, kinds } from '../api/resources.generated.ts';
import { GuestStoreError } from '../lib/errors.ts';

/** Short words for what people look for; everything that `kubectl get` takes is understood beside them. */
const words: Readonly<Record<string, readonly Kind[]>> = {
  repositories: ['GuestStoreRepository'],
  items: ['ContentItem'],
  policies: ['VMAccessPolicy', 'ClusterVMAccessPolicy'],
  vms: ['GuestVM'],
  hosts: ['GuestStoreHost'],
  datastores: ['GuestStoreDatastore'],
  all: [
    'GuestStoreDatastore',
    'GuestStoreRepository',
    'ContentItem',
    'VMAccessPolicy',
    'ClusterVMAccessPolicy',
    'GuestVM',
    'GuestStoreHost',
  ],
};
const singulars: Readonly<Record<string, string>> = {
  repository: 'repositories',
  item: 'items',
  policy: 'policies',
  vm: 'vms',
  host: 'hosts',
  datastore: 'datastores',
};

/** Every kind, in the order in which people think of them. */
export const orderOfKinds: readonly Kind[] = words.all ?? [];

/** The kinds that a word means, in any case of letters. Throws `InvalidArgument`, which names the words that there are. */
export function kindsNamed(word: string): readonly Kind[] {
  const low = word.toLowerCase();
  const short = singulars[low] ?? low;
  const found = Object.hasOwn(words, short) ? words[short] : undefined;
  if (found !== undefined) return found;
  const exact = orderOfKinds.filter((kind) => {
    const { plural, singular, shortNames } = kinds[kind];
    return [plural, singular, ...shortNames].includes(low);
  });
  if (exact.length > 0) return exact;
  throw new GuestStoreError('InvalidArgument', `there is no kind "${word}": ${Object.keys(words).join(', ')}`);
}
