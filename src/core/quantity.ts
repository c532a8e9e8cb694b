import { GuestStoreError } from '../lib/errors.ts';

const binary: Readonly<Record<string, number>> = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, Pi: 2 ** 50 };
const decimal: Readonly<Record<string, number>> = { m: 1e-3, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15 };

/** Bytes of a Kubernetes quantity (`512Mi`, `4Gi`, `1e6`), rounded up. Throws `InvalidArgument`. */
export function parseQuantity(text: string): number {
  const parts = /^(\d+(?:\.\d*)?|\.\d+)(?:([eE]\d+)|([KMGTP]i|[mkMGTP]))?$/.exec(text);
  const value = Number(`${parts?.[1] ?? ''}${parts?.[2] ?? ''}`) * factorOf(parts?.[3]);
  if (parts === null || !Number.isSafeInteger(Math.ceil(value))) {
    throw new GuestStoreError('InvalidArgument', `${JSON.stringify(text)} is not a quantity such as 512Mi or 4Gi`);
  }
  return Math.ceil(value);
}

function factorOf(suffix: string | undefined): number {
  return suffix === undefined ? 1 : (binary[suffix] ?? decimal[suffix] ?? Number.NaN);
}
