import type { AbortSignalLike, Page, Range } from '../types.js'
import type { Call, Channel } from './channel.js'
import type { Batch } from './protocol.js'
import { signalled } from './signalled.js'

/** Items in one message at most. */
const BATCH = 256

/** What is iterated in the worker. */
export interface ItemsPlan {
  readonly channel: Channel
  /** The call whose answer is iterated. */
  readonly call: Call
  /** Throws if what is read is closed. */
  readonly assertOpen: () => void
  readonly signal: AbortSignalLike | undefined
}

const DONE = { done: true, value: undefined } as const

/**
 * Items that come in batches. While one batch is handed out, the next is on its way.
 *
 * Invariant: `#on` is there from the first batch that was asked for to the end; then the worker is told that it is over.
 */
export class RemoteItems<T> implements AsyncIterableIterator<T> {
  readonly #plan: ItemsPlan
  #on: number | undefined
  #ended = false
  #items: readonly T[] = []
  #at = 0
  #coming: Promise<Batch> | undefined
  /** Calls of `next` are answered in their order. */
  #tail: Promise<unknown> = Promise.resolve()

  constructor(plan: ItemsPlan) {
    this.#plan = plan
  }

  next(): Promise<IteratorResult<T>> {
    const answer = this.#tail.then(() => this.#next())
    this.#tail = answer.catch(() => {})
    return answer
  }

  /** What else the worker knows of what is iterated, once some of it is read. */
  about<A>(method: string): Promise<A> {
    return this.#plan.channel.call<A>({ on: this.begin(), method, args: [] })
  }

  /** Has the worker begin, if it has not. Answers its number for what is iterated. */
  begin(): number {
    const { channel, call } = this.#plan
    const iterate = { ...call, method: `iterate ${call.method}` }
    // Another leader begins anew, unless some of it is read: then nobody knows where to go on.
    this.#on ??= channel.make(iterate, () => (this.#coming === undefined ? iterate : undefined))
    return this.#on
  }

  async return(): Promise<IteratorResult<T>> {
    this.#end()
    return DONE
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async #next(): Promise<IteratorResult<T>> {
    if (this.#ended) return DONE
    const { signal, assertOpen } = this.#plan
    try {
      if (signal?.aborted) throw signal.reason
      assertOpen()
      if (this.#at === this.#items.length) await signalled(signal, () => this.#receive())
    } catch (error) {
      this.#end()
      throw error
    }
    if (this.#ended) return DONE
    const value = this.#items[this.#at]
    this.#at += 1
    if (value !== undefined) return { done: false, value }
    this.#end()
    return DONE
  }

  /** Takes the next batch, which is empty at the end, and asks for the one after it. */
  async #receive(): Promise<void> {
    const { items, done } = await (this.#coming ?? this.#ask())
    // It may have ended meanwhile: then nothing is asked for, nor kept there, any more.
    if (this.#ended) return
    this.#items = items as readonly T[]
    this.#at = 0
    this.#coming = done ? Promise.resolve({ items: [], done }) : this.#ask()
    // Whoever asks for it is told of its failure.
    this.#coming.catch(() => {})
  }

  #ask(): Promise<Batch> {
    return this.#plan.channel.call<Batch>({ on: this.begin(), method: 'batch', args: [BATCH] })
  }

  #end(): void {
    this.#ended = true
    this.#items = []
    this.#at = 0
    if (this.#on !== undefined) this.#plan.channel.drop(this.#on)
    this.#on = undefined
  }
}

/** What a method of a store in a worker iterates. */
export class RemoteRange<T> implements Range<T> {
  readonly #plan: ItemsPlan

  constructor(plan: ItemsPlan) {
    this.#plan = plan
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return new RemoteItems<T>(this.#plan)
  }

  async collect(): Promise<Page<T>> {
    const { channel, call, assertOpen, signal } = this.#plan
    assertOpen()
    return signalled(signal, () => channel.call<Page<T>>({ ...call, method: `collect ${call.method}` }))
  }
}
