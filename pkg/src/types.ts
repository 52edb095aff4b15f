import type { PalimpsestError } from './errors.js'
import type { NamedStorage, StorageInfo, SyncStorage, URLLike, WorkerLike } from './storage.js'
import type {
  AbortSignalLike,
  AsyncDisposing,
  Disposing,
  Key,
  KeyCodec,
  KeySelection,
  KeyTypes,
  ValueCodec,
  ValueTypes,
} from './types-base.js'
import type { Export, ExportOptions } from './types-copies.js'
import type { DryRun, DryRunOptions } from './types-past.js'
import type { Pin, Pinned, PinOptions, RetentionRule, Thinning } from './types-pin.js'
import type { Reader } from './types-read.js'
import type { CompareKeys, Txn } from './types-txn.js'
import type { Watch, WatchOptions } from './types-watch.js'
import type {
  Deleted,
  DeleteOptions,
  Durability,
  GrantOptions,
  Lease,
  LeaseKeysOptions,
  LeaseStatus,
  PutOptions,
  Revoked,
  WriteOptions,
  Written,
} from './types-write.js'

export type * from './storage.js'
export type * from './types-base.js'
export type * from './types-copies.js'
export type * from './types-past.js'
export type * from './types-pin.js'
export type * from './types-read.js'
export type * from './types-txn.js'
export type * from './types-watch.js'
export type * from './types-write.js'

/** The store as it was at one revision, for as long as it is open: O(1) to take, whatever is written or compacted later. */
export interface Snapshot<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'>
  extends Reader<V, K>,
    Disposing {
  /** The revision that it reads at. */
  readonly revision: number
  /** Gives back what it holds. Closing twice does nothing. */
  close(): void
}

/** How far a compaction is. */
export interface CompactionProgress {
  /** The revision compacted to. */
  readonly revision: number
  /** Records removed so far. */
  readonly removed: number
  /** Records there are to remove, and were: fewer than at the beginning if some are held. */
  readonly total: number
  /** Pages freed so far, less those filled anew. */
  readonly pagesFreed: number
  /**
   * Records that it leaves for now, because a watch that holds was not told of everything before them. They are removed once that is so, and
   * are not among the others.
   */
  readonly held: number
  /** Whether everything that nothing holds is removed, and that is durable. It does not wait for what is `held`. */
  readonly finished: boolean
}

/** How a wait may be ended early. */
export interface WaitOptions {
  /** Ends the wait, not the work, with the signal's reason. */
  readonly signal?: AbortSignalLike | undefined
}

/**
 * A compaction that runs in the background, a few milliseconds at a time.
 *
 * It goes on whether or not anybody waits, and it does not keep the process alive; waiting for it does.
 */
export interface CompactionJob {
  /** The revision compacted to. Reads below it are refused from the start. */
  readonly revision: number
  /**
   * Fulfilled once everything that nothing holds is removed, and that is durable; rejected if the background work fails or the store is closed.
   * It does not wait for watches that hold: `held` tells what is left for them.
   */
  readonly done: Promise<CompactionProgress>
  /** As `done`, with a signal that ends the wait. */
  wait(options?: WaitOptions): Promise<CompactionProgress>
  /** How far it is, now and after each step until it is finished. A slow reader skips steps. */
  progress(options?: WaitOptions): AsyncIterable<CompactionProgress>
  /** How far it is now. */
  status(): CompactionProgress
}

/**
 * Something that keeps space from being given back. Pages and an age are told of snapshots only. What pins and watches hold are records, which
 * share their pages with others, and the times of revisions are forgotten as far as a store is compacted. How far back they hold is the
 * difference between their revision and the newest.
 */
