import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { programFile } from './kubernetes/programs.ts';

const run = promisify(execFile);

export const chart = fileURLToPath(new URL('../../manifests/chart', import.meta.url));

/** Runs it with arguments: its standard output, or an error with what it said. */
export type Helm = (args: readonly string[]) => Promise<string>;

/** The real helm, built on first use. It keeps what it keeps below `folder`, and knows no cluster but that of `kubeconfig`. */
export async function createHelm(folder: string, kubeconfig: string): Promise<Helm> {
  const file = await programFile('helm');
  const { PATH } = process.env;
  const env = {
    PATH,
    HOME: folder,
    HELM_CACHE_HOME: `${folder}/cache`,
    HELM_CONFIG_HOME: `${folder}/config`,
    HELM_DATA_HOME: `${folder}/data`,
    KUBECONFIG: kubeconfig,
  };
  return async (args) => (await run(file, args, { env, maxBuffer: 64 << 20 })).stdout;
}

/** `--set-json` for each value, by its path. */
export function setting(values: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.entries(values).flatMap(([path, value]) => ['--set-json', `${path}=${JSON.stringify(value)}`]);
}
