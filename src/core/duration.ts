import { GuestStoreError } from '../lib/errors.ts';

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a duration as Go and Kubernetes write it (`0s`, `90s`, `1h30m`). Throws `InvalidArgument`. */
export function parseDuration(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  const whole = parts.map(([part]) => part).join('') === text && parts.length > 0;
  if (!whole)
    throw new GuestStoreError('InvalidArgument', `${JSON.stringify(text)} is not a duration such as 30s or 1h`);
  return Math.round(parts.reduce((sum, [, count, unit]) => sum + Number(count) * (units[unit ?? ''] ?? 0), 0));
}
