import { once } from 'node:events';
import { Agent, request } from 'node:https';
import { text } from 'node:stream/consumers';
import type { Cluster } from './api-server.ts';

/** What the API server answered. */
export interface Answered {
  readonly status: number;
  /** Of a refusal; empty where there was none. */
  readonly message: string;
  readonly body: unknown;
}

/** `GET`, `POST`, `DELETE`; `APPLY` for a server-side apply and `MERGE` for a merge patch. */
export type Method = 'GET' | 'POST' | 'DELETE' | 'APPLY' | 'MERGE';

const patches: Partial<Record<Method, string>> = {
  APPLY: 'application/apply-patch+yaml',
  MERGE: 'application/merge-patch+json',
};

/**
 * Asks the API server as a user of any name, who has no rights but those that are bound to him. kubectl would do the same,
 * with a process for each request.
 */
export function createAsUser(cluster: Cluster) {
  const agent = new Agent({ ca: cluster.ca, keepAlive: true });
  const ask = async (user: string | undefined, method: Method, path: string, body?: object): Promise<Answered> => {
    const url = new URL(path, cluster.url);
    const type = patches[method];
    if (method !== 'GET' && method !== 'DELETE') url.searchParams.set('fieldValidation', 'Strict');
    if (type !== undefined) url.searchParams.set('fieldManager', user ?? 'admin');
    if (method === 'APPLY') url.searchParams.set('force', 'true');
    const asked = request(url, {
      agent,
      method: type === undefined ? method : 'PATCH',
      headers: {
        authorization: `Bearer ${cluster.tokens.admin}`,
        'content-type': type ?? 'application/json',
        ...(user === undefined ? {} : { 'impersonate-user': user, 'impersonate-group': 'system:authenticated' }),
      },
    });
    asked.end(body === undefined ? '' : JSON.stringify(body));
    const [response] = await once(asked, 'response');
    const answer = JSON.parse(await text(response)) as { readonly message?: string };
    const status = Number(response.statusCode);
    return { status, message: status < 400 ? '' : (answer.message ?? ''), body: answer };
  };
  return Object.assign(ask, { [Symbol.dispose]: () => agent.destroy() });
}
