import type { Finding } from '../../src/api/findings.ts';
import { parseManifests } from '../../src/api/manifests.ts';
import type { Resource } from '../../src/api/resources.generated.ts';
import { createValidate } from '../../src/api/validate.ts';

const validate = createValidate();

/** All that is said of a file's text: its valid objects, and what is wrong or doubtful. */
export function judge(text: string, file = 'test.yaml') {
  const parsed = parseManifests(text, file);
  const verdicts = parsed.documents.map(validate);
  const faults: readonly Finding[] = [
    ...parsed.faults,
    ...verdicts.flatMap((verdict) => (verdict.outcome === 'refused' ? verdict.faults : [])),
  ];
  const warnings = verdicts.flatMap((verdict) => (verdict.outcome === 'foreign' ? [] : verdict.warnings));
  const resources: readonly Resource[] = verdicts.flatMap((verdict) =>
    verdict.outcome === 'accepted' ? [verdict.resource] : [],
  );
  return { faults, warnings, resources, verdicts };
}
