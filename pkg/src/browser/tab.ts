// One tab among those that have a store open: one leads and has the engine, the others follow and send it what their pages ask.
import { Following } from './following.js'
import { Leading, type Spent, type Store } from './leading.js'
import { heldBy, locked, take } from './lock.js'
import { type Begun, type Message, type Request, type TabName, thrownOf } from './protocol.js'
import type { Settings } from './settings.js'
import { type Join, leadership, life, type Word } from './words.js'

/**
 * How often a tab looks whether it hears of a leader that it waits for, in milliseconds. All times are counted in these looks, so that a
 * computer that slept, and its tabs with it, looks no worse than one that did not.
 */
const LOOK = 1000
/** A leader that says nothing for so many looks is asked whether it is there. */
const SEEK = 4
/** A leader that says nothing for so many looks hangs. It is not sent anything from then on. */
const HUNG = 8
/** Who hangs is named again after so many looks: its page may not have heard it. */
const REPEAT = 2
/** After so many looks, longer than it takes to notice and to end a leader that hangs, a tab that opens the store gives up. */
const PATIENCE = 14
/** After so many looks nothing more is expected of a leader: those who wait are told. Longer than `HUNG` by more than `STALE`. */
const GIVE_UP = 20

/** What a tab is given. */
export interface TabPlan {
  /** Which store: `opfs/app`. */
  readonly key: string
  /** What all tabs must have opened it with alike, in words. */
  readonly terms: string
  /** Whether the page opens the store, or has it and has lost its worker. */
  readonly comes: 'anew' | 'back'
  /** Opens the store; the settings are those that were made since it was opened first. */
  readonly open: (settings: Settings) => Promise<Store>
  /** Tells the page. */
  readonly say: (message: Message) => void
}

/**
 * One tab. Invariants: it leads exactly while it has the lock of the store's leader; a follower has sent nothing to any but
 * `#following`; the page was told `lost` before it is told of another leader; what it has sent before it has heard of that is not done.
 */
export class Tab {
  readonly #plan: TabPlan
  readonly #name: TabName
  readonly #line: BroadcastChannel
  #settings: Settings = {}
  #following: Following | undefined
  #leading: Leading | undefined
  #isOpening = false
  #unlock: () => void = () => {}
  /** How often it had another leader, or none, before. */
  #epoch = 0
  #isKnown: boolean
  #looks: ReturnType<typeof setInterval> | undefined
  /** Looks since anything was heard, and since this tab waits to be let in for the first time. */
  #silent = 0
  #waited = 0

  constructor(plan: TabPlan) {
    this.#plan = plan
    this.#isKnown = plan.comes === 'back'
    this.#name = { line: `palimpsest-kv/${plan.key}`, id: crypto.randomUUID() }
    this.#line = new BroadcastChannel(this.#name.line)
    this.#line.onmessage = ({ data }) => this.#hear(data as Word)
  }

  /** Leads if nobody does, else follows, and waits for its turn. */
  async start(): Promise<void> {
    await take(life(this.#name.id))
    const lock = leadership(this.#plan.key)
    const unlock = await take(lock, { ifAvailable: true })
    if (unlock !== undefined) return this.#lead(unlock)
    this.#say({ type: 'seek' })
    this.#watch()
    await this.#lead((await take(lock)) as () => void)
  }

  /** What the page asks, which knows of so many leaders. */
  serve(epoch: number, requests: readonly Request[]): void {
    // Of who leads now the page has not heard: it will ask again.
    if (epoch !== this.#epoch) return
    this.#leading?.serve(requests)
    this.#following?.ask(requests, this.#silent < HUNG ? 'now' : 'later')
    if (this.#following !== undefined) this.#watch()
  }

  /** Closes the store, or leaves it. The followers are told what was done of what they have asked. */
  async close(): Promise<void> {
    this.#line.close()
    this.#stopLooking()
    await this.#leading?.close()
  }

  #say(word: Word): void {
    this.#line.postMessage(word)
  }

  #hear(word: Word): void {
    const leading = this.#leading
    if (word.type === 'seek' && leading !== undefined) this.#say({ type: 'leads', leader: this.#name.id })
    if (word.type === 'seek' && this.#isOpening) this.#say({ type: 'opening' })
    if (word.type === 'join' && word.leader === this.#name.id) leading?.welcome(word)
    if (leading !== undefined || this.#isOpening) return
    if (word.type === 'opening') {
      this.#silent = 0
      this.#waited = 0
    }
    if (word.type === 'leads') this.#follow(word.leader)
  }

  async #lead(unlock: () => void): Promise<void> {
    this.#unlock = unlock
    this.#isOpening = true
    this.#stopLooking()
    this.#say({ type: 'opening' })
    this.#lose(Number.POSITIVE_INFINITY)
    let store: Store | undefined
    try {
      store = await this.#plan.open(this.#settings)
      const leading = this.#newLeading(store)
      const begun = await leading.begun()
      this.#leading = leading
      this.#isOpening = false
      this.#sayOpened(begun, 'leader')
      this.#say({ type: 'leads', leader: this.#name.id })
    } catch (error) {
      await store?.close().catch(() => {})
      this.#end(error)
    }
  }

  #newLeading(store: Store): Leading {
    const { say, terms } = this.#plan
    return new Leading({
      ...{ store, terms, say, id: this.#name.id, settings: this.#settings },
      channel: join => this.#channelOf(join),
      close: () => this.close(),
      spent: spent => this.#retire(spent),
    })
  }

  /** This tab can't have the store; others may. */
  #end(error: unknown): void {
    this.#line.close()
    this.#refuse(error)
    this.#unlock()
  }

  /** Opens the store again, or lets another tab do so whose engine is sound. */
  async #retire(spent: Spent): Promise<void> {
    const leading = this.#leading
    if (leading === undefined) return
    this.#leading = undefined
    this.#isOpening = true
    this.#settings = leading.settings
    const last = await leading.retire()
    if (spent.why === 'refused') {
      this.#tellLost(last)
      await this.#lead(this.#unlock)
      return
    }
    this.#end(spent.error)
  }

  #refuse(error: unknown): void {
    this.#plan.say({ type: 'refused', thrown: thrownOf(error) })
  }

  #sayOpened(begun: Begun, role: 'leader' | 'follower'): void {
    this.#isKnown = true
    this.#plan.say({ ...begun, tab: this.#name, epoch: this.#epoch, role })
  }

  #channelOf({ leader, from, epoch }: Pick<Join, 'leader' | 'from' | 'epoch'>): string {
    return `${this.#name.line}/${leader}/${from}/${epoch}`
  }

