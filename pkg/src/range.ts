import type { Background } from './background.js'
import type { Instance, RawBatches } from './engine.js'
import { Block } from './entries.js'
import type { AbortSignalLike, Page, Range } from './types.js'

/** Entries in one batch at most. */
const BATCH_ENTRIES = 256
/** The greatest limit that crosses into the engine. */
const MOST_ENTRIES = 0xffff_ffff
/** A batch takes no further entry once it has so many bytes. */
const BATCH_BYTES = 256 * 1024

/** How one range is read. */
export interface RangePlan<T> {
  readonly instance: Instance
  readonly background: Background
  /** Opens the cursor; throws if the store or snapshot is closed by then. */
  readonly open: (limit: number | undefined) => RawBatches
  /** Throws if the store or snapshot is closed. */
  readonly assertOpen: () => void
  /** Takes the next item out of a block. */
  readonly take: (block: Block) => T
  readonly limit: number | undefined
  /** Counts all selected keys, where that is wanted of what is collected. */
  readonly count: ((cursor: RawBatches) => number) | undefined
  readonly signal: AbortSignalLike | undefined
}

/** A range being read: one cursor, and the batch it has handed out last. The cursor is given back at the end. */
class Batches<T> {
  readonly #plan: RangePlan<T>
  readonly #limit: number | undefined
  #cursor: RawBatches | undefined
  #block: Block | undefined
  #ended = false

  constructor(plan: RangePlan<T>, limit: number | undefined) {
    this.#plan = plan
    this.#limit = limit
  }

  /** The next item; `undefined` at the end. Items themselves are never `undefined`. */
  next(): T | undefined {
    if (this.#ended) return undefined
    try {
      this.#plan.assertOpen()
      const block = this.#block?.hasNext ? this.#block : this.#fetch()
      if (block !== undefined) return this.#plan.take(block)
    } catch (thrown) {
      this.end()
      throw this.#plan.instance.error(thrown)
    }
    this.end()
    return undefined
  }

  /** How many keys are selected, at the moment that is read; `undefined` if that is not asked for. */
  count(): number | undefined {
    if (this.#plan.count === undefined) return undefined
    try {
      this.#plan.assertOpen()
      this.#cursor ??= this.#plan.open(this.#limit)
      return this.#plan.count(this.#cursor)
    } catch (thrown) {
      this.end()
      throw this.#plan.instance.error(thrown)
    }
  }

  end(): void {
    this.#ended = true
    this.#block = undefined
    const cursor = this.#cursor
    this.#cursor = undefined
    if (cursor === undefined || !this.#plan.instance.isSound) return
    cursor.free()
    // What its snapshot has held back can be used again.
    this.#plan.background.wake()
  }

  #fetch(): Block | undefined {
    this.#cursor ??= this.#plan.open(this.#limit)
    const bytes = this.#cursor.next(BATCH_ENTRIES, BATCH_BYTES)
    this.#block = bytes && new Block(bytes)
    return this.#block
  }
}

const DONE = { done: true, value: undefined } as const

class AsyncItems<T> implements AsyncIterableIterator<T> {
  readonly #plan: RangePlan<T>
  readonly #batches: Batches<T>
  /** A turn of the event loop that a call waits for: those after it do, too, so that all are answered in their order. */
  #breath: Promise<void> | undefined

  constructor(plan: RangePlan<T>) {
    this.#plan = plan
    this.#batches = new Batches(plan, plan.limit)
  }

  async next(): Promise<IteratorResult<T>> {
    this.#breath ??= this.#plan.background.breath()
    if (this.#breath !== undefined) await this.#breath
    this.#breath = undefined
    if (this.#plan.signal?.aborted) {
      this.#batches.end()
      throw this.#plan.signal.reason
    }
    const value = this.#batches.next()
    return value === undefined ? DONE : { done: false, value }
  }

  async return(): Promise<IteratorResult<T>> {
    this.#batches.end()
    return DONE
  }

  count(): number | undefined {
    return this.#batches.count()
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

/** Items for `for await`. */
export class LazyRange<T> implements Range<T> {
  readonly #plan: RangePlan<T>

  constructor(plan: RangePlan<T>) {
    this.#plan = plan
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return new AsyncItems(this.#plan)
  }

  async collect(): Promise<Page<T>> {
    const { limit } = this.#plan
    const entries: T[] = []
    // One entry beyond the limit tells whether there are more.
    const beyond = limit === undefined ? limit : Math.min(limit + 1, MOST_ENTRIES)
    const items = new AsyncItems({ ...this.#plan, limit: beyond })
    const count = items.count()
    const counted = count === undefined ? {} : { count }
    for await (const item of items) {
      if (entries.length === limit) return { entries, more: true, ...counted }
      entries.push(item)
    }
    return { entries, more: false, ...counted }
  }
}

/** Items, at once. */
export class SyncItems<T> implements IterableIterator<T> {
  readonly #batches: Batches<T>

  constructor(plan: RangePlan<T>) {
    this.#batches = new Batches(plan, plan.limit)
  }

  next(): IteratorResult<T> {
    const value = this.#batches.next()
    return value === undefined ? DONE : { done: false, value }
  }

  return(): IteratorResult<T> {
    this.#batches.end()
    return DONE
  }

  [Symbol.iterator](): this {
    return this
  }
}
