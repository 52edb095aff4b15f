import type { Key } from './types-base.js'
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
  /**
   * When it ends, in milliseconds since 1970, rounded if a program in Rust has named what is no exact number here; `undefined` if it lasts until
   * it is removed.
   */
  readonly expires: number | undefined
  /**
   * Dead records that compaction has come across and left because this revision is pinned. Those that several pinned revisions see are
   * counted for the earliest of them.
   */
  readonly heldRecords: number
}

/** One revision of each interval, until it is so old. */
export interface ThinningStep {
  /** The interval, in milliseconds; each begins at a multiple of it since 1970. */
  readonly every: number
  /** How long what is kept of an interval is kept, in milliseconds. */
  readonly keepFor: number
}

/**
 * Which history is kept as it gets older: every revision of the last `allFor` milliseconds, then one of each interval for some time; what is
 * older than all of that goes. What is kept of an interval is the revision that is the newest when the store looks for the first time after it
 * began: within a twentieth of the shortest interval and of `allFor`, and within ten minutes; or when it is opened. The store pins those
 * revisions, by names that begin with `$thinning/`, and compacts by itself. It goes by the calendar: one that is wrongly ahead makes
 * everything look old.
 *
 * `'default'` keeps everything of the last hour, one revision an hour for a day, and one a day for 30 days.
 */
export type Thinning =
  | 'off'
  | 'default'
  | { readonly allFor: number; readonly steps?: readonly ThinningStep[] | undefined }

/**
 * What compaction leaves of the keys that begin with a prefix, besides what it always does. Of several rules that of the longest prefix decides, so
 * that one that says nothing more exempts its keys from another.
 *
 * What a rule keeps lies below the compacted revision: `history` shows it, and reads at pinned revisions do, and every other read in the past is
 * refused as without rules.
 *
 * Rules are not written down in the store: they are those of who has it open, like the policy of automatic compaction. Opened without them, the
 * store gives up what they have kept. A copy has the versions that rules keep when it is made, and not the rules.
 */
export interface RetentionRule {
  /** The prefix; an empty one is of all keys. */
  readonly prefix: Key
  /**
   * How many versions are kept of each key, the present one among them, while the key exists: once it is deleted, and compaction has reached
   * that, none.
   */
  readonly newest?: number | undefined
  /** For how many milliseconds what would be removed stays after it was replaced, deleted, or no longer among the newest. */
  readonly forAtLeast?: number | undefined
}