  #follow(leader: string): void {
    this.#heard()
    if (leader !== this.#following?.leader) {
      this.#lose(Number.POSITIVE_INFINITY)
      this.#following = this.#newFollowing(leader)
      this.#watch()
    }
    // A leader that was not there yet has not heard it.
    if (this.#following?.isOpened !== true)
      this.#say({ ...this.#joining(leader), type: 'join', terms: this.#plan.terms })
  }

  #joining(leader: string): { leader: string; from: string; epoch: number } {
    return { leader, from: this.#name.id, epoch: this.#epoch }
  }

  #newFollowing(leader: string): Following {
    return new Following({
      leader,
      channel: this.#channelOf(this.#joining(leader)),
      heard: () => this.#heard(),
      opened: (begun, settings) => {
        this.#settings = settings
        this.#sayOpened(begun, 'follower')
      },
      lost: last => {
        this.#lose(last)
        this.#say({ type: 'seek' })
        this.#watch()
      },
      set: settings => {
        this.#settings = settings
      },
      say: told => this.#plan.say(told),
    })
  }

  /** The leader is gone, which has taken the requests up to `last` at most. */
  #lose(last: number): void {
    const following = this.#following
    if (following === undefined) return
    following.end()
    this.#following = undefined
    this.#tellLost(Math.min(last, following.last))
  }

  #tellLost(last: number): void {
    this.#epoch += 1
    this.#plan.say({ type: 'lost', last })
  }

  #heard(): void {
    this.#silent = 0
    this.#following?.goOn()
  }

  /** Looks, for as long as something is waited for. */
  #watch(): void {
    if (this.#looks !== undefined) return
    this.#silent = 0
    this.#looks = setInterval(() => this.#look(), LOOK)
  }

  #stopLooking(): void {
    clearInterval(this.#looks)
    this.#looks = undefined
  }

  #look(): void {
    if (this.#following?.isWaiting === false) {
      this.#stopLooking()
      return
    }
    this.#silent += 1
    if (this.#silent % SEEK === 0) this.#say({ type: 'seek' })
    if (this.#silent >= HUNG && this.#silent % REPEAT === 0) void this.#accuse()
    if (this.#isKnown) this.#giveUp()
    else this.#waitFor()
  }

  /** Has the page of the leader end its worker. */
  async #accuse(): Promise<void> {
    const leader = this.#following?.leader ?? (await heldBy(leadership(this.#plan.key), life('')))
    if (leader !== undefined && !this.#isOpening) this.#say({ type: 'hung', leader })
  }

  /** Whoever is to be the leader must let this tab in soon, or else does not share the store. */
  #waitFor(): void {
    this.#waited += 1
    if (this.#waited < PATIENCE) return
    this.#stopLooking()
    this.#refuse(locked(this.#plan.key))
  }

  #giveUp(): void {
    if (this.#silent % GIVE_UP !== 0) return
    this.#lose(Number.POSITIVE_INFINITY)
    this.#plan.say({ type: 'leaderless' })
  }
}
