// What the tabs of a store say to each other.
import type { Begun, Message, Request } from './protocol.js'
import type { Settings } from './settings.js'

/** What a follower says that wants to be let in. */
export interface Join {
  readonly type: 'join'
  readonly leader: string
  readonly from: string
  /** How often it had another leader, or none, before. */
  readonly epoch: number
  readonly terms: string
}

/** What tabs say to all others of a store. */
export type Word =
  /** Who leads? */
  | { readonly type: 'seek' }
  /** I do, soon. */
  | { readonly type: 'opening' }
  | { readonly type: 'leads'; readonly leader: string }
  | Join
  /** The leader does not answer: its page is to end its worker. */
  | { readonly type: 'hung'; readonly leader: string }

/** What a leader says to one follower. */
export type Told =
  | Exclude<Message, { type: 'opened' }>
  | (Begun & { readonly settings: Settings })
  /** Settings were changed. This comes before the answer of who has changed them. */
  | { readonly type: 'settings'; readonly settings: Settings }

/** What a follower says to its leader. */
export interface Asked {
  /** When, in milliseconds since 1970. */
  readonly sent: number
  readonly requests: readonly Request[]
}

/** The lock that the tab has that leads. */
export function leadership(key: string): string {
  return `leader/${key}`
}

/** The lock that a tab has for as long as it lives. */
export function life(id: string): string {
  return `tab/${id}`
}
