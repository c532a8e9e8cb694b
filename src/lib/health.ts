/** One thing that must be so. */
export interface Check {
  /** Lower-case, with dashes; a datastore's name may stand behind a slash. */
  readonly name: string;
  /** What is wrong, for people; undefined while all is well. Asked at each probe, so it looks only at what is known. */
  readonly trouble: () => string | undefined;
}

/** What a process says of itself to whoever starts it again (`alive`) or sends it work (`ready`). */
export interface Probes {
  readonly alive: readonly Check[];
  readonly ready: readonly Check[];
}

export interface ProbeAnswer {
  readonly status: 200 | 503;
  readonly body: string;
}

/**
 * Answers one probe as a Kubernetes API server does: `ok`, or a line for each check where one failed or `?verbose` asks
 * for them. `?exclude=NAME`, repeated as needed, leaves checks out.
 */
export function answerProbe(
  probe: 'healthz' | 'readyz',
  checks: readonly Check[],
  query: URLSearchParams,
): ProbeAnswer {
  const excluded = new Set(query.getAll('exclude'));
  const lines: string[] = [];
  let failed = false;
  for (const { name, trouble } of checks) {
    const wrong = excluded.has(name) ? undefined : trouble();
    failed ||= wrong !== undefined;
    if (excluded.has(name)) lines.push(`[+]${name} excluded: ok`);
    else lines.push(wrong === undefined ? `[+]${name} ok` : `[-]${name} failed: ${wrong}`);
  }
  for (const name of excluded) {
    if (!checks.some((check) => check.name === name)) lines.push(`warn: there is no check "${name}" to exclude`);
  }
  if (!failed && !query.has('verbose')) return { status: 200, body: 'ok\n' };
  lines.push(`${probe} check ${failed ? 'failed' : 'passed'}`);
  return { status: failed ? 503 : 200, body: lines.map((line) => `${line}\n`).join('') };
}
