import { expect, test } from 'vitest';
import { createDueList, type Due, type DueList } from '../../src/operator/report/due-list.ts';

/** A turn of the microtasks, which ends a batch. */
const moment = () => Promise.resolve();

function touchMany(list: DueList, count: number): void {
  for (let index = 0; index < count; index += 1) list.touch('GuestVM', `fleet/vm-${index}`);
}

function taken(due: Due | undefined): Due {
  if (due === undefined) throw new Error('nothing is to be taken');
  return due;
}

test('an edit goes before a fleet that was touched earlier, but for hands that take from the fleet first', async () => {
  const list = createDueList();
  touchMany(list, 1_000);
  await moment();
  list.touch('ContentItem', 'fleet/motd');
  await moment();
  expect(list.size).toBe(1_001);
  expect(list.take(true)?.name).toBe('GuestVM fleet/vm-0');
  expect(list.take(false)).toMatchObject({ name: 'ContentItem fleet/motd', urgent: true });
  expect(list.take(false)?.name).toBe('GuestVM fleet/vm-1');
});

test('one of a fleet that is edited itself goes first too, and is not done twice', async () => {
  const list = createDueList();
  touchMany(list, 100);
  await moment();
  list.touch('GuestVM', 'fleet/vm-7');
  await moment();
  expect(list.size).toBe(100);
  expect(list.take(false)?.name).toBe('GuestVM fleet/vm-7');
  const others = Array.from({ length: 99 }, () => list.take(false)?.name);
  expect(new Set(others).size).toBe(99);
  expect(others).not.toContain('GuestVM fleet/vm-7');
  expect(list.take(false)).toBeUndefined();
});

test('an edit that a fleet is touched over stays an edit', async () => {
  const list = createDueList();
  list.touch('GuestVM', 'fleet/vm-50');
  await moment();
  touchMany(list, 100);
  await moment();
  expect(list.take(false)?.name).toBe('GuestVM fleet/vm-50');
});

test('what is in hand is given to no other hand, and comes again when it was touched meanwhile', async () => {
  const list = createDueList();
  list.touch('ContentItem', 'fleet/motd');
  await moment();
  const first = taken(list.take(false));
  list.touch('ContentItem', 'fleet/motd');
  await moment();
  expect(list.take(false)).toBeUndefined();
  const filled = list.filled();
  list.settle(first);
  await filled;
  expect(list.size).toBe(1);
  list.settle(taken(list.take(false)));
  expect(list.size).toBe(0);
});

test('what waits aside is due, and comes when it is recalled, touched, or its time has come', async () => {
  let now = 0;
  const list = createDueList(() => now);
  for (const key of ['fleet/a', 'fleet/b', 'fleet/c']) list.touch('GuestVM', key);
  await moment();
  list.setAside(taken(list.take(false)), 100);
  list.setAside(taken(list.take(false)), 200);
  list.setAside(taken(list.take(false)), 300);
  expect([list.size, list.aside, list.take(false)]).toEqual([3, 3, undefined]);
  now = 100;
  list.recall(false);
  expect(list.take(false)?.name).toBe('GuestVM fleet/a');
  list.touch('GuestVM', 'fleet/c');
  await moment();
  expect(list.take(false)?.name).toBe('GuestVM fleet/c');
  list.recall(true);
  expect(list.take(false)?.name).toBe('GuestVM fleet/b');
  expect(list.aside).toBe(0);
});

test('whoever waits for work is let go when the list is closed', async () => {
  const list = createDueList();
  const [one, other] = [list.filled(), list.filled()];
  list.close();
  await Promise.all([one, other, list.filled()]);
  expect(list.take(false)).toBeUndefined();
});
