import type {
  AbortSignalLike,
  AsyncDisposing,
  KeyCodec,
  KeyTypes,
  ValueCodec,
  ValueTypes,
} from './types-base.js'
import type { Entry } from './types-read.js'

/** What a watcher is told, and how. */
export interface WatchOptions<V extends ValueCodec = ValueCodec, K extends KeyCodec = KeyCodec> {
  /** The first revision to be told of, in the past or in the future; without it, or with 0, the next one. */
  readonly from?: number | undefined
  /** Whether each event tells what was there before. */
  readonly previous?: boolean | undefined
  /** `false` leaves puts out. */
  readonly puts?: boolean | undefined
  /** `false` leaves deletes out. */
  readonly deletes?: boolean | undefined
  /** Has a batch without events tell how far the store is whenever there was nothing to tell for so long, in milliseconds. */
  readonly progress?: number | undefined
  /** Lets a batch end within a revision, after about so many bytes of keys and values. Without it a revision is never torn apart. */
  readonly fragmentBytes?: number | undefined
  /**
   * Has compaction keep what this watch was not told of, of all keys, while it is at most so many revisions, or bytes of keys and values,
   * behind. Beyond that it rejects with `HOLD_EXCEEDED`, and compaction goes on.
   */
  readonly hold?: { readonly revisions?: number | undefined; readonly bytes?: number | undefined } | undefined
  /** Ends the watch, and rejects what waits, with the signal's reason. */
  readonly signal?: AbortSignalLike | undefined
  /** How values are decoded. */
  readonly values?: V | undefined
  /** How keys are decoded. */
  readonly keys?: K | undefined
}

/** What was there before a change: `'compacted'` if compaction has removed it, `undefined` if it was nothing, or not asked for. */
export type Previous<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'> =
  | Entry<V, K>
  | 'compacted'
  | undefined

/** A value that was put. */
export interface PutEvent<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'> {
  readonly type: 'put'
  /** The key. */
  readonly key: KeyTypes[K]
  /** The value. */
  readonly value: ValueTypes[V]
  /** The revision that created the key. */
  readonly createRevision: number
  /** The revision of the put. */
  readonly modRevision: number
  /** How often the key was put since it was created. */
  readonly version: number
  /** The lease that the key was attached to. */
  readonly lease: number | undefined
  /** What was there before. */
  readonly previous: Previous<V, K>
}

/** A key that was deleted. */
export interface DeleteEvent<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'> {
  readonly type: 'delete'
  /** The key. */
  readonly key: KeyTypes[K]
  readonly value: undefined
  readonly createRevision: 0
  /** The revision of the delete. */
  readonly modRevision: number
  readonly version: 0
  readonly lease: undefined
  /** What was there before. */
  readonly previous: Previous<V, K>
}

/** One change of one key. */
export type WatchEvent<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'> =
  | PutEvent<V, K>
  | DeleteEvent<V, K>

/** Changes that a watcher is told of together. */
export interface WatchBatch<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'> {
  /**
   * The changes in the order in which they happened; all those of a revision together, unless `fragmentBytes` was asked for. None at all
   * only tells how far the store is.
   */
  readonly events: WatchEvent<V, K>[]
  /** Everything up to this revision has been told: to go on after it, watch from the next. */
  readonly revision: number
  /** Whether the rest of the last event's revision is in the next batch. */
  readonly isFragment: boolean
}

/**
 * A watch of some keys: batches of what happens to them, for `for await`.
 *
 * It begins when it is made. Nothing is read for it before the next batch is asked for; if that takes long, it reads on from the
 * store's history, and rejects with `COMPACTED` if that is no longer there, unless `hold` keeps it: then read the keys anew, and watch from the revision after
 * that. `break` and `return` end it, as do its signal and the end of its store, which rejects with `CLOSED`.
 *
 * It does not keep a program alive that has nothing else to do.
 */
export interface Watch<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'>
  extends AsyncIterable<WatchBatch<V, K>>,
    AsyncDisposing {
  /** Everything up to this revision has been told, or was not asked for: to go on later, watch from the next. */
  readonly revision: number
  /** The next batch. Asked for several times at once, it answers in the order of the calls. */
  next(): Promise<IteratorResult<WatchBatch<V, K>, undefined>>
  /** Ends the watch. Ending it twice does nothing. */
  return(): Promise<IteratorResult<WatchBatch<V, K>, undefined>>
}
