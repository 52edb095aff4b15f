import type { Background } from '../background.js'
import { PalimpsestError } from '../errors.js'
import type { Step } from '../ops.js'
import type * as t from '../types.js'
import { Batches } from './batches.js'
import { REPEATABLE, SNAPSHOT, STORE, type Way } from './methods.js'
import {
  type Answer,
  type Message,
  type PlainTxn,
  type Request,
  STORE_ID,
  type State,
  thrownOf,
} from './protocol.js'
import { isSame } from './remote-job.js'

/** A store as the server sees it: with what it asks for so often that it must cost nothing. */
export type Served = t.Store<t.ValueCodec, t.KeyCodec> & { readonly compacted: number | undefined }
type Method = (...args: unknown[]) => unknown

/** An object that the page has a number for; or why it could not be made, which every call of it is answered with. */
type Held =
  | { readonly kind: 'store' | 'snapshot'; readonly object: object }
  | { readonly kind: 'items'; readonly object: Batches }
  | { readonly kind: 'watch'; readonly object: t.Watch<t.ValueCodec, t.KeyCodec> }
  | { readonly kind: 'nothing'; readonly error: unknown }

const TABLES: Readonly<Record<'store' | 'snapshot', Readonly<Record<string, Way>>>> = {
  store: STORE,
  snapshot: SNAPSHOT,
}
/** What a page has code of its own for, and asks of the store in the end all the same. */
const OWN: readonly string[] = ['put', 'export'] satisfies (keyof Served)[]

/** What serves a page. */
export interface ServerPlan {
  readonly store: Served
  readonly post: (message: Message) => void
  /** What the page is among the tabs of the store; `undefined` if it can't have others. */
  readonly role: t.Status['role']
  /** What is done when the page closes its store. */
  readonly close: () => Promise<void>
  /** Called before a request is answered, with the error if it has failed. */
  readonly answered?: (request: Request, error?: unknown) => void
}

/**
 * The store, for a page that talks to it by messages.
 *
 * Answers are gathered until nothing is left to do in a turn: so many promises that one sync fulfils make one message.
 */
export class Server {
  readonly #store: Served
  readonly #plan: ServerPlan
  readonly #held: Map<number, Held> = new Map()
  /** Compactions that the page has asked for, by revision, until it has been told that they are finished. */
  readonly #jobs: Map<number, t.CompactionJob> = new Map()
  #answers: Answer[] = []
  #isPosting = false
  #told: State | undefined
  /** The newest request that was taken. */
  #last = STORE_ID
  /** Requests that are being done and that must not be done twice. */
  readonly #changing: Set<Promise<unknown>> = new Set()
  #forget: () => void = () => {}
  #phase: 'serving' | 'ending' | 'over' = 'serving'

  constructor(plan: ServerPlan) {
    this.#store = plan.store
    this.#plan = plan
    this.#held.set(STORE_ID, { kind: 'store', object: plan.store })
  }

