import type { WriteOptions } from './types-write.js'

/** How a revision is pinned. */
export interface PinOptions extends WriteOptions {
  /** When the pin ends, as a `Date` or in milliseconds since 1970; without it, it lasts until it is removed. */
  readonly expires?: number | Date | undefined
}

/** What pinning answers. */
export interface Pinned {
  /** The revision that is pinned. */
  readonly revision: number
}

/** A pin: a revision that stays readable, whatever is compacted around it. */
export interface Pin {
  /** Its name. */
  readonly name: string
  /** The revision that it keeps readable. */
  readonly revision: number
  /** When it ends, in milliseconds since 1970; `undefined` if it lasts until it is removed. */
  readonly expires: number | undefined
  /**
   * Dead records that compaction has come across and left because this revision is pinned. Those that several pinned revisions see are
   * counted for the earliest of them.
   */
  readonly heldRecords: number
}
