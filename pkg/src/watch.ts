import type { RawWatched } from './engine.js'
import { Block } from './entries.js'
import type { PalimpsestError } from './errors.js'
import { type Codecs, codecsOf } from './options.js'
import type * as t from './types.js'
import type { Watches } from './watches.js'

type Answer<V extends t.ValueCodec, K extends t.KeyCodec> = IteratorResult<t.WatchBatch<V, K>, undefined>

/** A call of `next` that has not been answered. */
interface Asking<V extends t.ValueCodec, K extends t.KeyCodec> {
  readonly resolve: (answer: Answer<V, K>) => void
  readonly reject: (error: unknown) => void
}

/** What a watch is asked to do. */
export interface WatchPlan<V extends t.ValueCodec, K extends t.KeyCodec> {
  /** The keys, packed. */
  readonly keys: Uint8Array
  readonly options: t.WatchOptions<V, K>
  /** The store's codecs. */
  readonly codecs: Codecs
  /** The store's newest revision. */
  readonly revision: number
}

const DONE = { done: true, value: undefined } as const

/**
 * A watch in a store whose engine runs in this thread.
 *
 * Invariant: `#id` is there exactly while the engine has a watcher for it. Without it, nobody is asking, and `#failure` is what the next
 * call rejects with, once. The first of those who ask are to get what is `#settling`, each when it is durable; `#told` counts what was
 * handed out.
 */
export class EngineWatch<V extends t.ValueCodec = t.ValueCodec, K extends t.KeyCodec = t.KeyCodec>
  implements Omit<t.Watch<V, K>, typeof Symbol.asyncDispose>
{
  readonly #watches: Watches
  readonly #codecs: Codecs<V, K>
  readonly #signal: t.AbortSignalLike | undefined
  /** Whether background work follows from what it is told: the time of a progress notice begins, or compaction may go on. */
  readonly #hasFollowers: boolean
  #id: number | undefined
  #told: number
  #asking: Asking<V, K>[] = []
  #settling: t.WatchBatch<V, K>[] = []
  #failure: { readonly error: unknown } | undefined

  constructor(watches: Watches, { keys, options, codecs, revision }: WatchPlan<V, K>) {
    const { from = 0, previous, puts, deletes, progress, fragmentBytes, hold, signal } = options
    this.#watches = watches
    this.#codecs = codecsOf<V, K>(options, codecs)
    this.#signal = signal
    this.#hasFollowers = progress !== undefined || hold !== undefined
    this.#told = from === 0 ? revision : from - 1
    if (signal?.aborted) {
      this.#failure = { error: signal.reason }
      return
    }
    try {
      this.#id = watches.start(this as unknown as EngineWatch, keys, {
        from,
        previous,
        puts,
        deletes,
        progress,
        fragmentBytes,
        hold,
      })
    } catch (error) {
      // What is wrong with the call is said at once. How far the store is compacted the caller could not know.
      if ((error as PalimpsestError).code !== 'COMPACTED') throw error
      this.#failure = { error }
      return
    }
    signal?.addEventListener('abort', this.#abort)
  }

  get revision(): number {
    const isKnown = this.#id !== undefined && this.#settling.length === 0
    const told = isKnown ? this.#watches.progress(this.#id as number) : undefined
    if (told !== undefined && told > this.#told) this.#told = told
    return this.#told
  }

  next(): Promise<Answer<V, K>> {
    const failure = this.#failure
    this.#failure = undefined
    if (failure !== undefined) return Promise.reject(failure.error)
    if (this.#id === undefined) return Promise.resolve(DONE)
    return new Promise((resolve, reject) => {
      this.#asking.push({ resolve, reject })
      if (this.#isAlone) this.#watches.ask(this as unknown as EngineWatch)
    })
  }

  return(): Promise<Answer<V, K>> {
    this.#failure = undefined
    for (const { resolve } of this.#end()) resolve(DONE)
    return Promise.resolve(DONE)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** Ends it: the call that waits, or else the next one, is rejected. */
  fail(error: unknown): void {
    if (this.#id === undefined) return
    const [first, ...others] = this.#end()
    if (first === undefined) this.#failure = { error }
    else first.reject(error)
    for (const { resolve } of others) resolve(DONE)
  }

  /**
   * Asks the engine once. Answers `'again'` if it is to be asked once more, its number if it is to wait until there is something to tell,
   * and nothing if nobody waits for an answer any more.
   */
  serve(): 'again' | number | undefined {
    if (this.#id === undefined) return undefined
    try {
      const polled = this.#watches.poll(this.#id)
      if (polled.state === 'idle') return this.#id
      if (polled.state === 'batch') this.#answer(polled)
    } catch (error) {
      this.fail(error)
    }
    return this.#asking.length > this.#settling.length ? 'again' : undefined
  }

  /** Whether there is one who asks and has no batch yet. */
  get #isAlone(): boolean {
    return this.#asking.length === this.#settling.length + 1
  }

  #answer({ revision, isFragment, events: bytes }: Extract<RawWatched, { state: 'batch' }>): void {
    const block = new Block(bytes)
    const events: t.WatchEvent<V, K>[] = []
    while (block.hasNext) events.push(block.event(this.#codecs))
    if (this.#hasFollowers) this.#watches.wake()
    const batch = { events, revision, isFragment }
    const settled = this.#watches.settled()
    this.#settling.push(batch)
    if (settled === undefined) this.#handOut(batch)
    else
      settled.then(
        () => this.#handOut(batch),
        error => this.#settling.includes(batch) && this.fail(error),
      )
  }

  /** Hands out what is durable: a batch and those before it. There is none any more if the watch has ended meanwhile. */
  #handOut(last: t.WatchBatch<V, K>): void {
    for (const batch of this.#settling.splice(0, this.#settling.indexOf(last) + 1)) {
      if (batch.revision > this.#told) this.#told = batch.revision
      this.#asking.shift()?.resolve({ done: false, value: batch })
    }
  }

  readonly #abort = (): void => this.fail(this.#signal?.reason)

  /** Ends it in the engine. Answers those who wait. */
  #end(): Asking<V, K>[] {
    const [id, asking] = [this.#id, this.#asking]
    this.#id = undefined
    this.#asking = []
    this.#settling = []
    this.#signal?.removeEventListener('abort', this.#abort)
    if (id !== undefined) this.#watches.end(this as unknown as EngineWatch, id)
    return asking
  }
}

if (typeof Symbol.asyncDispose === 'symbol') {
  Object.defineProperty(EngineWatch.prototype, Symbol.asyncDispose, {
    value: async function asyncDispose(this: EngineWatch): Promise<void> {
      await this.return()
    },
  })
}
