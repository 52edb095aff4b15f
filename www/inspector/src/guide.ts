/** The guided run: five steps on the page's own store, each with what it should show and what it did. */

import { signal } from '@preact/signals'
import { put } from 'palimpsest-kv'
import { count, counted, size } from './format.js'
import { look, status, uses } from './live.js'
import { encoded, releases, writeRelease } from './releases.js'
import { type Db, deleteOwn, session } from './session.js'

/** How often all is written anew: so seldom that less than 1 MiB becomes free, which would make the store shorter by itself. */
const ROUNDS = 3
/** Values that one transaction writes anew. */
const AT_ONCE = 300
/** Values that the fourth step writes: fewer than the freed pages have room for. */
const AGAIN = 1200
/** A pause between two transactions, so that the map is seen filling, in milliseconds. */
const PAUSE = 30

/** A step of the guided run. */
export interface Step {
  readonly name: string
  /** What is going to happen. */
  readonly before: string
  /** Does it; answers what happened, by the store's own numbers. */
  run(): Promise<string>
}

/** What each step that was run has answered. */
export const results = signal<readonly string[]>([])
/** The step that runs now. */
export const running = signal<number | undefined>(undefined)

const pause = () => new Promise(resolve => setTimeout(resolve, PAUSE))

function store(): Db {
  const current = session.value
  if (current === undefined) throw new Error('No store is open.')
  return current.db
}

async function now() {
  await look()
  const seen = status.value
  if (seen === undefined) throw new Error('No store is open.')
  return seen
}

/** The newest entries of all releases together. */
async function entries(): Promise<[string, unknown][]> {
  const all = await releases()
  return Object.entries(Object.assign({}, ...all.map(release => release.put)))
}

async function rewrite(total: number): Promise<void> {
  const all = await entries()
  for (let done = 0; done < total; done += AT_ONCE) {
    const part = Array.from(
      { length: Math.min(AT_ONCE, total - done) },
      (_, at) => all[(done + at) % all.length],
    )
    const puts = part.flatMap(entry => (entry === undefined ? [] : [put(entry[0], encoded(entry[1]))]))
    await store()
      .txn()
      .then(...puts)
      .commit()
    await Promise.all([look(), pause()])
  }
}

async function write(): Promise<string> {
  await deleteOwn()
  const all = await releases()
  let changes = 0
  for (const release of all) {
    changes += await writeRelease(store(), release)
    await Promise.all([look(), pause()])
  }
  await store().checkpoint()
  const seen = await now()
  return `${count(changes)} changes in ${all.length} releases made ${all.length} revisions. They fill ${counted(uses.value.get('leaf') ?? 0, 'leaf page')}; the file has ${size(seen.fileBytes)}.`
}

async function overwrite(): Promise<string> {
  const before = await now()
  await rewrite(ROUNDS * (await entries()).length)
  await store().checkpoint()
  const after = await now()
  return `${count(after.records - before.records)} values were written over older ones, and the older ones are all still there: ${count(after.deadRecords)} dead records. The file grew from ${size(before.fileBytes)} to ${size(after.fileBytes)}.`
}

async function compact(): Promise<string> {
  const before = await now()
  const job = await store().compact(store().revision)
  await job.done
  await store().checkpoint()
  const after = await now()
  const length =
    after.fileBytes === before.fileBytes
      ? `The file still has ${size(after.fileBytes)}`
      : `The file has ${size(after.fileBytes)}`
  return `${count(before.records - after.records)} dead records are gone, and ${count(after.freePages)} pages are free (before, ${count(before.freePages)}). ${length}: compaction frees pages, it does not cut the file.`
}

async function writeAgain(): Promise<string> {
  const before = await now()
  await rewrite(AGAIN)
  await store().checkpoint()
  const after = await now()
  const length =
    after.fileBytes === before.fileBytes
      ? `did not grow: it still has ${size(after.fileBytes)}`
      : `grew to ${size(after.fileBytes)}`
  return `${count(AGAIN)} values went to freed pages: ${count(before.freePages - after.freePages)} fewer are free. The file ${length}.`
}

async function shrink(): Promise<string> {
  const before = await now()
  await store().shrink()
  while ((await now()).isShrinking) await pause()
  const after = await now()
  return `What stood at the end moved to lower pages, and the file was cut from ${size(before.fileBytes)} to ${size(after.fileBytes)}. Nobody had to stop meanwhile.`
}

/** The steps, in their order. */
export const STEPS: readonly Step[] = [
  {
    name: 'Write',
    before:
      'Begin with an empty store and write 19 releases of a real database into it. Watch leaf pages fill.',
    run: write,
  },
  {
    name: 'Overwrite',
    before: 'Write every value anew, three times. No version is lost, so the file has to grow.',
    run: overwrite,
  },
  {
    name: 'Compact',
    before: 'Say that the past is no longer needed. Pages become free, but the file keeps its size.',
    run: compact,
  },
  {
    name: 'Write again',
    before: 'Write more. The free pages are used first; the file does not grow.',
    run: writeAgain,
  },
  {
    name: 'Shrink',
    before: 'Give the free pages back: the end of the file empties, and then the file is cut.',
    run: shrink,
  },
]

/** Runs a step, and remembers what happened. What went wrong is the caller's to show. */
export async function runStep(at: number): Promise<void> {
  const step = STEPS[at]
  if (step === undefined || running.value !== undefined) return
  running.value = at
  try {
    const said = await step.run()
    results.value = [...results.value.slice(0, at), said]
  } finally {
    running.value = undefined
  }
}

/** Begins anew. */
export function restart(): void {
  results.value = []
}
