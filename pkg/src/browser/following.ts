// What a tab has that follows: the way to the tab that leads.
import { type Begun, type Request, STORE_ID } from './protocol.js'
import type { Settings } from './settings.js'
import type { Asked, Told } from './words.js'

/** What a follower is made of. */
export interface FollowingPlan {
  /** Who leads. */
  readonly leader: string
  /** The name of the channel that only the two of them have, for this time. */
  readonly channel: string
  /** Whatever the leader says is a sign of life. */
  readonly heard: () => void
  readonly opened: (begun: Begun, settings: Settings) => void
  readonly lost: (last: number) => void
  readonly set: (settings: Settings) => void
  /** Everything else is for the page. */
  readonly say: (told: Exclude<Told, { type: 'opened' | 'lost' | 'settings' }>) => void
}

/**
 * The way to a leader. Invariant: `#unanswered` are the calls that the leader has been sent or that wait for it to be heard again, and
 * that it has not answered.
 */
export class Following {
  readonly leader: string
  readonly #plan: FollowingPlan
  readonly #channel: BroadcastChannel
  readonly #unanswered: Set<number> = new Set()
  /** What the leader is not sent while it is silent, so that it does not do it after nobody waits for it any more. */
  #withheld: Request[] = []
  #isOpened = false
  #last = STORE_ID

  constructor(plan: FollowingPlan) {
    this.leader = plan.leader
    this.#plan = plan
    this.#channel = new BroadcastChannel(plan.channel)
    this.#channel.onmessage = ({ data }) => this.#hear(data as Told)
  }

  /** Whether the leader has let this tab in. */
  get isOpened(): boolean {
    return this.#isOpened
  }

  /** Whether something is to come from the leader. */
  get isWaiting(): boolean {
    return !this.#isOpened || this.#unanswered.size > 0
  }

  /** The newest request that the leader was sent: it has done none after it. */
  get last(): number {
    return this.#last
  }

  /** Sends what the page asks, at once or when the leader is heard again. */
  ask(requests: readonly Request[], when: 'now' | 'later'): void {
    for (const { id } of requests) if (id !== undefined) this.#unanswered.add(id)
    if (when === 'later') this.#withheld.push(...requests)
    else this.#send([...requests])
  }

  /** The leader was heard. */
  goOn(): void {
    const withheld = this.#withheld
    this.#withheld = []
    if (withheld.length > 0) this.#send(withheld)
  }

  /** Hears nothing more. */
  end(): void {
    this.#channel.close()
  }

  #send(requests: readonly Request[]): void {
    for (const { id, as } of requests) this.#last = Math.max(this.#last, id ?? as ?? STORE_ID)
    this.#channel.postMessage({ sent: Date.now(), requests } satisfies Asked)
  }

  #opened({ settings, ...begun }: Extract<Told, { type: 'opened' }>): void {
    this.#isOpened = true
    this.#plan.opened(begun, settings)
  }

  #hear(told: Told): void {
    // What becomes of a store that this tab does not know yet.
    if (told.type === 'answers' && !this.#isOpened) return
    if (told.type === 'answers') for (const { id } of told.answers) this.#unanswered.delete(id)
    this.#plan.heard()
    if (told.type === 'lost') this.#plan.lost(told.last)
    else if (told.type === 'opened') this.#opened(told)
    else if (told.type === 'settings') this.#plan.set(told.settings)
    else this.#plan.say(told)
  }
}
