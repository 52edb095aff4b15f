import { closed, invalid, type PalimpsestError } from '../errors.js'
import type { WorkerLike } from '../types.js'
import {
  type Answer,
  errorOf,
  type Message,
  type Order,
  type Request,
  STORE_ID,
  type State,
} from './protocol.js'

/** A request that has not been answered. */
interface Asking {
  readonly resolve: (value: never) => void
  readonly reject: (error: Error) => void
}

/** One call of an object in the worker. */
export interface Call {
  readonly on: number
  readonly method: string
  readonly args: readonly unknown[]
}

/**
 * The way to a store whose engine runs in a worker.
 *
 * Invariant: whoever asks is answered exactly once, be it because the channel ends. What is asked in one turn goes in one message.
 */
export class Channel {
  readonly #worker: WorkerLike
  readonly #asking: Map<number, Asking> = new Map()
  readonly #onFailure: (error: PalimpsestError) => void
  #requests: Request[] = []
  #state: State
  #last = STORE_ID
  #end: PalimpsestError | undefined

  constructor(worker: WorkerLike, state: State, onFailure: (error: PalimpsestError) => void) {
    this.#worker = worker
    this.#state = state
    this.#onFailure = onFailure
  }

  /** What is known without asking. */
  get state(): State {
    this.assertOpen()
    return this.#state
  }

  /** Throws if nothing can be asked any more. */
  assertOpen(): void {
    if (this.#end !== undefined) throw this.#end
  }

  /** Asks for a call. Arguments are as they are now, whatever becomes of them later. */
  async call<T>({ on, method, args }: Call): Promise<T> {
    this.assertOpen()
    const copied = copiedArguments(args)
    this.#last += 1
    const id = this.#last
    return new Promise<T>((resolve, reject) => {
      this.#asking.set(id, { resolve, reject })
      this.#send({ id, on, method, args: copied })
    })
  }

  /** Has the worker keep what a call answers. Answers its number; if the call fails, so does each call of what it would have answered. */
  make({ on, method, args }: Call): number {
    this.assertOpen()
    const copied = copiedArguments(args)
    this.#last += 1
    this.#send({ on, method, args: copied, as: this.#last })
    return this.#last
  }

  /** The worker need not keep an object any longer. */
  drop(on: number): void {
    if (this.#end === undefined) this.#send({ on, method: 'drop', args: [] })
  }

  /** Hears what the worker says. */
  hear(message: Message): void {
    if (message.type === 'answers') {
      if (message.state !== undefined) this.#state = message.state
      for (const answer of message.answers) this.#answer(answer)
    }
    if (message.type === 'failure') this.#onFailure(errorOf(message.thrown) as PalimpsestError)
  }

  /** The worker is to give the store back, in its order: everything asked before is done. No answer will come. */
  leave(): void {
    this.#flush()
    this.#worker.postMessage({ type: 'leave' } satisfies Order)
  }

  /** Nothing is answered any more: all who wait get the error. */
  end(error: PalimpsestError = closed('store')): void {
    if (this.#end !== undefined) return
    this.#end = error
    this.#requests = []
    const asking = [...this.#asking.values()]
    this.#asking.clear()
    for (const { reject } of asking) reject(error)
  }

  #answer(answer: Answer): void {
    const asking = this.#asking.get(answer.id)
    if (asking === undefined) return
    this.#asking.delete(answer.id)
    if ('thrown' in answer) asking.reject(errorOf(answer.thrown))
    else asking.resolve(answer.value as never)
  }

  #send(request: Request): void {
    this.#requests.push(request)
    if (this.#requests.length === 1) queueMicrotask(() => this.#flush())
  }

  #flush(): void {
    const requests = this.#requests
    this.#requests = []
    if (requests.length > 0) this.#worker.postMessage({ type: 'requests', requests } satisfies Order)
  }
}

/** Copies what could change before the message is made. */
function copiedArguments(args: readonly unknown[]): unknown[] {
  return args.map(argument => {
    if (typeof argument !== 'object' || argument === null) return cloneable(argument)
    // A clone of a view has all of the buffer that it is a view of.
    if (argument instanceof Uint8Array) return argument.slice()
    try {
      return structuredClone(argument)
    } catch (error) {
      throw notCloneable(error)
    }
  })
}

function cloneable(argument: unknown): unknown {
  if (typeof argument !== 'function' && typeof argument !== 'symbol') return argument
  throw notCloneable(new TypeError(`it is a ${typeof argument}`))
}

function notCloneable(error: unknown): PalimpsestError {
  return invalid(`an argument can't be sent to the thread of the engine: ${(error as Error).message}`)
}
