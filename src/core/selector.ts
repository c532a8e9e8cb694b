import { GuestStoreError } from '../lib/errors.ts';

/** The labels of an object. */
export type Labels = Readonly<Record<string, string>>;

/** Kubernetes' label selector, and `names` beside it. What is given must hold all at once; nothing given selects all. */
export interface Selector {
  readonly matchLabels?: Labels | undefined;
  readonly matchExpressions?: readonly Requirement[] | undefined;
  /** The object must bear one of these names. An empty list counts as none given, as lists do in Kubernetes. */
  readonly names?: readonly string[] | undefined;
}

interface Requirement {
  readonly key: string;
  /** `In`, `NotIn`, `Exists` or `DoesNotExist`. */
  readonly operator: string;
  readonly values?: readonly string[] | undefined;
}

/**
 * Whether the selector selects an object with these labels and this name. As in Kubernetes, `NotIn` also selects objects
 * without the label. Throws `InvalidManifest` for an operator that is not one, or that has too many or too few values,
 * whatever the labels are, and where there is no selector: half a one must not select anything, nor must none.
 */
export function selects(selector: Selector | undefined, labels: Labels, name?: string): boolean {
  if (selector === undefined)
    throw new GuestStoreError('InvalidManifest', 'the selector is missing; {} selects all, if that is meant');
  const requirements = selector.matchExpressions ?? [];
  requirements.forEach(checkRequirement);
  const names = selector.names ?? [];
  if (names.length > 0 && (name === undefined || !names.includes(name))) return false;
  return (
    Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labelOf(labels, key) === value) &&
    requirements.every((requirement) => holds(requirement, labelOf(labels, requirement.key)))
  );
}

/** Labels of a namespace, among them the one that Kubernetes gives to each: in a folder of manifests nobody need declare it. */
export function labelsOfNamespace(namespaces: ReadonlyMap<string, Labels>, name: string): Labels {
  return { ...namespaces.get(name), 'kubernetes.io/metadata.name': name };
}

function checkRequirement({ key, operator, values = [] }: Requirement): void {
  const wanted = {
    In: 'at least one value',
    NotIn: 'at least one value',
    Exists: 'no values',
    DoesNotExist: 'no values',
  };
  if (!Object.hasOwn(wanted, operator)) {
    throw new GuestStoreError(
      'InvalidManifest',
      `selector, label ${key}: there is no operator ${JSON.stringify(operator)}; use In, NotIn, Exists or DoesNotExist`,
    );
  }
  const needsValues = operator === 'In' || operator === 'NotIn';
  if (needsValues === values.length > 0) return;
  throw new GuestStoreError(
    'InvalidManifest',
    `selector, label ${key}: operator ${operator} takes ${wanted[operator as keyof typeof wanted]}`,
  );
}

function holds({ operator, values = [] }: Requirement, value: string | undefined): boolean {
  if (operator === 'Exists') return value !== undefined;
  if (operator === 'DoesNotExist') return value === undefined;
  const among = value !== undefined && values.includes(value);
  return operator === 'In' ? among : !among;
}

/** Own properties only: a label named `constructor` is there when somebody set it. */
function labelOf(labels: Labels, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}
