import { defineConfig } from 'vitest/config';

// unit: no disk, no sockets, no clock. integration: one room on real folders, sockets or a real API server.
// e2e: the built program. Each file runs in a process of its own.
export default defineConfig({
  test: {
    pool: 'forks',
    // Most of a test's time is waiting for other programs: more of them than cores.
    maxWorkers: 3,
    projects: [
      { extends: true, test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 30_000 } },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          globalSetup: ['test/support/kubernetes/global-setup.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: ['test/support/build.ts', 'test/support/kubernetes/global-setup.ts'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
    coverage: {
      provider: 'v8',
      include: ['src/core/**', 'src/rules/**', 'src/wire/**'],
      reporter: ['text'],
      thresholds: { branches: 95 },
    },
  },
});
