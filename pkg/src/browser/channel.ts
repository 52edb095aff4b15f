import { closed, invalid, PalimpsestError } from '../errors.js'
import type { WorkerLike } from '../types.js'
import { REPEATABLE } from './methods.js'
import {
  type Answer,
  errorOf,
  type Message,
  type Opened,
  type Order,
  type Request,
  STORE_ID,
  type State,
} from './protocol.js'

/** A request that has not been answered. */
interface Asking {
  readonly resolve: (value: never) => void
  readonly reject: (error: Error) => void
  readonly request: Request & { readonly id: number }
}

/** One call of an object in the worker. */
export interface Call {
  readonly on: number
  readonly method: string
  readonly args: readonly unknown[]
}

/** The call that makes an object anew, with another leader; `undefined` if it can't be. */
export type Again = () => Call | undefined

/**
 * The way to a store whose engine runs in a worker.
 *
 * Invariant: whoever asks is answered exactly once, be it because the channel ends. What is asked in one turn goes in one message.
 *
 * When the leader is lost, what it may have done and what changes something is answered with `LEADER_LOST`; everything else is kept for
 * the next leader, and so are the objects that can be made anew.
 */
export class Channel {
  #worker: WorkerLike
  readonly #asking: Map<number, Asking> = new Map()
  readonly #onFailure: (error: PalimpsestError) => void
  #requests: Request[] = []
  #state: State
  #last = STORE_ID
  /** The last request that was sent. */
  #sent = STORE_ID
  readonly #made: Map<number, Again> = new Map()
  #isLost = false
  /** The leader that the worker has told of last. */
  #epoch: number
  #base = 0
  #end: PalimpsestError | undefined

  constructor(worker: WorkerLike, { state, epoch }: Opened, onFailure: (error: PalimpsestError) => void) {
    this.#worker = worker
    this.#state = state
    this.#epoch = epoch
    this.#onFailure = onFailure
  }

  /** What is known without asking. */
  get state(): State {
    this.assertOpen()
    return this.#state
  }

  /** With another leader: what was newer than this revision is undone, as far as it is known here from the leader before. */
  get base(): number {
    return this.#base
  }

  /** Whether there is no leader, as far as it is known here. */
  get isLost(): boolean {
    return this.#isLost
  }

  /** Throws if nothing can be asked any more. */
  assertOpen(): void {
    if (this.#end !== undefined) throw this.#end
  }

  /** Asks for a call. Arguments are as they are now, whatever becomes of them later. */
  async call<T>({ on, method, args }: Call): Promise<T> {
    this.assertOpen()
    const copied = copiedArguments(args)
    if (on !== STORE_ID && !this.#made.has(on)) throw lost(method)
    this.#last += 1
    const request = { id: this.#last, on, method, args: copied }
    return new Promise<T>((resolve, reject) => {
      this.#asking.set(request.id, { resolve, reject, request })
      this.#send(request)
    })
  }

  /** Has the worker keep what a call answers. Answers its number; if the call fails, so does each call of what it would have answered. */
  make({ on, method, args }: Call, again: Again): number {
    this.assertOpen()
    const copied = copiedArguments(args)
    this.#last += 1
    this.#made.set(this.#last, again)
    this.#send({ on, method, args: copied, as: this.#last })
    return this.#last
  }

  /** The worker need not keep an object any longer. */
  drop(on: number): void {
    if (this.#made.delete(on) && this.#end === undefined) this.#send({ on, method: 'drop', args: [] })
  }

  /** Hears what the worker says. */
  hear(message: Message): void {
    if (message.type === 'answers') {
      if (message.state !== undefined) this.#state = message.state
      for (const answer of message.answers) this.#answer(answer)
    }
    if (message.type === 'lost') this.lose(message.last)
    if (message.type === 'leaderless') this.#giveUp()
    if (message.type === 'opened') this.#resume(message)
    if (message.type === 'refused') this.end(errorOf(message.thrown) as PalimpsestError)
    if (message.type === 'failure') this.#onFailure(errorOf(message.thrown) as PalimpsestError)
  }

  /** There is another worker. */
  attach(worker: WorkerLike): void {
    this.#worker = worker
  }

  /** The leader is gone; it may have done what it was sent up to the request `last`. */
  lose(last: number): void {
    // Nothing was sent since.
    if (this.#isLost) return
    this.#isLost = true
    this.#requests = []
    for (const [id, { reject, request }] of [...this.#asking]) {
      if (id > last || id > this.#sent || REPEATABLE.has(request.method)) continue
      this.#asking.delete(id)
      reject(lost(request.method))
    }
  }

  /** There is a leader again. What was made is made anew, the older first, and then what was not answered is asked. */
  #resume({ state, base, epoch }: Opened): void {
    if (!this.#isLost) return
    this.#base = base
    this.#epoch = epoch
    this.#isLost = false
    this.#state = state
    for (const [as, again] of [...this.#made]) {
      const call = again()
      if (call === undefined || (call.on !== STORE_ID && !this.#made.has(call.on))) this.#made.delete(as)
      else this.#send({ ...call, args: copiedArguments(call.args), as })
    }
    for (const [id, { reject, request }] of [...this.#asking]) {
      if (request.on === STORE_ID || this.#made.has(request.on)) this.#send(request)
      else {
        this.#asking.delete(id)
        reject(lost(request.method))
      }
    }
  }

  /**
   * Nothing tells when there is a leader again. Who only reads waits for it; what else is asked is answered now. Of a store that is closed
   * there is nothing left to do if all was durable.
   */
  #giveUp(): void {
    if (!this.#isLost) return
    const isDurable = this.#state.durableRevision >= this.#state.revision
    for (const [id, { resolve, reject, request }] of [...this.#asking]) {
      const isClosing = request.on === STORE_ID && request.method === 'close'
      if (!isClosing && REPEATABLE.has(request.method)) continue
      this.#asking.delete(id)
      if (isClosing && isDurable) resolve(undefined as never)
      else reject(lost(request.method))
    }
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
    // What is asked and made is known, and sent to the next leader.
    if (this.#isLost) return
    this.#requests.push(request)
    if (this.#requests.length === 1) queueMicrotask(() => this.#flush())
  }

  #flush(): void {
    const requests = this.#requests
    this.#requests = []
    if (requests.length === 0) return
    this.#sent = this.#last
    this.#worker.postMessage({ type: 'requests', epoch: this.#epoch, requests } satisfies Order)
  }
}

function lost(method: string): PalimpsestError {
  const words = `the tab that had the engine is gone and ${method} was not answered: whether it was done is unknown`
  return new PalimpsestError('LEADER_LOST', words, { method })
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
