// Measures the npm package in Node, and its peers beside it: node pkg/bench/node.mjs [--json] [--no-peers]
//
// Prints `name value` lines, or one JSON object with --json, and writes target/bench/npm.json. All times are microseconds an operation, of
// 100,000 keys of 16 bytes with values of 100 bytes in a fixed random order; each is the median of the rounds.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { root } from '../scripts/tools.mjs'
import { peers } from './peers.mjs'

const KEYS = 100_000
const ROUNDS = 5
/** Puts that are made durable one by one: each is a write to the disk. */
const DURABLE = 2_000
/** Writers at a time, each of which awaits its put before its next, and how many puts each makes. */
const WRITERS = 64
const PUTS = 200

const entry = join(root, 'pkg', 'dist', 'index.mjs')

/** Numbers in a fixed random order (xorshift32, Fisher and Yates). */
function shuffled(count) {
  const numbers = Array.from({ length: count }, (_, i) => i)
  let state = 0x9e3779b9
  for (let i = count - 1; i > 0; i -= 1) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    const j = (state >>> 0) % (i + 1)
    ;[numbers[i], numbers[j]] = [numbers[j], numbers[i]]
  }
  return numbers
}

export const workload = {
  keys: shuffled(KEYS).map(number => `key-${String(number).padStart(12, '0')}`),
  value: 'v'.repeat(100),
  durable: DURABLE,
}

/** Microseconds an operation. */
export async function timed(operations, work) {
  const began = performance.now()
  const seen = await work()
  const took = performance.now() - began
  if (seen !== operations) throw new Error(`${seen} of ${operations} operations were made`)
  return (took * 1000) / operations
}

async function reads(db, past) {
  const { keys } = workload
  const each = read =>
    timed(KEYS, () => keys.reduce((seen, key) => seen + (read(key) === undefined ? 0 : 1), 0))
  const figures = {
    get_sync_us: await each(key => db.getSync(key)),
    get_sync_past_us: await each(key => db.getSync(key, { revision: past })),
  }
  figures.get_us = await timed(KEYS, async () => {
    let seen = 0
    for (const key of keys) if ((await db.get(key)) !== undefined) seen += 1
    return seen
  })
  figures.range_us = await timed(KEYS, async () => {
    let seen = 0
    for await (const _ of db.range()) seen += 1
    return seen
  })
  figures.range_sync_us = await timed(KEYS, () => {
    let seen = 0
    for (const _ of db.rangeSync()) seen += 1
    return seen
  })
  return figures
}

async function puts(db, keys) {
  for (const key of keys) await db.put(key, workload.value)
  return keys.length
}

/** Many writers at a time. */
async function putsOfMany(db) {
  const writer = number => puts(db, workload.keys.slice(number * PUTS, (number + 1) * PUTS))
  const written = await Promise.all(Array.from({ length: WRITERS }, (_, number) => writer(number)))
  return written.reduce((sum, count) => sum + count, 0)
}

async function inMemory(open) {
  const { keys } = workload
  const db = await open({ storage: 'memory', durability: 'relaxed', compactionPause: 0 })
  const figures = { put_us: await timed(KEYS, () => puts(db, keys)) }
  const past = db.revision
  figures.put_again_us = await timed(KEYS, () => puts(db, keys))
  Object.assign(figures, await reads(db, past))
  figures.snapshot_us = await timed(KEYS, () => {
    for (let i = 0; i < KEYS; i += 1) db.snapshot().close()
    return KEYS
  })
  const job = await db.compact(db.revision)
  figures.compact_us = await timed(KEYS, async () => (await job.done).removed)
  figures.longest_step_ms = (await db.status()).longestStepMs
  await db.close()
  return figures
}

async function inFile(open) {
  const folder = mkdtempSync(join(tmpdir(), 'palimpsest-kv-bench-'))
  try {
    const file = join(folder, 'store.plm')
    const strict = await open({ storage: { file } })
    const figures = {
      put_durable_us: await timed(DURABLE, () => puts(strict, workload.keys.slice(0, DURABLE))),
      put_durable_64_us: await timed(WRITERS * PUTS, () => putsOfMany(strict)),
    }
    figures.put_durable_64_times_faster = figures.put_durable_us / figures.put_durable_64_us
    await strict.close()
    const db = await open({ storage: { file }, durability: 'relaxed' })
    figures.file_put_us = await timed(KEYS, () => puts(db, workload.keys))
    await db.close()
    const began = performance.now()
    const again = await open({ storage: { file } })
    figures.file_reopen_ms = performance.now() - began
    await again.close()
    return figures
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function median(values) {
  const sorted = [...values].sort((one, other) => one - other)
  return sorted[Math.floor(sorted.length / 2)]
}

/** The median of each figure over the rounds. */
export async function rounds(count, measure) {
  const all = []
  for (let round = 0; round < count; round += 1) all.push(await measure())
  return Object.fromEntries(
    Object.keys(all[0]).map(name => [name, median(all.map(figures => figures[name]))]),
  )
}

async function main(flags) {
  const { open } = await import(pathToFileURL(entry).href)
  const figures = await rounds(ROUNDS, async () => ({ ...(await inMemory(open)), ...(await inFile(open)) }))
  if (!flags.includes('--no-peers')) figures.peers = await peers({ workload, timed, rounds })
  const folder = join(root, 'target', 'bench')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'npm.json'), `${JSON.stringify(figures, undefined, 2)}\n`)
  if (flags.includes('--json')) process.stdout.write(`${JSON.stringify(figures)}\n`)
  else for (const [name, value] of flat(figures, '')) process.stdout.write(`${name} ${value.toFixed(3)}\n`)
}

function* flat(figures, prefix) {
  for (const [name, value] of Object.entries(figures)) {
    if (typeof value === 'number') yield [prefix + name, value]
    else yield* flat(value, `${prefix}${name}.`)
  }
}

await main(process.argv.slice(2))