  /** Does what is asked, in the order of the requests. */
  serve(requests: readonly Request[]): void {
    if (this.#phase !== 'serving') return
    for (const request of requests) {
      this.#last = Math.max(this.#last, request.id ?? request.as ?? 0)
      if (request.method === 'drop') this.#drop(request.on)
      else if (request.as !== undefined) this.#make(request, request.as)
      else if (request.id !== undefined) this.#answer(request, request.id)
    }
  }

  /** Something may have changed that the page wants to know. */
  changed(): void {
    if (this.#isPosting) return
    this.#isPosting = true
    queueMicrotask(() => this.#flush())
  }

  /** The state as it is now. It goes with many messages, so it asks for nothing that grows with the store. */
  async state(): Promise<State> {
    const { revision, durableRevision, compacted, compaction } = this.#store
    return { revision, durableRevision, compacted, compaction: compaction?.status() }
  }

  /** Takes no further request and answers those that change something. Answers the number of the last one that was taken. */
  async handOver(): Promise<number> {
    this.#phase = 'ending'
    await Promise.allSettled(this.#changing)
    await this.#flush()
    this.#phase = 'over'
    return this.#last
  }

  /** Is told of changes, to the end. */
  observe(background: Background): void {
    const observer = () => this.changed()
    background.observe(observer)
    this.#forget = () => background.forget(observer)
  }

  /** The page is gone: nothing is kept for it. */
  end(): void {
    this.#phase = 'over'
    this.#forget()
    for (const on of [...this.#held.keys()]) this.#drop(on)
  }

  #answer(request: Request, id: number): void {
    const answer = this.#asked(request)
    const given = (answer: Answer, error?: unknown) => {
      this.#answers.push(answer)
      this.changed()
      this.#plan.answered?.(request, error)
    }
    const answered = answer.then(
      value => given({ id, value }),
      error => given({ id, thrown: thrownOf(error) }, error),
    )
    if (REPEATABLE.has(request.method)) return
    this.#changing.add(answered)
    answered.then(() => this.#changing.delete(answered))
  }

  async #flush(): Promise<void> {
    // A store that is closed, or broken, has no state; what it has answered is told.
    const state = await this.state().catch(() => undefined)
    this.#isPosting = false
    const answers = this.#answers
    this.#answers = []
    const isNews = state !== undefined && !isKnown(state, this.#told)
    if (isNews) this.#told = state
    if (this.#phase !== 'over' && (answers.length > 0 || isNews))
      this.#plan.post({ type: 'answers', answers, state: isNews ? state : undefined })
  }

  #make(request: Request, as: number): void {
    try {
      this.#held.set(as, this.#made(request))
    } catch (error) {
      this.#held.set(as, { kind: 'nothing', error })
    }
  }

  #made({ on, method, args }: Request): Held {
    if (on === STORE_ID && method === 'snapshot')
      return { kind: 'snapshot', object: this.#call(on, method, args) as object }
    if (on === STORE_ID && method === 'watch') {
      const [keys, options] = args as [t.Key, t.WatchOptions<t.ValueCodec, t.KeyCodec>]
      return { kind: 'watch', object: this.#store.watch(keys, options) }
    }
    const items = this.#call(on, method.replace('iterate ', ''), args) as AsyncIterable<unknown>
    return { kind: 'items', object: new Batches(items[Symbol.asyncIterator]()) }
  }

  /** An answer to what is not simply a method of a store or a snapshot, or else to that. */
  async #asked({ on, method, args }: Request): Promise<unknown> {
    const held = this.#object(on)
    if (held.kind === 'items' && method === 'revision') return (held.object.items as t.Export).revision
    if (held.kind === 'items') return held.object.next(args[0] as number)
    if (held.kind === 'watch') return method === 'revision' ? held.object.revision : held.object.next()
    if (method === 'commit') return this.#commit(args[0] as PlainTxn, args[1] as t.WriteOptions)
    if (method === 'compact') return this.#compact(args[0] as number)
    if (on === STORE_ID && method === 'close') return this.#plan.close()
    if (on === STORE_ID && method === 'status')
      return { ...(await this.#store.status()), role: this.#plan.role }
    if (method === 'progress') return this.#progress(args[0] as t.CompactionProgress)
    if (method.startsWith('collect '))
      return (this.#call(on, method.slice('collect '.length), args) as t.Range<unknown>).collect()
    return this.#call(on, method, args)
  }

  /** Calls a method that the table has for this object. */
  #call(on: number, method: string, args: readonly unknown[]): unknown {
    const held = this.#object(on)
    const isThere = held.kind === 'store' || held.kind === 'snapshot'
    if (!isThere || !isCallable(held.kind, method))
      throw new PalimpsestError('UNSUPPORTED', `the worker's version of this package knows no ${method}`)
    return (held.object as Record<string, Method>)[method]?.(...args)
  }

  #object(on: number): Exclude<Held, { kind: 'nothing' }> {
    const held = this.#held.get(on)
    if (held === undefined) throw new PalimpsestError('CLOSED', 'it is closed')
    if (held.kind === 'nothing') throw held.error
    return held
  }

  #drop(on: number): void {
    const held = this.#held.get(on)
    this.#held.delete(on)
    if (held?.kind === 'snapshot') (held.object as t.Snapshot & { close(): void }).close()
    if (held?.kind === 'items') held.object.end()
    if (held?.kind === 'watch') held.object.return()
  }

  #commit(parts: PlainTxn, options: t.WriteOptions | undefined): Promise<unknown> {
    return this.#txn(parts).commit(options)
  }

  #txn({ compares, success, failure }: PlainTxn): t.Txn<t.ValueCodec, t.KeyCodec> {
    const op = (step: Step): t.Op => (step.type === 'txn' ? (this.#txn(step.parts) as unknown as t.Op) : step)
    const txn = this.#store.txn()
    txn.if(...compares)
    txn.then(...success.map(op))
    return txn.else(...failure.map(op))
  }

  async #compact(revision: number): Promise<t.CompactionProgress> {
    const job = await this.#store.compact(revision)
    this.#jobs.set(job.revision, job)
    return job.status()
  }

  /** How far a compaction is, as soon as that is more than the page has seen. */
  async #progress(seen: t.CompactionProgress): Promise<t.CompactionProgress> {
    const job = this.#jobs.get(seen.revision) ?? this.#store.compaction
    let last = seen
    if (job?.revision === seen.revision) {
      for await (const progress of job.progress()) {
        last = progress
        if (!isSame(progress, seen)) break
      }
    } else {
      // Another leader was asked for it, or nobody: what comes after it ends after it.
      await job?.done
      last = { ...seen, finished: true }
    }
    if (last.finished) this.#jobs.delete(seen.revision)
    return last
  }
}

function isCallable(kind: 'store' | 'snapshot', method: string): boolean {
  const table = TABLES[kind]
  if (!Object.hasOwn(table, method)) return false
  return table[method] !== 'own' || OWN.includes(method) || method === 'snapshot'
}

function isKnown(state: State, told: State | undefined): boolean {
  if (told === undefined) return false
  return (
    state.revision === told.revision &&
    state.durableRevision === told.durableRevision &&
    state.compacted === told.compacted &&
    state.compaction === told.compaction
  )
}
