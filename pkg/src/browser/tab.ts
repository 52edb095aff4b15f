// One tab among those that have a store open: one leads and has the engine, the others follow and send it what their pages ask.
import type { Background } from '../background.js'
import { invalid, type PalimpsestError } from '../errors.js'
import type * as t from '../types.js'
import { locked, take } from './lock.js'
import { type Message, type Opened, type Request, type TabName, thrownOf } from './protocol.js'
import { type Served, Server } from './server.js'

type Store = t.Store<t.ValueCodec, 'utf8' | 'bytes'>

/** A leader that is asked and says nothing for so long is asked whether it is there, and after as long again it hangs; in milliseconds. */
const SILENCE = 4000
/** How long a tab that opens the store waits to hear of a leader, in milliseconds: longer than it takes to end one that hangs. */
const PATIENCE = 10_000

/** What tabs say to all others of a store. */
export type Word =
  /** Who leads? */
  | { readonly type: 'seek' }
  /** I do, soon. */
  | { readonly type: 'opening' }
  | { readonly type: 'leads'; readonly leader: string }
  | { readonly type: 'join'; readonly leader: string; readonly from: string; readonly terms: string }
  /** The leader does not answer: its page is to end its worker. */
  | { readonly type: 'hung'; readonly leader: string }

/** What a tab is given. */
export interface TabPlan {
  /** Which store: `opfs/app`. */
  readonly key: string
  /** What all tabs must have opened it with alike, in words. */
  readonly terms: string
  readonly open: () => Promise<Store>
  /** Tells the page. */
  readonly say: (message: Message) => void
}

/** What a leader says to one follower. */
type Told = Message | { readonly type: 'refused'; readonly thrown: ReturnType<typeof thrownOf> }

/** Serves a store to a page, and tells it of changes until it is let go of. */
export function serving(store: Store, plan: Omit<ConstructorParameters<typeof Server>[0], 'store'>): Server {
  const server = new Server({ ...plan, store: store as unknown as Served })
  server.observe((store as unknown as { background: Background }).background)
  return server
}

/** The lock that a tab has for as long as it lives. */
function life(id: string): string {
  return `tab/${id}`
}

/**
 * One tab. Invariants: it leads exactly while it has the lock of the store's leader; a follower has sent nothing to any but `#leader`; the
 * page was told `lost` before it is told of another leader.
 */
export class Tab {
  readonly #plan: TabPlan
  readonly #name: TabName
  readonly #line: BroadcastChannel
  readonly #followers: Map<string, { server: Server; channel: BroadcastChannel }> = new Map()
  #store: Store | undefined
  #base = 0
  #server: Server | undefined
  #isOpening = false
  #leader: string | undefined
  #channel: BroadcastChannel | undefined
  #watchdog: ReturnType<typeof setTimeout> | undefined
  #patience: ReturnType<typeof setTimeout> | undefined

  constructor(plan: TabPlan) {
    this.#plan = plan
    this.#name = { line: `palimpsest-kv/${plan.key}`, id: crypto.randomUUID() }
    this.#line = new BroadcastChannel(this.#name.line)
    this.#line.onmessage = ({ data }) => this.#hear(data as Word)
  }

