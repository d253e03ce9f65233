import { expect, test } from 'vitest'
import type { Around } from '../../src/join/cost.ts'
import { firstProbes, type GraphSteps, type RefineTask, refine } from '../../src/join/refine.ts'
import { Samples } from '../../src/join/sample.ts'

const task: RefineTask = {
  shape: { queries: 1e6, items: 1e6, dim: 64, self: true },
  k: 10,
  recall: 0.95,
  numLists: 4032,
  width: 16,
  level: 'avx512',
}
const probed = new Map([
  [1, 0.2],
  [2, 0.32],
  [4, 0.46],
  [8, 0.61],
  [16, 0.74],
  [32, 0.85],
])

/** A graph whose rounds leave a part of what is missing, and what was done to it. */
function fake(left: (nprobe: number, round: number, around: Around) => number, flattery = 0) {
  const done: string[] = []
  const asked: Uint32Array[] = []
  let [recall, nprobe, rounds] = [0, 0, 0]
  const after = (around: Around, round: number) => 1 - (1 - recall) * left(nprobe, round, around)
  const answer = (sample: Uint32Array, value: number): Float32Array => {
    if (!asked.includes(sample)) asked.push(sample)
    const flattered = Math.min(1, asked.indexOf(sample) === 0 ? value + flattery : value)
    return Float32Array.from(sample, (_, i) => flattered + (i % 2 ? 0.01 : -0.01))
  }
  const graph: GraphSteps = {
    async probe(from, to) {
      done.push(`probe ${from}-${to}`)
      nprobe = to
      recall = Math.max(recall, probed.get(to) ?? 0.9)
    },
    async round(around, number) {
      done.push(`round ${number}: ${around.forward}+${around.reverse}`)
      recall = after(around, number)
      rounds++
    },
    recall: async (sample) => answer(sample, recall),
    preview: async (sample, around, number) => answer(sample, after(around, number)),
  }
  return { graph, done, asked, rounds: () => rounds }
}
const samples = () => new Samples(1e6, 3, 1000)

test('one round where one is enough, validated on rows of its own', async () => {
  const { graph, done, asked } = fake((_, __, { reverse }) => (reverse > 20 ? 0.1 : 0.3))
  const refined = await refine(task, probed, graph, samples())
  expect(done).toEqual([expect.stringMatching(/^probe 0-(8|16|32)$/), 'round 0: 16+31'])
  expect(refined.recall!.estimate).toBeGreaterThanOrEqual(0.95)
  expect(refined.rounds).toEqual([{ forward: 16, reverse: 31 }])
  expect(asked).toHaveLength(2)
  expect([...asked[0]!].filter((row) => asked[1]!.includes(row))).toEqual([])
  expect(refined.steps.at(-1)!.sample).toBe('validate')
})

test('few rows meet where that is enough', async () => {
  const { graph, done } = fake(() => 0.1)
  await refine(task, probed, graph, samples())
  expect(done.at(-1)).toBe('round 0: 8+8')
})

test('a round of a middling size where few rows are not enough and all are more than that', async () => {
  const { graph, done } = fake((_, __, { forward }) => (forward < 12 ? 0.5 : 0.1))
  const refined = await refine(task, probed, graph, samples())
  expect(done.at(-1)).toBe('round 0: 12+12')
  expect(refined.recall!.estimate).toBeGreaterThanOrEqual(0.95)
})

test('what is a little over the target is validated before giving up', async () => {
  // One round leaves .0498, closer to the target than 1.6 standard errors of .0003; nothing else helps.
  const { graph, rounds } = fake((_, round) => (round === 0 ? 0.0498 / (1 - 0.74) : 1))
  const refined = await refine(task, new Map([[16, 0.74]]), graph, samples())
  expect(rounds()).toBeGreaterThan(1)
  expect(refined.steps.at(-1)!.sample).toBe('validate')
  expect(refined.recall!.estimate).toBeGreaterThanOrEqual(0.95)
})

test('rounds go on while they find something', async () => {
  const { graph, done } = fake(() => 0.6)
  const refined = await refine(task, probed, graph, samples())
  expect(refined.recall!.estimate).toBeGreaterThanOrEqual(0.95)
  expect(done.length).toBeGreaterThan(3)
})

test('a graph that is stuck is probed further, and the plan says when', async () => {
  const { graph, done } = fake((nprobe) => (nprobe < 33 ? 0.9 : 0.2))
  const refined = await refine(task, probed, graph, samples())
  const first = refined.nprobe
  expect(done.slice(0, 2)).toEqual([`probe 0-${first}`, `probe ${first}-${4 * first}`])
  expect(refined.rounds[0]).toMatchObject({ nprobe: 4 * first })
  expect(refined.recall!.estimate).toBeGreaterThanOrEqual(0.95)
})

test('gives up where rounds find nothing, with a reason', async () => {
  const { graph, rounds } = fake(() => 0.99)
  const refined = await refine({ ...task, recall: 0.99 }, probed, graph, samples())
  expect(refined.recall).toBeUndefined()
  expect(refined.reason).toContain('neighbors of neighbors')
  expect(rounds()).toBeLessThan(10)
})

test('a sample that flatters is found out', async () => {
  const { graph, asked } = fake(() => 0.5, 0.03)
  const refined = await refine(task, probed, graph, samples())
  expect(asked.length).toBeGreaterThan(2)
  expect(refined.recall!.estimate).toBeGreaterThanOrEqual(0.95)
})

test('the first probes find half, and more of them for a higher recall', () => {
  expect(probed.get(firstProbes(task, probed))).toBeGreaterThan(0.5)
  expect(firstProbes({ ...task, recall: 0.99 }, probed)).toBeGreaterThan(firstProbes({ ...task, recall: 0.8 }, probed))
  // Where nothing measured finds half: the most that was.
  expect(
    firstProbes(
      task,
      new Map([
        [4, 0.1],
        [8, 0.2],
      ]),
    ),
  ).toBe(8)
})

test('the reserve is that of the recalls which a round leaves', async () => {
  const { graph, done } = fake(() => 0.2)
  let made = false
  const around = (value: number, spread: number) => (sample: Uint32Array) =>
    Float32Array.from(sample, (_, i) => value + (i % 2 ? spread : -spread))
  const steps: GraphSteps = {
    ...graph,
    async round(next, number) {
      await graph.round(next, number)
      made = true
    },
    // Half of the rows lack much before the round, hardly any after it: .85 +- .008, then .951 without a doubt.
    recall: async (sample) => (made ? around(0.953, 0.01) : around(0.85, 0.15))(sample),
    preview: async (sample, { forward }) => around(forward < 10 ? 0.93 : 0.951, 0.01)(sample),
  }
  const refined = await refine(task, probed, steps, samples())
  expect(done.slice(1)).toEqual(['round 0: 10+10'])
  expect(refined.recall!.estimate).toBeCloseTo(0.953)
})
