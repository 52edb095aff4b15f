import type * as t from '../types.js'
import type { Channel } from './channel.js'
import { STORE_ID } from './protocol.js'

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
  /** The first revision that was not handed out whole, and how many events of it were. */
  #from: number
  #partial = 0
  /** How many events another leader tells of once more. */
  #skipped = 0
  #isLooking = false
  #asking: Asking<V, K>[] = []
  #failure: { readonly error: unknown } | undefined

  constructor({ channel, keys, options: { signal, ...options } }: RemoteWatchPlan) {
    const { from = 0 } = options
    this.#channel = channel
    this.#signal = signal
    this.#told = from === 0 ? channel.state.revision : from - 1
    this.#from = this.#told + 1
    if (signal?.aborted) {
      this.#failure = { error: signal.reason }
      return
    }
    const call = { on: STORE_ID, method: 'watch' }
    // As they are now: they may cross again.
    const args = structuredClone([keys, options] as const)
    this.#on = channel.make({ ...call, args }, () => {
      // What is undone by a crash happens anew; what was asked for is still to come.
      const start = Math.max(Math.min(this.#from, channel.base + 1), from)
      if (start !== this.#from) this.#partial = 0
      this.#skipped = this.#partial
      this.#from = start
      return { ...call, args: [args[0], { ...args[1], from: this.#from }] }
    })
    // Where it begins, the engine knows.
    if (from === 0) this.#look(told => (this.#from = Math.max(this.#from, told + 1)))
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
    if (this.#on === undefined) return Promise.resolve(DONE)
    return new Promise((resolve, reject) => {
      const asking = { resolve, reject }
      this.#asking.push(asking)
      this.#ask(asking)
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

  #ask(asking: Asking<V, K>): void {
    if (this.#on === undefined) return
    this.#channel.call<Answer<V, K>>({ on: this.#on, method: 'next', args: [] }).then(
      answer => this.#answer(asking, answer),
      error => this.#fail(error),
    )
  }

  /** What of a batch was not handed out before; `undefined` if that is nothing of a fragment. */
  #fresh({ events, revision, isFragment }: t.WatchBatch<V, K>): Answer<V, K> | undefined {
    const fresh = events.slice(this.#skipped)
    this.#skipped -= events.length - fresh.length
    if (isFragment && fresh.length === 0) return undefined
    this.#told = Math.max(this.#told, revision)
    const isSame = this.#from === revision + 1
    this.#from = Math.max(this.#from, revision + 1)
    const torn = isFragment ? fresh.filter(event => event.modRevision > revision).length : 0
    this.#partial = (isSame && isFragment ? this.#partial : 0) + torn
    return { done: false, value: { events: fresh, revision, isFragment } }
  }

  #answer(asking: Asking<V, K>, answer: Answer<V, K>): void {
    const at = this.#asking.indexOf(asking)
    if (at < 0) return
    const fresh = answer.done === true ? answer : this.#fresh(answer.value)
    if (fresh === undefined) {
      this.#ask(asking)
      return
    }
    this.#asking.splice(at, 1)
    asking.resolve(fresh)
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

  #look(heard: (told: number) => void = () => {}): void {
    if (this.#on === undefined || this.#isLooking) return
    this.#isLooking = true
    const looked = (told: number) => {
      this.#isLooking = false
      this.#told = Math.max(this.#told, told)
      heard(told)
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
