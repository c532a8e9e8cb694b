import { expect, test } from 'vitest';
import { badFiles, corpusFiles } from '../../support/corpus.ts';
import { judge } from '../../support/judge.ts';

test('the corpus is large enough to mean something', () => {
  expect(corpusFiles('good').length).toBeGreaterThanOrEqual(30);
  expect(badFiles().length).toBeGreaterThanOrEqual(80);
});

test.each(corpusFiles('good'))('$name is accepted', ({ name, text }) => {
  const { faults, resources } = judge(text, name);
  expect(faults).toEqual([]);
  expect(resources).toHaveLength(1);
});

test.each(badFiles())('$name is refused for "$field"', ({ name, text, field, reason }) => {
  const { faults } = judge(text, name);
  expect(faults).toContainEqual(
    expect.objectContaining({ file: name, field, reason: expect.stringContaining(reason) }),
  );
  // Whoever reads it must find the place, and a way out.
  for (const fault of faults) {
    expect(fault.line).toBeGreaterThan(2);
    expect(fault.line).toBeLessThanOrEqual(text.split('\n').length);
    expect(fault.wayOut).not.toBe('');
  }
});
