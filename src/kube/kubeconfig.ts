import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { load as parseYaml } from 'js-yaml';
import { errnoOf, GuestStoreError, messageOf } from '../lib/errors.ts';

/**
 * Reads a kubeconfig file, or without one what kubectl would find, each time that it is called. Throws `InvalidArgument`
 * where it leads to no server, or to one that we cannot go to. Beside what client-node understands, `tokenFile` of a user.
 */
export async function createKubeconfigLoader(file: string | undefined): Promise<() => KubeConfig> {
  // Half a second and 60 MB of generated models, which only those pay who need a cluster.
  const { KubeConfig } = await import('@kubernetes/client-node');
  class FileConfig extends KubeConfig {
    override loadFromFile(name: string): void {
      this.loadFromString(JSON.stringify(readFile(name)));
      this.makePathsAbsolute(dirname(resolve(name)));
    }
  }
  const where = file === undefined ? 'the default kubeconfig' : `kubeconfig ${file}`;
  return () => {
    const config = new FileConfig();
    try {
      if (file === undefined) config.loadFromDefault();
      else config.loadFromFile(file);
    } catch (error) {
      if (error instanceof GuestStoreError) throw error;
      throw refusal(`${where}: ${messageOf(error)}`, error);
    }
    check(config, where);
    return config;
  };
}

function check(config: KubeConfig, where: string): void {
  // What client-node falls back to when it finds nothing at all.
  if (config.getCurrentCluster()?.server === 'http://localhost:8080')
    throw refusal('there is no kubeconfig and no service account of a pod; give --kubeconfig FILE or set KUBECONFIG');
  const { currentContext } = config;
  const context = config.getContextObject(currentContext);
  if (context === null) {
    const names = config.getContexts().map(({ name }) => name);
    const wanted =
      currentContext === undefined || currentContext === '' ? 'no current-context' : `no context "${currentContext}"`;
    throw refusal(`${where} has ${wanted}; it has: ${names.join(', ') || 'none at all'}`);
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null)
    throw refusal(`${where} has no cluster "${context.cluster}", which context "${currentContext}" names`);
  if (context.user !== undefined && config.getCurrentUser() === null)
    throw refusal(`${where} has no user "${context.user}", which context "${currentContext}" names`);
  if (cluster.proxyUrl?.startsWith('socks') === true)
    throw refusal(
      `${where}: proxy-url ${cluster.proxyUrl} of cluster "${cluster.name}": SOCKS is not supported; name an HTTP proxy`,
    );
}

/** The document as client-node takes it. */
function readFile(name: string): object {
  let text: string;
  try {
    text = readFileSync(name, 'utf8');
  } catch (error) {
    throw refusal(
      `kubeconfig ${name} cannot be read: ${errnoOf(error) ?? messageOf(error)}; give --kubeconfig FILE or set KUBECONFIG`,
      error,
    );
  }
  let document: unknown;
  try {
    document = parseYaml(text);
  } catch (error) {
    throw refusal(`kubeconfig ${name} is no YAML: ${messageOf(error).split('\n')[0]}`, error);
  }
  if (!isRecord(document)) throw refusal(`kubeconfig ${name} is no kubeconfig: it holds no fields`);
  const users = Array.isArray(document.users)
    ? document.users.map((user) => withTokenFile(user, dirname(resolve(name))))
    : [];
  return { ...document, users };
}

/** client-node reads the file of a token once, and only under another name than kubectl's. */
function withTokenFile(entry: unknown, folder: string): unknown {
  if (!isRecord(entry) || !isRecord(entry.user) || typeof entry.user.tokenFile !== 'string') return entry;
  const { tokenFile, token: _, ...user } = entry.user;
  return {
    ...entry,
    user: { ...user, 'auth-provider': { name: 'tokenFile', config: { tokenFile: resolve(folder, tokenFile) } } },
  };
}

function refusal(message: string, cause?: unknown): GuestStoreError {
  return new GuestStoreError('InvalidArgument', message, { cause });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