export type Holder =
  | {
      readonly kind: 'snapshot'
      /** The revision that it reads. */
      readonly revision: number
      /** It and its copies. */
      readonly count: number
      /** How long ago it was taken, in milliseconds; `undefined` if the store had just been opened. */
      readonly age: number | undefined
      /** Pages that can't be used again at least as long as it is open. */
      readonly pages: number
    }
  | {
      readonly kind: 'pin'
      /** Its name; those that begin with `$` are those of thinning. */
      readonly name: string
      /** The revision that it keeps readable. */
      readonly revision: number
      /** When it ends, in milliseconds since 1970; `undefined` if it does not. */
      readonly expires: number | undefined
      /** Records that compaction has left for it. */
      readonly records: number
    }
  | {
      readonly kind: 'watch'
      /** The revision that the watch, which holds, has got to. */
      readonly revision: number
      /** Bytes of keys and values written since then, or more where that is not known exactly. */
      readonly bytes: number
    }

/** The store in numbers. */
export interface Status {
  /**
   * In a page whose store is in a worker: whether the engine is this tab's, which then serves the others that have the store open, or
   * another tab's. Absent elsewhere.
   */
  readonly role?: 'leader' | 'follower' | undefined
  /** The newest revision. */
  readonly revision: number
  /** Everything up to this revision survives a crash; in memory, which none survives, the newest. */
  readonly durableRevision: number
  /** The oldest revision that can be read; `undefined` before the first compaction. */
  readonly compacted: number | undefined
  /** The newest revision that a compaction was asked for. */
  readonly scheduled: number | undefined
  /** The newest revision that a compaction has finished for. */
  readonly finished: number | undefined
  /** Keys that exist at the newest revision. */
  readonly liveKeys: number
  /** Keys in the index: live ones, and deleted ones whose history is still kept. */
  readonly keys: number
  /** Records stored: versions and tombstones. */
  readonly records: number
  /**
   * Records that a newer one has replaced and that are not yet removed, those that pins hold among them, and those not that a rule keeps for
   * their number.
   */
  readonly deadRecords: number
  /** Bytes in a page. */
  readonly pageBytes: number
  /** The storage's length in bytes. */
  readonly fileBytes: number
  /** Bytes of pages that are in use: reachable now, or pending. */
  readonly usedBytes: number
  /** How many bytes may be in use; `undefined` if that is not bounded. */
  readonly quotaBytes: number | undefined
  /** Whether the last write that was refused with `NO_SPACE` would be refused again; one that even an empty store has no room for does not count. */
  readonly isOutOfSpace: boolean
  /** Whether the storage is being made shorter, or is to be. */
  readonly isShrinking: boolean
  /** Whether background work has dead records to remove: for a compaction, or because what held them is gone. */
  readonly isCompacting: boolean
  /** Rules of retention. */
  readonly retentionRules: number
  /** Leases that have not ended. */
  readonly leases: number
  /** Pins; `pins()` tells what each holds. */
  readonly pins: number
  /** Watches that have not ended. */
  readonly watchers: number
  /** Pages that the next write may use. */
  readonly freePages: number
  /** Pages freed that a checkpoint or a snapshot still holds. */
  readonly pendingPages: number
  /** Snapshots that are open. */
  readonly snapshots: number
  /** Checkpoints made since the store was created. */
  readonly checkpoints: number
  /** Bytes of pages held in memory by the cache. */
  readonly cacheBytes: number
  /** The longest step of background work so far, in milliseconds. */
  readonly longestStepMs: number
  /** What keeps space from being given back: snapshots, pins, and watches that hold. */
  readonly holders: readonly Holder[]
}

/** What a page is used for: nothing, something that only a checkpoint or a snapshot may still reach, or one of the kinds of the format. */
export type PageUse = 'free' | 'pending' | 'meta' | 'branch' | 'leaf' | 'overflow' | 'freelist'

/** What each page of a storage is used for. */
export interface PageMap {
  /** What the numbers in `kinds` stand for. */
  readonly names: readonly PageUse[]
  /** The use of each page, by its number. */
  readonly kinds: Uint8Array
  /** Bytes of each page that are filled, by its number; an overflow page, which is part of something long, counts as filled. */
  readonly usedBytes: Uint32Array
}

/** What a check of the whole store has seen, all of it sound. */
export interface CheckReport {
  /** Keys in the index. */
  readonly keys: number
  /** Records read. */
  readonly records: number
  /** Pages that something reaches. */
  readonly reachablePages: number
  /** Pages waiting for a checkpoint or a snapshot. */
  readonly pendingPages: number
  /** Free pages. */
  readonly freePages: number
}

