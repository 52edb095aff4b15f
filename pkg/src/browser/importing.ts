import { cut } from '../copies.js'
import { closed } from '../errors.js'
import type { AbortSignalLike, ImportSource, WorkerLike } from '../types.js'
import { unreachable } from './attendant.js'
import { errorOf, type Message, type Order } from './protocol.js'

/** What a page has a store made with. */
export interface ImportPlan {
  readonly wasm: () => Promise<WebAssembly.Module>
  readonly start: () => Promise<WorkerLike>
  /** Those that the store is opened with, and that can be cloned. */
  readonly options: object
  readonly signal: AbortSignalLike | undefined
}

/**
 * A store that is being made by a worker, of bytes that are in the page: the worker asks for each piece, so that no more than two of them are
 * in memory.
 *
 * Invariant: once `#reason` is there the worker is told, and fails.
 */
class Importing {
  readonly #worker: WorkerLike
  readonly #pieces: AsyncGenerator<Uint8Array, void>
  /** Why there are no more pieces, if that is not their end. */
  #reason: { readonly thrown: unknown } | undefined
  #fail: (error: unknown) => void = () => {}
  #finish: () => void = () => {}

  constructor(worker: WorkerLike, source: ImportSource) {
    this.#worker = worker
    this.#pieces = cut(source)
  }

  /** Has the store made. */
  async run(order: Extract<Order, { type: 'import' }>): Promise<void> {
    const done = new Promise<void>((resolve, reject) => {
      this.#finish = resolve
      this.#fail = reject
    })
    this.#worker.addEventListener('message', ({ data }) => void this.#hear(data as Message))
    this.#worker.addEventListener('error', ({ message }) =>
      this.#fail(unreachable(message ?? 'it was refused')),
    )
    this.#worker.postMessage(order)
    try {
      await done
    } finally {
      this.#worker.terminate()
      // Who gives the pieces may hold something for it, and may still be busy with the next one, for which nobody waits.
      this.#pieces.return().catch(() => {})
    }
  }

  /** Ends it with this error, once the worker has left nothing of the store. */
  stop(thrown: unknown): void {
    if (this.#reason !== undefined) return
    this.#reason = { thrown }
    this.#say({ type: 'cut' })
  }

  /** The page goes, and the worker with it. */
  readonly leave = (): void => {
    this.#worker.terminate()
    this.#fail(closed('store, since its page was left,'))
  }

  async #hear(message: Message): Promise<void> {
    if (message.type === 'wanted') await this.#next()
    else if (message.type === 'imported') this.#finish()
    else if (message.type === 'refused')
      this.#fail(this.#reason === undefined ? errorOf(message.thrown) : this.#reason.thrown)
    else this.#fail(unreachable('it does not speak this version of the package'))
  }

  async #next(): Promise<void> {
    try {
      const { done, value } = await this.#pieces.next()
      if (this.#reason === undefined) this.#say({ type: 'piece', bytes: done === true ? undefined : value })
    } catch (thrown) {
      this.stop(thrown)
    }
  }

  #say(order: Order): void {
    this.#worker.postMessage(order)
  }
}

/** Has a worker make a store of an export, and close it. */
export async function importInWorker(plan: ImportPlan, source: ImportSource): Promise<void> {
  const { signal, options } = plan
  if (signal?.aborted) throw signal.reason
  const wasm = await plan.wasm()
  const importing = new Importing(await plan.start(), source)
  const abort = () => importing.stop(signal?.reason)
  addEventListener('pagehide', importing.leave)
  signal?.addEventListener('abort', abort)
  try {
    const making = importing.run({ type: 'import', wasm, options })
    if (signal?.aborted) abort()
    await making
  } finally {
    signal?.removeEventListener('abort', abort)
    removeEventListener('pagehide', importing.leave)
  }
}
