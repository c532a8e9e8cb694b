import { findHighest, readCommit } from '../../../src/store/commits.ts';
import { layoutOf } from '../../../src/store/layout.ts';
import type { Commit } from '../../../src/store/types.ts';

/** What a datastore's commits say of who wrote it. */
export interface Journal {
  readonly commits: readonly Commit[];
  /** Who wrote each epoch. */
  readonly writers: ReadonlyMap<number, string>;
  /** Commits without a change, by which an epoch was claimed. */
  readonly claims: number;
}

/** Reads every commit. Throws unless there was one writer at a time: no gap, no fork, no epoch of two, none that comes back. */
export async function readJournal(datastore: string): Promise<Journal> {
  const layout = layoutOf(datastore);
  const commits: Commit[] = [];
  const writers = new Map<number, string>();
  let parent: string | null = null;
  for (let seq = 1, highest = await findHighest(layout, 0); seq <= highest; seq += 1) {
    const named = await readCommit(layout, seq);
    if (named === undefined || named === 'partial') throw new Error(`journal: commit ${seq} of ${highest} is missing`);
    const { commit, digest } = named;
    const before = commits.at(-1)?.epoch ?? 0;
    const writer = writers.get(commit.epoch);
    if (commit.parent !== parent) throw new Error(`journal: commit ${seq} does not follow from the one before`);
    if (commit.epoch < before) throw new Error(`journal: commit ${seq} is of epoch ${commit.epoch}, after ${before}`);
    if (commit.epoch > before + 1)
      throw new Error(`journal: commit ${seq} skips from epoch ${before} to ${commit.epoch}`);
    if (commit.by === '') throw new Error(`journal: nobody says that he wrote commit ${seq}`);
    if (writer !== undefined && writer !== commit.by) {
      throw new Error(`journal: epoch ${commit.epoch} was written by ${writer} and by ${commit.by}`);
    }
    writers.set(commit.epoch, commit.by);
    commits.push(commit);
    parent = digest;
  }
  return { commits, writers, claims: commits.filter(({ cause }) => cause.kind === 'epoch').length };
}

/** The newest commit; undefined while there is none. */
export async function newestCommit(datastore: string): Promise<Commit | undefined> {
  const layout = layoutOf(datastore);
  const named = await readCommit(layout, await findHighest(layout, 0));
  return named === undefined || named === 'partial' ? undefined : named.commit;
}
