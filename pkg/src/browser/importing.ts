import { cut } from '../copies.js'
import { closed } from '../errors.js'
import type { AbortSignalLike, ImportSource, WorkerLike } from '../types.js'
import { brokenDown, posted, unreachable } from './attendant.js'
import { errorOf, type Message, type Order } from './protocol.js'

/** What a page has a store made with. */
export interface ImportPlan {
  readonly wasm: () => Promise<WebAssembly.Module>
  readonly start: () => Promise<WorkerLike>
  /** Those that the store is opened with. */
  readonly options: object
  readonly signal: AbortSignalLike | undefined
}

/** How long a worker has to leave nothing of a store that is not wanted any more, in milliseconds. */
const PATIENCE = 3000

/**
 * A store that is being made by a worker, of bytes that are in the page: the worker asks for each piece, so that no more than two of them are
 * in memory.
 *
 * Invariant: it ends by `#finish` or `#fail`, once, and then there is no worker.
 */
class Importing {
  readonly #plan: ImportPlan
  readonly #over: Promise<void>
  /** Ends the reading of the source. */
  readonly #end = new AbortController()
  readonly #pieces: AsyncGenerator<Uint8Array, void>
  #worker: WorkerLike | undefined
  /** Whether the worker has said something: it is this package's. */
  #isHeard = false
  /** Why there are no more pieces, if that is not their end. */
  #reason: { readonly thrown: unknown } | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #isOver = false
  #finish: () => void = () => {}
  #fail: (error: unknown) => void = () => {}

  constructor(plan: ImportPlan, source: ImportSource) {
    this.#plan = plan
    this.#pieces = cut(source, this.#end.signal)
    this.#over = new Promise((resolve, reject) => {
      this.#finish = resolve
      this.#fail = reject
    })
  }

  /** Has the store made. */
  async run(): Promise<void> {
    const { signal } = this.#plan
    addEventListener('pagehide', this.#leave)
    signal?.addEventListener('abort', this.#abort)
    if (signal?.aborted) this.#abort()
    try {
      this.#begin().catch(this.#fail)
      await this.#over
    } finally {
      signal?.removeEventListener('abort', this.#abort)
      removeEventListener('pagehide', this.#leave)
      this.#isOver = true
      clearTimeout(this.#timer)
      this.#worker?.terminate()
      this.#end.abort()
      // The source may still be busy with the next piece, for which nobody waits.
      this.#pieces.return().catch(() => {})
    }
  }

  async #begin(): Promise<void> {
    const wasm = await this.#plan.wasm()
    if (this.#isUnwanted) return
    const worker = await this.#plan.start()
    if (this.#isUnwanted) return worker.terminate()
    this.#worker = worker
    worker.addEventListener('message', ({ data }) => void this.#hear(data as Message))
    const failed = ({ message }: { message?: string }) =>
      this.#fail(this.#isHeard ? brokenDown(message) : unreachable(message ?? 'it was refused'))
    worker.addEventListener('error', failed)
    worker.addEventListener('messageerror', failed)
    posted(worker, { type: 'import', wasm, options: this.#plan.options })
  }

  get #isUnwanted(): boolean {
    return this.#isOver || this.#reason !== undefined
  }

  /** Ends it with this error, once the worker has left nothing of the store. */
  #stop(thrown: unknown): void {
    if (this.#reason !== undefined) return
    this.#reason = { thrown }
    this.#end.abort()
    // Without a worker there is nothing yet that could be left.
    this.#timer = setTimeout(() => this.#fail(thrown), this.#worker === undefined ? 0 : PATIENCE)
    this.#say({ type: 'cut' })
  }

  readonly #abort = (): void => this.#stop(this.#plan.signal?.reason)

  /** The page goes, and the worker with it. */
  readonly #leave = (): void => this.#fail(closed('store, since its page was left,'))

  async #hear(message: Message): Promise<void> {
    this.#isHeard = true
    if (message.type === 'wanted') await this.#next()
    else if (message.type === 'imported') this.#finish()
    else if (message.type === 'refused')
      this.#fail(this.#reason === undefined ? errorOf(message.thrown) : this.#reason.thrown)
    else this.#fail(unreachable('it does not speak this version of the package'))
  }

  async #next(): Promise<void> {
    try {
      const { done, value } = await this.#pieces.next()
      if (!this.#isUnwanted) this.#send(done === true ? undefined : value)
    } catch (thrown) {
      this.#stop(thrown)
    }
  }

  /** A view crosses with all of its buffer: what is only a part of one is copied before. */
  #send(bytes: Uint8Array | undefined): void {
    const isPart = bytes !== undefined && bytes.byteLength < bytes.buffer.byteLength
    this.#say({ type: 'piece', bytes: isPart ? bytes.slice() : bytes })
  }

  #say(order: Order): void {
    this.#worker?.postMessage(order)
  }
}

/** Has a worker make a store of an export, and close it. */
export function importInWorker(plan: ImportPlan, source: ImportSource): Promise<void> {
  return new Importing(plan, source).run()
}
