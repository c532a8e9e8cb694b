// Counts what vitest reported. Prints "N passed, N failed"; exits 1 unless something passed and nothing failed.
import { readFileSync } from 'node:fs';

let passed = 0;
let failed = 1;
try {
  const report = JSON.parse(readFileSync(process.argv[2], 'utf8'));
  passed = report.numPassedTests;
  // A file that could not be loaded has no tests to count.
  failed = report.numFailedTests || (report.success ? 0 : Math.max(1, report.numFailedTestSuites));
} catch (error) {
  console.error(`no test report: ${error.message}`);
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = passed > 0 && failed === 0 ? 0 : 1;
