/** The load generator: puts at a rate, over some keys, until it is stopped. */
import { signal } from '@preact/signals'
import { bytesOf } from './bytes.js'
import { type Db, fail, session } from './session.js'

/** What is written. */
export interface Plan {
  /** Puts a second; `Infinity` for as many as go. */
  readonly rate: number
  readonly keys: number
  readonly valueBytes: number
  /** Revisions after which it stops by itself; `undefined` for never. */
  readonly total: number | undefined
}

/** Puts that are on their way at once when there is no rate. */
const WAVE = 400
const TICK = 50

export const isLoading = signal(false)
/** Puts since it was started. */
export const written = signal(0)
/** Puts a second, of late. */
export const rate = signal(0)

let generation = 0

function puts(db: Db, plan: Plan, number: number): Promise<unknown> {
  const all: Promise<unknown>[] = []
  for (let at = 0; at < number; at += 1) {
    const serial = written.peek() + at
    const key = `load/${String(serial % plan.keys).padStart(8, '0')}`
    const value = bytesOf(`${serial} `.padEnd(plan.valueBytes, '·').slice(0, plan.valueBytes))
    all.push(db.put(key, value.subarray(0, plan.valueBytes), { durability: 'relaxed' }))
  }
  return Promise.all(all)
}

async function run(db: Db, plan: Plan, own: number): Promise<void> {
  const began = performance.now()
  let told = began
  let toldCount = 0
  while (own === generation && session.peek()?.db === db) {
    const left = (plan.total ?? Number.POSITIVE_INFINITY) - written.peek()
    const due = Math.min(WAVE, ((performance.now() - began) / 1000) * plan.rate - written.peek(), left)
    if (left <= 0) break
    const number = Math.floor(due)
    if (number > 0) {
      await puts(db, plan, number)
      written.value += number
    }
    const now = performance.now()
    if (now - told > 500) {
      rate.value = ((written.peek() - toldCount) / (now - told)) * 1000
      told = now
      toldCount = written.peek()
    }
    if (plan.rate !== Number.POSITIVE_INFINITY) await new Promise(resolve => setTimeout(resolve, TICK))
  }
}

/** Begins to write; what was begun before ends. */
export async function startLoad(plan: Plan): Promise<void> {
  const db = session.peek()?.db
  if (db === undefined) return
  generation += 1
  const own = generation
  isLoading.value = true
  written.value = 0
  rate.value = 0
  try {
    await run(db, plan, own)
  } catch (error) {
    fail(error)
  } finally {
    if (own === generation) isLoading.value = false
  }
}

/** Stops writing. */
export function stopLoad(): void {
  generation += 1
  isLoading.value = false
}