  /** Leads if nobody does, else follows, and waits for its turn. */
  async start(): Promise<void> {
    await take(life(this.#name.id))
    const lock = `leader/${this.#plan.key}`
    const unlock = await take(lock, { ifAvailable: true })
    if (unlock !== undefined) return this.#lead(unlock)
    this.#wait()
    this.#say({ type: 'seek' })
    await this.#lead((await take(lock)) as () => void)
  }

  /** What the page asks. */
  serve(requests: readonly Request[]): void {
    if (this.#server !== undefined) this.#server.serve(requests)
    else if (this.#channel !== undefined) {
      this.#channel.postMessage(requests)
      this.#watchdog ??= setTimeout(() => this.#suspect(), SILENCE)
    }
  }

  /** Closes the store, or leaves it. The followers are told what was done of what they have asked. */
  async close(): Promise<void> {
    const handOver = async ({ server, channel }: { server: Server; channel: BroadcastChannel }) =>
      channel.postMessage({ type: 'lost', last: await server.handOver() } satisfies Message)
    this.#line.close()
    await Promise.all([...this.#followers.values()].map(handOver))
    await this.#store?.close()
  }

  #say(word: Word): void {
    this.#line.postMessage(word)
  }

  #hear(word: Word): void {
    const leads = this.#server !== undefined
    if (word.type === 'seek' && leads) this.#say({ type: 'leads', leader: this.#name.id })
    if (word.type === 'seek' && this.#isOpening) this.#say({ type: 'opening' })
    if (word.type === 'join' && leads && word.leader === this.#name.id) this.#welcome(word.from, word.terms)
    if (leads || this.#isOpening) return
    if (word.type === 'opening') this.#wait()
    if (word.type === 'leads') this.#follow(word.leader)
  }

  async #lead(unlock: () => void): Promise<void> {
    this.#isOpening = true
    this.#say({ type: 'opening' })
    clearTimeout(this.#patience)
    this.#lose(Number.POSITIVE_INFINITY)
    try {
      const store = await this.#plan.open()
      this.#store = store
      this.#base = store.revision
      const { say } = this.#plan
      const server = serving(store, { post: say, role: 'leader', close: () => this.close() })
      say({ ...(await this.#opened(server)), tab: this.#name })
      this.#server = server
      this.#say({ type: 'leads', leader: this.#name.id })
    } catch (error) {
      this.#refuse(error)
      unlock()
    } finally {
      this.#isOpening = false
    }
  }

  #refuse(error: unknown): void {
    this.#plan.say({ type: 'refused', thrown: thrownOf(error) })
  }

  async #opened(server: Server): Promise<Opened> {
    const { storage } = this.#store as Store
    return { type: 'opened', storage, state: await server.state(), tab: undefined, base: this.#base }
  }

  async #welcome(from: string, terms: string): Promise<void> {
    const store = this.#store as Store
    const channel = this.#channelOf(this.#name.id, from)
    const post = (message: Told) => channel.postMessage(message)
    if (terms !== this.#plan.terms) {
      post({ type: 'refused', thrown: thrownOf(otherTerms(this.#plan.terms, terms)) })
      return
    }
    const close = async () => void (await store.flush())
    const server = serving(store, { post, role: 'follower', close })
    channel.onmessage = ({ data }) => server.serve(data as Request[])
    this.#followers.set(from, { server, channel })
    // Its lock is to be had when it is gone, in whatever way.
    take(life(from)).then(unlock => {
      this.#followers.delete(from)
      server.end()
      channel.close()
      unlock?.()
    })
    post(await this.#opened(server))
  }

  #channelOf(leader: string, follower: string): BroadcastChannel {
    return new BroadcastChannel(`${this.#name.line}/${leader}/${follower}`)
  }

  /** Whoever is to be the leader must say so soon, or else does not share the store. */
  #wait(): void {
    if (this.#leader !== undefined) return
    clearTimeout(this.#patience)
    this.#patience = setTimeout(() => this.#refuse(locked(this.#plan.key)), PATIENCE)
  }

  #follow(leader: string): void {
    this.#calm()
    if (leader === this.#leader) return
    this.#lose(Number.POSITIVE_INFINITY)
    clearTimeout(this.#patience)
    const channel = this.#channelOf(leader, this.#name.id)
    channel.onmessage = ({ data }) => {
      this.#calm()
      const told = data as Told
      if (told.type === 'lost') this.#lose(told.last)
      else this.#plan.say(told.type === 'opened' ? { ...told, tab: this.#name } : told)
    }
    this.#leader = leader
    this.#channel = channel
    this.#say({ type: 'join', leader, from: this.#name.id, terms: this.#plan.terms })
  }

  #lose(last: number): void {
    this.#calm()
    if (this.#channel === undefined) return
    this.#channel.close()
    this.#channel = undefined
    this.#plan.say({ type: 'lost', last })
  }

  /** The leader was heard. */
  #calm(): void {
    clearTimeout(this.#watchdog)
    this.#watchdog = undefined
  }

  #suspect(): void {
    const leader = this.#leader as string
    this.#say({ type: 'seek' })
    this.#watchdog = setTimeout(() => {
      this.#watchdog = undefined
      this.#say({ type: 'hung', leader })
    }, SILENCE)
  }
}

function otherTerms(theirs: string, ours: string): PalimpsestError {
  return invalid(`another tab has the store open with ${theirs}: this one can't have it with ${ours}`)
}
