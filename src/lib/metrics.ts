/** Label names and values of one series. Never a VM, path or anything else that a guest or tenant can multiply. */
export type Labels = Readonly<Record<string, string>>;

export interface Counter {
  add(labels?: Labels, amount?: number): void;
}

export interface Gauge {
  set(value: number, labels?: Labels): void;
}

export interface Histogram {
  observe(value: number, labels?: Labels): void;
}

/** A process's metrics. Asking twice for one name gives the same metric. */
export interface Metrics {
  counter(name: string, help: string): Counter;
  /** As `gaugeOf`, for a count that only grows. */
  counterOf(name: string, help: string, read: () => number, labels?: Labels): void;
  gauge(name: string, help: string): Gauge;
  /** `read` is asked at each scrape; for values that somebody else keeps. Undefined: there is none now. */
  gaugeOf(name: string, help: string, read: () => number | undefined, labels?: Labels): void;
  /** All series of a gauge, as they are at each scrape: for labels that come and go. The last `read` given counts. */
  gaugesOf(name: string, help: string, read: () => Iterable<readonly [Labels, number]>): void;
  /** `buckets` are upper bounds, rising; seconds where the name says so. */
  histogram(name: string, help: string, buckets?: readonly number[]): Histogram;
  /** Everything in Prometheus' text format, version 0.0.4. */
  render(): string;
}

export const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8';

/** Seconds, from a millisecond to ten seconds: controller-runtime's own range. */
const defaultBuckets = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

interface Family {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  lines(name: string): Iterable<string>;
}

export function createMetrics(): Metrics {
  const families = new Map<string, Family>();
  function family<F extends Family>(name: string, kind: F['kind'], create: () => F): F {
    const known = families.get(name);
    if (known !== undefined && known.kind !== kind) throw new Error(`metric ${name} is a ${known.kind} already`);
    if (known !== undefined) return known as F;
    const created = create();
    families.set(name, created);
    return created;
  }
  return {
    counter: (name, help) => family(name, 'counter', () => createCounter(help)),
    counterOf: (name, help, read, labels = {}) =>
      family(name, 'counter', () => createCounter(help)).follow(read, labels),
    gauge: (name, help) => family(name, 'gauge', () => createGauge(help)),
    gaugeOf: (name, help, read, labels = {}) => family(name, 'gauge', () => createGauge(help)).follow(read, labels),
    gaugesOf: (name, help, read) => family(name, 'gauge', () => createGauge(help)).followAll(read),
    histogram: (name, help, buckets = defaultBuckets) =>
      family(name, 'histogram', () => createHistogram(help, buckets)),
    render() {
      let text = '';
      for (const [name, { kind, help, lines }] of families) {
        text += `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${kind}\n`;
        for (const line of lines(name)) text += `${line}\n`;
      }
      return text;
    },
  };
}

function createCounter(help: string): Family & Counter & { follow(read: () => number, labels: Labels): void } {
  const values = new Map<string, number>();
  const followed = new Map<string, () => number>();
  return {
    kind: 'counter',
    help,
    add(labels = {}, amount = 1) {
      const series = seriesOf(labels);
      values.set(series, (values.get(series) ?? 0) + amount);
    },
    follow: (read, labels) => void followed.set(seriesOf(labels), read),
    *lines(name) {
      for (const [series, value] of values) yield `${name}${braced(series)} ${value}`;
      for (const [series, read] of followed) yield `${name}${braced(series)} ${read()}`;
    },
  };
}

interface FollowingGauge extends Family, Gauge {
  follow(read: () => number | undefined, labels: Labels): void;
  followAll(read: () => Iterable<readonly [Labels, number]>): void;
}

function createGauge(help: string): FollowingGauge {
  const values = new Map<string, () => number | undefined>();
  let all: () => Iterable<readonly [Labels, number]> = () => [];
  return {
    kind: 'gauge',
    help,
    set: (value, labels = {}) => void values.set(seriesOf(labels), () => value),
    follow: (read, labels) => void values.set(seriesOf(labels), read),
    followAll: (read) => {
      all = read;
    },
    *lines(name) {
      for (const [series, read] of values) {
        const value = read();
        if (value !== undefined) yield `${name}${braced(series)} ${value}`;
      }
      for (const [labels, value] of all()) yield `${name}${braced(seriesOf(labels))} ${value}`;
    },
  };
}

function createHistogram(help: string, buckets: readonly number[]): Family & Histogram {
  const values = new Map<string, { readonly counts: number[]; sum: number; count: number }>();
  return {
    kind: 'histogram',
    help,
    observe(value, labels = {}) {
      const series = seriesOf(labels);
      const entry = values.get(series) ?? { counts: buckets.map(() => 0), sum: 0, count: 0 };
      values.set(series, entry);
      const bucket = buckets.findIndex((bound) => value <= bound);
      if (bucket !== -1) entry.counts[bucket] = (entry.counts[bucket] ?? 0) + 1;
      entry.sum += value;
      entry.count += 1;
    },
    *lines(name) {
      for (const [series, { counts, sum, count }] of values) {
        const bucket = (bound: string) => braced(series === '' ? `le="${bound}"` : `${series},le="${bound}"`);
        let below = 0;
        for (const [index, bound] of buckets.entries()) {
          below += counts[index] ?? 0;
          yield `${name}_bucket${bucket(`${bound}`)} ${below}`;
        }
        yield `${name}_bucket${bucket('+Inf')} ${count}`;
        yield `${name}_sum${braced(series)} ${sum}`;
        yield `${name}_count${braced(series)} ${count}`;
      }
    },
  };
}

function seriesOf(labels: Labels): string {
  const escaped = (value: string) => value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(',');
}

function braced(series: string): string {
  return series === '' ? '' : `{${series}}`;
}
