/** What the store is like now: asked for many times a second while something happens, and seldom else. */
import { batch, computed, effect, signal } from '@preact/signals'
import type { PageMap, PageUse, PalimpsestError, Status } from 'palimpsest-kv'
import { type Db, fail, session } from './session.js'

/** Between two looks while something happens, in milliseconds. */
const LIVELY = 80
/** The same for a map of many pages, which takes longer to fetch and to draw. */
const LIVELY_LARGE = 240
const LARGE_PAGES = 5000
/** The same when nothing has changed since the last look. */
const IDLE = 500
/** Samples that the curves show: about a minute of a busy store. */
const SAMPLES = 600

/** A look at the store, for the curves. */
export interface Sample {
  /** When, in seconds since 1970. */
  readonly time: number
  readonly fileBytes: number
  readonly usedBytes: number
  readonly records: number
  readonly deadRecords: number
  readonly longestStepMs: number
  /** How long the store took to answer this look, its way through the worker included. */
  readonly answerMs: number
}

export const status = signal<Status | undefined>(undefined)
export const pages = signal<PageMap | undefined>(undefined)
export const samples = signal<readonly Sample[]>([])
/** The newest revision. */
export const newest = computed(() => status.value?.revision ?? 1)
/** The oldest revision that can be read, but for pinned ones. */
export const oldest = computed(() => status.value?.compacted ?? 1)

/** How many pages there are of each use. */
export const uses = computed<ReadonlyMap<PageUse, number>>(() => {
  const map = pages.value
  if (map === undefined) return new Map()
  const counts = new Uint32Array(map.names.length)
  for (const kind of map.kinds) counts[kind] = (counts[kind] ?? 0) + 1
  return new Map(map.names.map((name, at) => [name, counts[at] ?? 0]))
})

let timer: ReturnType<typeof setTimeout> | undefined
let running: Promise<void> | undefined

function isSame(a: Status | undefined, b: Status): boolean {
  return (
    a !== undefined &&
    a.revision === b.revision &&
    a.records === b.records &&
    a.fileBytes === b.fileBytes &&
    a.usedBytes === b.usedBytes &&
    a.freePages === b.freePages &&
    a.pendingPages === b.pendingPages &&
    a.holders.length === b.holders.length
  )
}

async function looked(db: Db): Promise<boolean> {
  const began = performance.now()
  const [seen, map] = await Promise.all([db.status(), db.pages()])
  const answerMs = performance.now() - began
  const isQuiet = isSame(status.peek(), seen)
  const { fileBytes, usedBytes, records, deadRecords, longestStepMs } = seen
  const sample = {
    time: Date.now() / 1000,
    fileBytes,
    usedBytes,
    records,
    deadRecords,
    longestStepMs,
    answerMs,
  }
  batch(() => {
    if (session.peek()?.db !== db) return
    samples.value = [...samples.peek().slice(1 - SAMPLES), sample]
    status.value = seen
    pages.value = map
  })
  return isQuiet
}

function lively(): number {
  return (pages.peek()?.kinds.length ?? 0) > LARGE_PAGES ? LIVELY_LARGE : LIVELY
}

async function lookOnce(): Promise<void> {
  const db = session.peek()?.db
  if (db === undefined) return
  let isQuiet = true
  try {
    isQuiet = await looked(db)
  } catch (error) {
    if ((error as PalimpsestError).code !== 'CLOSED') fail(error)
  }
  if (session.peek()?.db === db) timer = setTimeout(look, isQuiet || document.hidden ? IDLE : lively())
}

/** Looks now; answers when what was seen is shown. A look that is under way may have begun too early for what was just done. */
export async function look(): Promise<void> {
  while (running !== undefined) await running
  clearTimeout(timer)
  running = lookOnce()
  await running
  running = undefined
}

effect(() => {
  clearTimeout(timer)
  batch(() => {
    status.value = undefined
    pages.value = undefined
    samples.value = []
  })
  if (session.value !== undefined) void look()
})