/**
 * Which history a store gives up by itself: what is older than `periodic` milliseconds; or what is more than `revisions` revisions ago; or
 * what is both; or none. The newest values always stay.
 *
 * A period is sampled ten times (an hour of it, if it is longer). The first compaction comes after one whole period, later ones every
 * period, or every hour. The time before the store was opened counts. The number of revisions is looked at every five minutes. 0 is as good
 * as `'off'`.
 */
export type AutoCompaction =
  | { readonly periodic: number }
  | { readonly revisions: number }
  | { readonly periodic: number; readonly revisions: number }
  | 'off'

/** The hash of a store's history. */
export interface HashKv {
  /** The hash: CRC-32C, equal to that of an etcd with the same history that is compacted to the same revision. */
  readonly hash: number
  /** The revision that the store is compacted to; `undefined` before the first compaction. */
  readonly compacted: number | undefined
  /** The revision up to which history was hashed. */
  readonly revision: number
}

/** How a store is opened. Every option but `storage` has a default. */
export interface OpenOptions<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'> {
  /**
   * Where the bytes are: `'memory'`, a storage of the browser's, a file's path or `file:` URL (in Node), or a storage of your own.
   */
  readonly storage: 'memory' | NamedStorage | { readonly file: string | URLLike } | SyncStorage
  /** The store's name in a storage of the browser's. */
  readonly name?: string | undefined
  /**
   * Makes the worker that the engine is to run in, one that imports `palimpsest-kv/worker`; a new one at each call, since a worker that hangs is
   * replaced, and an import has one of its own. Without it the package makes one of its own from a `blob:` URL, which a page's
   * Content-Security-Policy may forbid.
   */
  readonly worker?: (() => WorkerLike) | undefined
  /** `'strict'` (the default): a write is durable when its promise is fulfilled. `'relaxed'`: within `flushInterval`. */
  readonly durability?: Durability | undefined
  /** Bytes in a page of a store that is created now: a power of two from 512 to 65,536; 4,096 by default. */
  readonly pageBytes?: number | undefined
  /** Memory for pages read from the storage, in bytes; 64 MiB by default. */
  readonly cacheBytes?: number | undefined
  /** How long a relaxed write may wait before it is made durable, in milliseconds; 100 by default. */
  readonly flushInterval?: number | undefined
  /** Records that one chunk of a compaction removes at most; 1,000 by default. */
  readonly compactionBatchLimit?: number | undefined
  /** Pause after each chunk of a compaction, in milliseconds; 10 by default. */
  readonly compactionPause?: number | undefined
  /** Which history is given up by itself; `'off'` by default. `setAutoCompaction` changes it later. */
  readonly autoCompaction?: AutoCompaction | undefined
  /** Which versions stay whatever is compacted; none besides the present ones by default. `setRetention` changes it later. */
  readonly retention?: readonly RetentionRule[] | undefined
  /** How history gets thinner with age; `'off'` by default. `setThinning` changes it later. */
  readonly thinning?: Thinning | undefined
  /**
   * How many bytes of pages may be in use: writes that may need more reject with `NO_SPACE`, while reads, deletes and compaction go on.
   * Not bounded by default. `setQuota` changes it later.
   */
  readonly quotaBytes?: number | undefined
  /** The longest key, in bytes; 65,536 by default. */
  readonly maxKeyBytes?: number | undefined
  /** The longest value, in bytes; 1.5 MiB by default. */
  readonly maxValueBytes?: number | undefined
  /** Operations in one branch of a transaction at most; 128 by default. */
  readonly maxTxnOps?: number | undefined
  /** How keys are handed back; `'utf8'` by default. */
  readonly keys?: K | undefined
  /** How values are written and read; `'utf8'` by default. */
  readonly values?: V | undefined
  /**
   * Called with every failure of background work. Without it, the failure rejects the next call that writes. A compaction's
   * promise is rejected in both cases.
   */
  readonly onError?: ((error: PalimpsestError) => void) | undefined
}

