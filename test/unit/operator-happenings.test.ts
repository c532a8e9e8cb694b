import { expect, test } from 'vitest';
import { happeningsBetween } from '../../src/operator/report/happenings.ts';
import type { WrittenStatus } from '../../src/operator/types.ts';

const say = (ready: string, more: Readonly<Record<string, string>> = {}, source?: string): WrittenStatus => ({
  observedGeneration: 1,
  conditions: Object.entries({ Ready: ready, ...(source === undefined ? {} : { SourceReady: source }) }).map(
    ([type, words]) => {
      const [status, reason = ''] = words.split(' ');
      return {
        type,
        status: status as 'True' | 'False',
        reason,
        message: `${reason}.`,
        observedGeneration: 1,
        lastTransitionTime: '2026-11-24T09:00:00Z',
      };
    },
  ),
  ...more,
});
const between = (before: WrittenStatus | undefined, after: WrittenStatus) =>
  happeningsBetween(before, after).map(({ type, reason }) => `${type} ${reason}`);

test.each([
  ['the first word of an object', undefined, say('True Served'), ['Normal Served']],
  ['what goes on', say('True Served'), say('False Fetching'), ['Normal Fetching']],
  ['failing', say('True Served'), say('False SourceNotFound'), ['Warning SourceNotFound']],
  ['failing otherwise', say('False SourceNotFound'), say('False TooLarge'), ['Warning TooLarge']],
  ['getting well', say('False SourceNotFound'), say('True Served'), ['Normal Served']],
  ['being suspended', say('True Served'), say('True Suspended'), ['Normal Suspended']],
  ['nothing new', say('True Served'), say('True Served'), []],
  ['other content', say('True Served', { digest: 'a' }), say('True Served', { digest: 'b' }), ['Normal Published']],
  ['content that is gone', say('True Served', { digest: 'a' }), say('True Served'), []],
  [
    'a source in trouble',
    say('True Served', {}, 'True Published'),
    say('True Served', {}, 'False SourceStalled'),
    ['Warning SourceStalled'],
  ],
  [
    'a source that answers again',
    say('True Served', {}, 'False SourceStalled'),
    say('True Served', {}, 'True Published'),
    ['Normal Published'],
  ],
  [
    'one event where Ready says it all',
    say('False Fetching', {}),
    say('False SourceStalled', {}, 'False SourceStalled'),
    ['Warning SourceStalled'],
  ],
])('%s', (_, before, after, events) => {
  expect(between(before, after)).toEqual(events);
});
