import { defineConfig } from 'vitest/config'

export default defineConfig({
  // Node 20 does not parse `await using`; the tests run what tsc would emit.
  oxc: { target: 'es2022' },
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    // Tests join real tables; more workers than this only fight the addon's own threads.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
})
