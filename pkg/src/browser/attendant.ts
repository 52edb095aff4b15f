import { closed, invalid, PalimpsestError } from '../errors.js'
import type { StorageInfo, WorkerLike } from '../types.js'
import { Channel } from './channel.js'
import { take } from './lock.js'
import { errorOf, type Message, type Opened, type Order, type TabName } from './protocol.js'
import type { Word } from './words.js'

/** A worker that has failed outside of any call. */
export function brokenDown(reason = 'it does not say why'): PalimpsestError {
  return new PalimpsestError('POISONED', `the engine's worker has failed: ${reason}`, { reason })
}

/** Gives a worker its order. */
export function posted(worker: WorkerLike, order: Order): void {
  try {
    worker.postMessage(order)
  } catch (error) {
    throw invalid(`an option can't be handed to the engine's worker: ${(error as Error).message}`)
  }
}

/** What a page has a store opened with. */
export interface AttendantPlan {
  readonly wasm: () => Promise<WebAssembly.Module>
  readonly start: () => Promise<WorkerLike>
  readonly order: Omit<Extract<Order, { type: 'open' }>, 'wasm' | 'type' | 'comes'>
  /** Hears of failures that no call answers with. */
  readonly onFailure: (error: PalimpsestError) => void
}

/** A store that a worker has opened. */
export interface Attended {
  readonly channel: Channel
  readonly storage: StorageInfo
}

/** A worker that can't be had, or is not this package's. */
export function unreachable(words: string): PalimpsestError {
  const hint =
    "a page's Content-Security-Policy must allow `worker-src blob:`, or the option worker must make one that imports palimpsest-kv/worker"
  return new PalimpsestError('UNSUPPORTED', `the engine's worker can't be started: ${words}; ${hint}`)
}

/**
 * Looks after the worker of a store, from when the page opens it: replaces it when other tabs say that it hangs, keeps the page awake
 * while it leads, gives the store back when the page is left.
 *
 * Invariant: what a worker says is heard exactly while it is `#worker`; after the end there is none.
 */
export class Attendant {
  readonly #plan: AttendantPlan
  #worker: WorkerLike | undefined
  #channel: Channel | undefined
  /** The name of the worker, while it is known and not being replaced. */
  #tab: TabName | undefined
  #line: BroadcastChannel | undefined
  #awake: Promise<(() => void) | undefined> | undefined
  #isOver = false
  /** Rejects when the page is left before the store is open. */
  #leaving: (error: PalimpsestError) => void = () => {}
  readonly #left: Promise<never>

  constructor(plan: AttendantPlan) {
    this.#plan = plan
    this.#left = new Promise((_resolve, reject) => {
      this.#leaving = reject
    })
    this.#left.catch(() => {})
  }

  /** Has a worker open the store. */
  async open(): Promise<Attended> {
    addEventListener('pagehide', this.#leave)
    try {
      const opened = await this.#begin('anew')
      const channel = new Channel(this.#worker as WorkerLike, opened, this.#plan.onFailure)
      this.#channel = channel
      this.#guard(opened)
      return { channel, storage: opened.storage }
    } catch (error) {
      this.release()
      throw error
    }
  }

  /** Ends the worker, and all that was begun with it. */
  release(): void {
    this.#worker?.terminate()
    this.#retreat()
  }

  /**
   * A page that the browser keeps, to show it again when one goes back, must not hold a store that another page wants; it finds its store
   * closed.
   */
  readonly #leave = (): void => {
    const error = closed('store, since its page was left,')
    this.#leaving(error)
    if (this.#channel === undefined) this.#worker?.terminate()
    this.#channel?.leave()
    this.#channel?.end(error)
    this.#retreat()
  }

  #retreat(): void {
    this.#isOver = true
    this.#worker = undefined
    this.#tab = undefined
    this.#line?.close()
    this.#sleep()
    removeEventListener('pagehide', this.#leave)
  }

  /** Starts a worker and has it open the store. */
  async #begin(comes: 'anew' | 'back'): Promise<Opened> {
    const worker = await this.#plan.start()
    if (this.#isOver) {
      worker.terminate()
      throw closed('store')
    }
    this.#worker = worker
    this.#channel?.attach(worker)
    const first = this.#firstWord(worker)
    try {
      // A worker that is refused says so before the wasm is there.
      const wasm = await Promise.race([this.#plan.wasm(), first.then(() => this.#plan.wasm()), this.#left])
      posted(worker, { type: 'open', wasm, comes, ...this.#plan.order })
      const opened = await Promise.race([first, this.#left])
      if (opened.type === 'refused') throw errorOf(opened.thrown)
      if (opened.type !== 'opened') throw unreachable('it does not speak this version of the package')
      this.#onBreakdown(worker)
      return opened
    } catch (error) {
      worker.terminate()
      throw error
    }
  }

  /** Hears all that a worker says; what it says first of the store is the answer. */
  #firstWord(worker: WorkerLike): Promise<Message> {
    return new Promise((resolve, reject) => {
      worker.addEventListener('message', ({ data }) => {
        if (worker !== this.#worker) return
        const message = data as Message
        // A leader may go before it lets this tab in.
        if (message.type !== 'lost' && message.type !== 'leaderless') resolve(message)
        this.#hear(message)
      })
      worker.addEventListener('error', ({ message }) => reject(unreachable(message ?? 'it was refused')))
    })
  }

  /** Hears that a worker has failed outside of any call: nothing more will come from it. */
  #onBreakdown(worker: WorkerLike): void {
    const failed = ({ message }: { message?: string }) => {
      if (worker === this.#worker) this.#channel?.end(brokenDown(message))
    }
    worker.addEventListener('error', failed)
    worker.addEventListener('messageerror', failed)
  }

  #hear(message: Message): void {
    if (message.type === 'opened') {
      this.#tab = message.tab
      // Browsers stop pages that nobody looks at, and their workers with them; but no page that has a lock.
      if (message.tab !== undefined && message.role === 'leader')
        this.#awake ??= take(`page/${message.tab.id}`).catch(() => undefined)
      else this.#sleep()
    }
    if (message.type === 'refused') this.#sleep()
    this.#channel?.hear(message)
  }

  #sleep(): void {
    this.#awake?.then(unlock => unlock?.())
    this.#awake = undefined
  }

  /** Hears what the tabs of the store say. */
  #guard({ tab }: Opened): void {
    if (tab === undefined) return
    this.#line = new BroadcastChannel(tab.line)
    this.#line.onmessage = ({ data }) => {
      const word = data as Word
      if (word.type === 'hung' && word.leader === this.#tab?.id) void this.#replace()
    }
  }

  /** Other tabs say that the worker hangs. One that opens the store for its page takes as long as it takes. */
  async #replace(): Promise<void> {
    const channel = this.#channel
    if (channel === undefined || channel.isLost) return
    // Several may say so, and again.
    this.#tab = undefined
    this.#worker?.terminate()
    channel.lose(Number.POSITIVE_INFINITY)
    this.#sleep()
    try {
      await this.#begin('back')
    } catch (error) {
      channel.end(error as PalimpsestError)
    }
  }
}
