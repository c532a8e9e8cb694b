import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The folder with `good` and `bad` manifests and `yaml` that is hard to read. */
export const corpusFolder = fileURLToPath(new URL('../corpus/', import.meta.url));

export interface CorpusFile {
  /** Without a folder. */
  readonly name: string;
  readonly text: string;
}

/** A manifest that must be refused, for this field and with these words; both stand in its first two lines. */
export interface BadFile extends CorpusFile {
  readonly field: string;
  readonly reason: string;
}

/** The manifests of one folder, sorted by name. Read at once, so that tests can be made of them. */
export function corpusFiles(folder: 'good' | 'bad' | 'yaml'): readonly CorpusFile[] {
  return readdirSync(`${corpusFolder}${folder}`)
    .toSorted()
    .map((name) => ({ name, text: readFileSync(`${corpusFolder}${folder}/${name}`, 'utf8') }));
}

export function badFiles(): readonly BadFile[] {
  return corpusFiles('bad').map((file) => {
    const head = /^# field:(.*)\n# reason:(.*)\n/.exec(file.text);
    if (head === null) throw new Error(`corpus/bad/${file.name} must begin with "# field:" and "# reason:"`);
    return { ...file, field: (head[1] ?? '').trim(), reason: (head[2] ?? '').trim() };
  });
}