/** An open store. */
export interface Store<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'>
  extends Reader<V, K>,
    AsyncDisposing {
  /** The newest revision. */
  readonly revision: number
  /** Everything up to this revision survives a crash; in memory, which none survives, the newest. */
  readonly durableRevision: number
  /** Where the bytes are. */
  readonly storage: StorageInfo
  /** The newest compaction since the store was opened, be it a resumed or an automatic one; `undefined` if there was none. */
  readonly compaction: CompactionJob | undefined
  /**
   * Puts the value that a key has once more, under a new revision: to give it a lease, or take it away. The key must exist.
   */
  put<W extends ValueCodec = V, L extends KeyCodec = K>(
    key: Key,
    value: undefined,
    options: PutOptions<W, L> & { readonly keepValue: true },
  ): Promise<Written<W, L>>
  /**
   * Writes a value under a key. It is applied at once; the promise is fulfilled when the {@link Durability} asked for is reached, and
   * rejected if that is not certain.
   */
  put<W extends ValueCodec = V, L extends KeyCodec = K>(
    key: Key,
    value: ValueTypes[W],
    options?: PutOptions<W, L>,
  ): Promise<Written<W, L>>
  /** Deletes one key or a selection of keys; applied and acknowledged as a put is. */
  delete<W extends ValueCodec = V, L extends KeyCodec = K>(
    keys: Key | KeySelection,
    options?: DeleteOptions<W, L>,
  ): Promise<Deleted<W, L>>
  /** Begins a transaction. */
  txn(): Txn<V, K>
  /** A condition about a key, or about every key of a selection. */
  compare(keys: Key | KeySelection): CompareKeys<ValueTypes[V]>
  /**
   * Watches one key or a selection: batches of all that happens to them from now on, or from a revision on. With the durability
   * `'strict'` they tell only of what is durable, so that no crash can undo what was told.
   *
   * @example
   * ```ts
   * for await (const { events } of db.watch({ prefix: 'users/' }, { from: revision + 1 })) {
   *   for (const { type, key } of events) console.log(type, key)
   * }
   * ```
   */
  watch<W extends ValueCodec = V, L extends KeyCodec = K>(
    keys: Key | KeySelection,
    options?: WatchOptions<W, L>,
  ): Watch<W, L>
  /**
   * Grants a lease of some milliseconds, in whole seconds and at least 2. Keys that are put with it are deleted, in one revision, when it
   * ends. What is over of its time stays over when the store is opened again; while the store is closed no time passes.
   */
  grantLease(ttl: number, options?: GrantOptions): Promise<Lease>
  /** Ends a lease: all keys attached to it are deleted, in one revision. */
  revokeLease(id: number, options?: WriteOptions): Promise<Revoked>
  /** Lets a lease live for its whole time once more, which is answered in milliseconds. */
  keepAlive(id: number, options?: WriteOptions): Promise<{ readonly ttl: number }>
  /** How a lease stands; `undefined` if there is none, or no more. */
  lease(id: number): Promise<LeaseStatus | undefined>
  /** The keys that are attached to a lease, in order; none if there is no such lease. */
  leaseKeys<L extends KeyCodec = K>(id: number, options?: LeaseKeysOptions<L>): Promise<KeyTypes[L][]>
  /** The numbers of all leases, in order. */
  leases(): Promise<number[]>
  /**
   * Pins a revision under a name; without one, or with 0, the newest: it can be read exactly as it was, whatever is compacted around it,
   * until the pin is removed or ends. A name that pins another revision already lets go of that one. Pins outlive the program.
   *
   * @example
   * ```ts
   * const { revision } = await db.pin('monday', 0, { expires: Date.now() + 7 * 24 * 3_600_000 })
   * await db.compact(db.revision)
   * const then = await db.get('price', { revision })
   * ```
   */
  pin(name: string, revision?: number, options?: PinOptions): Promise<Pinned>
  /** Removes a pin, be it one of thinning's own. What only it held is removed in the background, without a compaction being asked for. */
  unpin(name: string, options?: WriteOptions): Promise<void>
  /** All pins, in the order of their names. */
  pins(): Promise<Pin[]>
  /** The store as it is now, or as it was at a revision. */
  snapshot(options?: SnapshotOptions): Snapshot<V, K>
  /**
   * Copies the whole store as it is now, history, pins, times and leases included, while everything goes on: `importStore` makes a store of the
   * bytes. The same state gives the same bytes.
   *
   * @example
   * ```ts
   * await fs.promises.writeFile('backup.plx', db.export())
   * await fetch(url, { method: 'PUT', body: ReadableStream.from(db.export()), duplex: 'half' })
   * ```
   */
  export(options?: ExportOptions): Export
  /** Removes what no read at `revision` or later can see. The job runs in the background. Everything written before is synced. */
  compact(revision: number): Promise<CompactionJob>
  /**
   * What a compaction to `revision` would free, without doing it: records and bytes, by prefix of the keys. What earlier compactions have been
   * asked to free is not counted. It looks at each record that would go, in slices on the event loop.
   */
  dryRun<L extends KeyCodec = K>(revision: number, options?: DryRunOptions<L>): Promise<DryRun<L>>
  /**
   * The newest revision that was there at a time, for certain; `undefined` if nothing is known of it. The last few dozen revisions are known to
   * the millisecond, those of the last hour to about a second, older ones ever more coarsely, to a day after a year. It errs to one side
   * only: something newer may have been there. When the calendar is set back, what was written in what is its future now counts as
   * written at that moment.
   */
  revisionAt(time: Date): Promise<number | undefined>
  /** When a revision was there, for certain: it was written then or before. `undefined` if that is not known. */
  timeOf(revision: number): Promise<Date | undefined>
  /** Changes which history is given up by itself, from now on. */
  setAutoCompaction(policy: AutoCompaction): Promise<void>
  /**
   * Changes which versions stay whatever is compacted, from now on, or from when the compaction that is under way has finished. What is gone
   * does not come back.
   */
  setRetention(rules: readonly RetentionRule[]): Promise<void>
  /** Changes how history gets thinner with age, from now on. Pins that were set for it stay until they end, or are removed. */
  setThinning(thinning: Thinning): Promise<void>
  /** Changes how many bytes of pages may be in use, from now on; `undefined` sets no bound. */
  setQuota(bytes: number | undefined): Promise<void>
  /**
   * Gives free pages at the end of the storage back, in the background and in small steps, while everything goes on; what stands there moves
   * to lower pages. `status().isShrinking` tells when it is done. It happens by itself once more than a quarter of the storage, and at least
   * 1 MiB, is free. Snapshots that are open hold the pages that they reach; when one is gone that was in the way, it goes on by itself.
   * Where it has met damage, nothing happens until the store is opened again.
   */
  shrink(): Promise<void>
  /** Hashes the history up to a revision, without one all of it, as etcd's `HashKV` does. It reads all of the store, at once. */
  hashKv(revision?: number): Promise<HashKv>
  /** The store in numbers. */
  status(): Promise<Status>
  /**
   * What each page of the storage is used for, and how full it is. It reads no page: it walks the inner nodes, which are in memory, about one
   * page in a hundred.
   *
   * @example
   * ```ts
   * const { names, kinds, usedBytes } = await db.pages()
   * kinds.forEach((kind, page) => console.log(page, names[kind], usedBytes[page]))
   * ```
   */
  pages(): Promise<PageMap>
  /** Reads and checks the whole store. */
  check(): Promise<CheckReport>
  /** Makes everything written so far durable, and acknowledges it. Answers the durable revision. */
  flush(): Promise<number>
  /** Writes a checkpoint now, so that the next opening is quick. */
  checkpoint(): Promise<void>
  /** Makes everything durable, acknowledges it, and closes the store. Closing twice does nothing. */
  close(): Promise<void>
}

/** Which moment a snapshot shows. */
export interface SnapshotOptions {
  /** The revision to read at; without it, or with 0, the newest. */
  readonly revision?: number | undefined
  /** A time in place of a revision: see `revisionAt`. */
  readonly at?: Date | undefined
}
