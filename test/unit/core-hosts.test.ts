import { expect, test } from 'vitest';
import { type HostReport, hostViews, reachOf } from '../../src/core/hosts.ts';

const now = new Date('2026-11-24T09:00:00Z');
const ago = (milliseconds: number) => new Date(now.getTime() - milliseconds).toISOString();
const report = (more: Partial<HostReport> = {}): HostReport => ({
  host: 'a',
  instance: 'i',
  seq: 5,
  heartbeat: ago(1_000),
  refused: {},
  ...more,
});

test('a heartbeat counts for 20 s, one from the future counts as now', () => {
  const fresh = (heartbeat: string) => hostViews([report({ heartbeat })], now).get('a')?.fresh;
  expect([fresh(ago(0)), fresh(ago(20_000)), fresh(ago(20_001)), fresh(ago(-3_600_000))]).toEqual([
    true,
    true,
    false,
    true,
  ]);
});

test('a host with several daemons serves the lowest of those that are alive, and refuses what any of them does', () => {
  const refusal = { reason: 'ChannelRefused', message: 'm' };
  const reports = [
    report({ instance: 'new', seq: 9 }),
    report({ instance: 'old', seq: 7, refused: { 'fleet/web': refusal } }),
    report({ instance: 'dead', seq: 1, heartbeat: ago(60_000), refused: { 'fleet/db': refusal } }),
  ];
  const view = hostViews(reports, now).get('a');
  expect(view).toMatchObject({ fresh: true, seq: 7, instances: 2, heartbeat: ago(1_000) });
  expect([...(view?.refused.keys() ?? [])]).toEqual(['fleet/web']);
});

test('of a host whose daemons are all gone the last word is kept', () => {
  const reports = [
    report({ seq: 3, heartbeat: ago(90_000) }),
    report({ instance: 'j', seq: 4, heartbeat: ago(60_000) }),
  ];
  expect(hostViews(reports, now).get('a')).toMatchObject({
    fresh: false,
    seq: 3,
    instances: 0,
    heartbeat: ago(60_000),
  });
});

test('who is waited for: live hosts that are behind; others are named', () => {
  const views = hostViews(
    [report({ host: 'b', seq: 6 }), report({ host: 'a', seq: 5 }), report({ host: 'c', heartbeat: ago(30_000) })],
    now,
  );
  expect(reachOf(6, ['d', 'c', 'b', 'a', 'b'], views)).toEqual({
    current: ['b'],
    behind: ['a'],
    unreachable: ['c', 'd'],
  });
  expect(reachOf(5, [], views)).toEqual({ current: [], behind: [], unreachable: [] });
});
