import { expect, test } from 'vitest';
import { createMetrics } from '../../../src/lib/metrics.ts';

test('prints what Prometheus reads', () => {
  const metrics = createMetrics();
  metrics.counter('hits_total', 'Hits.').add({ code: '200' });
  metrics.counter('hits_total', 'Hits.').add({ code: '200' }, 2);
  metrics.counter('hits_total', 'Hits.').add({ code: 'a"b\\c\nd' });
  metrics.gauge('up', 'Whether it is up.').set(1);
  metrics.gaugeOf('depth', 'Keys.', () => 7, { name: 'q' });
  const took = metrics.histogram('took_seconds', 'How long.', [0.1, 1]);
  for (const value of [0.05, 0.1, 0.5, 3]) took.observe(value);
  expect(metrics.render()).toBe(`# HELP hits_total Hits.
# TYPE hits_total counter
hits_total{code="200"} 3
hits_total{code="a\\"b\\\\c\\nd"} 1
# HELP up Whether it is up.
# TYPE up gauge
up 1
# HELP depth Keys.
# TYPE depth gauge
depth{name="q"} 7
# HELP took_seconds How long.
# TYPE took_seconds histogram
took_seconds_bucket{le="0.1"} 2
took_seconds_bucket{le="1"} 3
took_seconds_bucket{le="+Inf"} 4
took_seconds_sum 3.65
took_seconds_count 4
`);
});

test('one name is one kind of metric', () => {
  const metrics = createMetrics();
  metrics.counter('hits_total', 'Hits.');
  expect(() => metrics.gauge('hits_total', 'Hits.')).toThrow('hits_total is a counter already');
});
