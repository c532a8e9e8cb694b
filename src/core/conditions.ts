/** A Kubernetes condition (metav1.Condition). */
export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration?: number | undefined;
  /** RFC 3339, UTC, whole seconds. */
  readonly lastTransitionTime: string;
}

/** A condition before it is dated. */
export type Fact = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

/** The order in which conditions stand, so that two equal statuses are equal bytes. */
const order = [
  'Ready',
  'Reconciling',
  'Stalled',
  'SourceReady',
  'Verified',
  'Stored',
  'Served',
  'RulesEffective',
  'Programmed',
  'NotSupportedYet',
];

/** The API server refuses longer messages. */
const maxMessage = 32_768;

/** Dates `facts`: a condition whose status did not change keeps its transition time. One not among the facts is gone. */
export function dated(
  facts: readonly Fact[],
  previous: readonly Condition[],
  generation: number,
  now: Date,
): Condition[] {
  const time = `${now.toISOString().slice(0, 19)}Z`;
  return facts
    .toSorted((a, b) => order.indexOf(a.type) - order.indexOf(b.type))
    .map((fact) => {
      const before = previous.find(({ type }) => type === fact.type);
      return {
        ...fact,
        message: fact.message.slice(0, maxMessage),
        observedGeneration: generation,
        lastTransitionTime: before?.status === fact.status ? before.lastTransitionTime : time,
      };
    });
}

export function conditionOf(conditions: readonly Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}
