import type { LeaseSpec } from './resource.ts';

/** How the Lease came to us: what its last holder is known to have done before. */
export type Acquired =
  /** There was none, or nobody ever held it. One that was deleted looks the same: its holder may still be at work. */
  | 'created'
  /** Its holder gave it back when nothing of it could write any more. */
  | 'released'
  /** Its holder has not renewed it in time, or was struck from it: he may still believe that he holds it. */
  | 'expired';

/** So many times its own duration is somebody else's Lease respected at most, whatever stands in it. */
const mostTerms = 4;
const mostTransitions = 2 ** 31 - 1;

/**
 * Milliseconds without a change after which others may take the Lease; 0 when it is nobody's. Nothing else in it counts:
 * times are those of another host's clock. A duration that is missing or nonsense is taken for ours.
 */
export function expiresAfter(spec: LeaseSpec | undefined, own: number): number {
  if (holderOf(spec) === '') return 0;
  const said = typeof spec?.leaseDurationSeconds === 'number' ? spec.leaseDurationSeconds * 1000 : own;
  return Math.min(Math.max(said, own), mostTerms * own);
}

/** As what a Lease is taken that is free. */
export function acquiredAs(spec: LeaseSpec | undefined): Acquired {
  if (holderOf(spec) !== '') return 'expired';
  if (spec?.acquireTime === undefined) return 'created';
  // Whoever releases it leaves this behind. Another one who only strikes the holder's name out proves nothing.
  return spec.leaseDurationSeconds === releasedDuration ? 'released' : 'expired';
}

/** Empty when it is nobody's. */
export function holderOf(spec: LeaseSpec | undefined): string {
  return spec?.holderIdentity ?? '';
}

/** The Lease as `identity` takes or renews it. `own`: milliseconds. */
export function claimed(before: LeaseSpec | undefined, identity: string, own: number): LeaseSpec {
  const renewTime = now();
  const leaseDurationSeconds = Math.ceil(own / 1000);
  if (before?.holderIdentity === identity) return { ...before, renewTime, leaseDurationSeconds };
  return {
    holderIdentity: identity,
    leaseDurationSeconds,
    acquireTime: renewTime,
    renewTime,
    leaseTransitions: before === undefined ? 0 : following(before.leaseTransitions),
  };
}

/** Seconds, as in a Lease of client-go that was given back. */
const releasedDuration = 1;

/** The Lease as its holder gives it back. */
export function released(held: LeaseSpec): LeaseSpec {
  return { ...held, holderIdentity: '', leaseDurationSeconds: releasedDuration, renewTime: now() };
}

function following(transitions: number | undefined): number {
  const counted = typeof transitions === 'number' && transitions >= 0 && transitions < mostTransitions;
  return counted ? transitions + 1 : 1;
}

/** For people only: nothing is decided by it. metav1.MicroTime wants six digits. */
function now(): string {
  return new Date().toISOString().replace('Z', '000Z');
}
