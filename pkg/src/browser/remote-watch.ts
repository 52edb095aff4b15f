import type * as t from '../types.js'
import type { Channel } from './channel.js'

type Answer<V extends t.ValueCodec, K extends t.KeyCodec> = IteratorResult<t.WatchBatch<V, K>, undefined>

/** A call of `next` that has not been answered. */
interface Asking<V extends t.ValueCodec, K extends t.KeyCodec> {
  readonly resolve: (answer: Answer<V, K>) => void
  readonly reject: (error: unknown) => void
}

/** What a watch in a worker begins with. */
export interface RemoteWatchPlan {
  readonly channel: Channel
  readonly keys: t.Key | t.KeySelection
  readonly options: t.WatchOptions
}

const DONE = { done: true, value: undefined } as const

/**
 * A watch in a store whose engine runs in a worker. Each batch is one message.
 *
 * Invariant: `#on` is there exactly while the worker has a watch for it. Without it, nobody is asking, and `#failure` is what the next
 * call rejects with, once.
 */
export class RemoteWatch<V extends t.ValueCodec = t.ValueCodec, K extends t.KeyCodec = t.KeyCodec>
  implements Omit<t.Watch<V, K>, typeof Symbol.asyncDispose>
{
  readonly #channel: Channel
  readonly #signal: t.AbortSignalLike | undefined
  #on: number | undefined
  #told: number
  #isLooking = false
  #asking: Asking<V, K>[] = []
  #failure: { readonly error: unknown } | undefined

  constructor({ channel, keys, options: { signal, ...options } }: RemoteWatchPlan) {
    const { from = 0 } = options
    this.#channel = channel
    this.#signal = signal
    this.#told = from === 0 ? channel.state.revision : from - 1
    if (signal?.aborted) {
      this.#failure = { error: signal.reason }
      return
    }
    this.#on = channel.make({ on: 0, method: 'watch', args: [keys, options] })
    signal?.addEventListener('abort', this.#abort)
  }

  /** What is known now. The worker is asked, so that a later look knows more. */
  get revision(): number {
    this.#look()
    return this.#told
  }

  next(): Promise<Answer<V, K>> {
    const failure = this.#failure
    this.#failure = undefined
    if (failure !== undefined) return Promise.reject(failure.error)
    const on = this.#on
    if (on === undefined) return Promise.resolve(DONE)
    return new Promise((resolve, reject) => {
      const asking = { resolve, reject }
      this.#asking.push(asking)
      this.#channel.call<Answer<V, K>>({ on, method: 'next', args: [] }).then(
        answer => this.#answer(asking, answer),
        error => this.#fail(error),
      )
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

  #answer(asking: Asking<V, K>, answer: Answer<V, K>): void {
    const at = this.#asking.indexOf(asking)
    if (at < 0) return
    this.#asking.splice(at, 1)
    if (answer.done !== true) this.#told = Math.max(this.#told, answer.value.revision)
    asking.resolve(answer)
  }

  readonly #abort = (): void => this.#fail(this.#signal?.reason)

  /** Ends it: the call that waits, or else the next one, is rejected. */
  #fail(error: unknown): void {
    if (this.#on === undefined) return
    const [first, ...others] = this.#end()
    if (first === undefined) this.#failure = { error }
    else first.reject(error)
    for (const { resolve } of others) resolve(DONE)
  }

  /** Ends it in the worker. Answers those who wait. */
  #end(): Asking<V, K>[] {
    const [on, asking] = [this.#on, this.#asking]
    this.#on = undefined
    this.#asking = []
    this.#signal?.removeEventListener('abort', this.#abort)
    if (on !== undefined) this.#channel.drop(on)
    return asking
  }

  #look(): void {
    if (this.#on === undefined || this.#isLooking) return
    this.#isLooking = true
    const looked = (told: number) => {
      this.#isLooking = false
      this.#told = Math.max(this.#told, told)
    }
    // A watch that has failed says so to whoever asks for a batch.
    this.#channel.call<number>({ on: this.#on, method: 'revision', args: [] }).then(looked, () => looked(0))
  }
}

if (typeof Symbol.asyncDispose === 'symbol') {
  Object.defineProperty(RemoteWatch.prototype, Symbol.asyncDispose, {
    value: async function asyncDispose(this: RemoteWatch): Promise<void> {
      await this.return()
    },
  })
}
