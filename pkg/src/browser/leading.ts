// What a tab has that leads: the store, what serves its page, and what serves the followers.
import type { Background } from '../background.js'
import { invalid, PalimpsestError } from '../errors.js'
import type * as t from '../types.js'
import { take } from './lock.js'
import { REPEATABLE } from './methods.js'
import { type Begun, type Message, type Request, thrownOf } from './protocol.js'
import { type Served, Server, type ServerPlan } from './server.js'
import { type Settings, settingOf } from './settings.js'
import { type Asked, type Join, life, type Told } from './words.js'

export type Store = t.Store<t.ValueCodec, 'utf8' | 'bytes'>

/**
 * What a leader was sent so long ago it does not do any more, in milliseconds: it stood still, and who has sent it may have given it up.
 * A follower sends nothing to a leader that is silent, and gives it up later than this after the last that it has sent.
 */
const STALE = 10_000

/** Why a leader can't go on with its store: it refuses to write until it is opened again, or the engine has broken down. */
export type Spent = { readonly why: 'refused' } | { readonly why: 'broken'; readonly error: PalimpsestError }

/** What a leader is made of. */
export interface LeadingPlan {
  readonly store: Store
  /** Its own name. */
  readonly id: string
  readonly terms: string
  readonly settings: Settings
  /** The name of the channel that it has with a follower. */
  readonly channel: (join: Join) => string
  /** Tells the page. */
  readonly say: (message: Message) => void
  /** What is done when the page closes its store. */
  readonly close: () => Promise<void>
  /** Called when it can't go on; then it is to retire. */
  readonly spent: (spent: Spent) => void
}

/** One tab that follows. */
interface Follower {
  readonly epoch: number
  readonly server: Server
  readonly channel: BroadcastChannel
}

function backgroundOf(store: Store): Background {
  return (store as unknown as { background: Background }).background
}

/** Serves a store to a page, and tells it of changes until it is let go of. */
export function serving(store: Store, plan: Omit<ServerPlan, 'store'>): Server {
  const server = new Server({ ...plan, store: store as unknown as Served })
  server.observe(backgroundOf(store))
  return server
}

/** A leader. Invariant: a follower has one server at most, that of the last time it came; it ends with the follower. */
export class Leading {
  readonly #plan: LeadingPlan
  readonly #server: Server
  readonly #base: number
  readonly #followers: Map<string, Follower> = new Map()
  /** Those whose end is waited for. */
  readonly #watched: Set<string> = new Set()
  #settings: Settings
  /** Whether a write was refused in a way that only opening the store again can end. */
  #refuses = false

  constructor(plan: LeadingPlan) {
    const { store, say, close } = plan
    this.#plan = plan
    this.#settings = plan.settings
    this.#base = store.revision
    const answered = (request: Request, error?: unknown) => this.#look(request, error)
    this.#server = serving(store, { post: say, role: 'leader', close, answered })
    backgroundOf(store).observe(error => this.#examine(error))
  }

  /** What was set last. */
  get settings(): Settings {
    return this.#settings
  }

  /** What its page is told. */
  begun(): Promise<Begun> {
    return this.#begun(this.#server)
  }

  /** What the page asks. */
  serve(requests: readonly Request[]): void {
    this.#server.serve(requests)
  }

  /** Lets a follower in. */
  async welcome(join: Join): Promise<void> {
    const { from, epoch, terms } = join
    const known = this.#followers.get(from)
    if (known !== undefined && known.epoch >= epoch) return
    this.#forget(from)
    const channel = new BroadcastChannel(this.#plan.channel(join))
    const post = (message: Told) => channel.postMessage(message)
    if (terms !== this.#plan.terms) {
      post({ type: 'refused', thrown: thrownOf(otherTerms(this.#plan.terms, terms)) })
      channel.close()
      return
    }
    const server = this.#admit(from, epoch, channel)
    // To open the store is what makes it take writes again, whoever does so.
    if (this.#refuses) {
      this.#plan.spent({ why: 'refused' })
      return
    }
    try {
      post({ ...(await this.#begun(server)), settings: this.#settings })
    } catch (error) {
      this.#examine(error)
      // Of a store that goes the follower is told that it is lost.
      if (!isEnd(error)) post({ type: 'refused', thrown: thrownOf(error) })
    }
  }

  /** Closes the store. The followers are told what was done of what they have asked. */
  async close(): Promise<void> {
    await this.#handOver()
    await this.#plan.store.close()
  }

  /** Ends it for the followers and its own page, and closes the store. Answers the last request of the page that was taken. */
  async retire(): Promise<number> {
    const [last] = await Promise.all([this.#server.handOver(), this.#handOver()])
    for (const from of [...this.#followers.keys()]) this.#forget(from)
    // What it says was said before: why the store can't be used.
    await this.#plan.store.close().catch(() => {})
    return last
  }

  async #begun(server: Server): Promise<Begun> {
    const { storage } = this.#plan.store
    return { type: 'opened', storage, state: await server.state(), base: this.#base }
  }

  async #handOver(): Promise<void> {
    await Promise.all([...this.#followers.values()].map(follower => this.#dismiss(follower)))
  }

  #admit(from: string, epoch: number, channel: BroadcastChannel): Server {
    const { store } = this.#plan
    const server = serving(store, {
      post: (message: Message) => channel.postMessage(message),
      role: 'follower',
      close: async () => void (await store.flush()),
      answered: (request, error) => this.#look(request, error),
    })
    const follower = { epoch, server, channel }
    channel.onmessage = ({ data: { sent, requests } }: { data: Asked }) => {
      if (Date.now() - sent <= STALE) server.serve(requests)
      else void this.#dismiss(follower)
    }
    this.#followers.set(from, follower)
    this.#watch(from)
    return server
  }

  /** The lock of a follower is to be had when it is gone, in whatever way. */
  async #watch(from: string): Promise<void> {
    if (this.#watched.has(from)) return
    this.#watched.add(from)
    const unlock = await take(life(from))
    this.#watched.delete(from)
    this.#forget(from)
    unlock?.()
  }

  #forget(from: string): void {
    const follower = this.#followers.get(from)
    if (follower === undefined) return
    this.#followers.delete(from)
    follower.server.end()
    follower.channel.close()
  }

  /** Takes nothing more of a follower, which may come again. */
  async #dismiss(follower: Follower): Promise<void> {
    const { server, channel } = follower
    channel.onmessage = null
    const last = await server.handOver()
    // It may be gone by then, and its channel closed.
    if ([...this.#followers.values()].includes(follower))
      channel.postMessage({ type: 'lost', last } satisfies Told)
  }

  #look(request: Request, error: unknown): void {
    if (error !== undefined) this.#examine(error, REPEATABLE.has(request.method) ? 'reading' : 'writing')
    else this.#set(settingOf(request))
  }

  #set(setting: Settings | undefined): void {
    if (setting === undefined) return
    this.#settings = { ...this.#settings, ...setting }
    const told: Told = { type: 'settings', settings: this.#settings }
    for (const { channel } of this.#followers.values()) channel.postMessage(told)
  }

  /** Looks at an error for what it says of the store. */
  #examine(error: unknown, doing: 'reading' | 'writing' = 'writing'): void {
    if (!(error instanceof PalimpsestError)) return
    const { code } = error
    if (code === 'WRITES_REFUSED' || (code === 'STORAGE' && doing === 'writing')) this.#refuses = true
    if (code === 'POISONED') this.#plan.spent({ why: 'broken', error })
  }
}

function isEnd(error: unknown): boolean {
  return error instanceof PalimpsestError && (error.code === 'POISONED' || error.code === 'CLOSED')
}

function otherTerms(theirs: string, ours: string): PalimpsestError {
  return invalid(`another tab has the store open with ${theirs}: this one can't have it with ${ours}`)
}
