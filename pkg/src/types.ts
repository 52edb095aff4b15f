import type { PalimpsestError } from './errors.js'
import type { StorageInfo, SyncStorage, URLLike } from './storage.js'

export type * from './storage.js'

/** A key: text, which stands for its UTF-8 bytes, or the bytes themselves. Keys are ordered by their bytes. */
export type Key = string | Uint8Array

/** How keys are handed back: as text or as bytes. */
export type KeyCodec = 'utf8' | 'bytes'

/** How values are written and read: as text, as bytes, or as whatever JSON can hold. */
export type ValueCodec = 'utf8' | 'bytes' | 'json'

/** The type of a key by codec. */
export interface KeyTypes {
  utf8: string
  bytes: Uint8Array
}

/** The type of a value by codec. */
export interface ValueTypes {
  utf8: string
  bytes: Uint8Array
  json: unknown
}

/** A method under `Symbol.dispose`, where the program's library types have that symbol. */
export type Disposing = SymbolConstructor extends { readonly dispose: infer S extends symbol }
  ? { [K in S]: () => void }
  : object

/** A method under `Symbol.asyncDispose`, where the program's library types have that symbol. */
export type AsyncDisposing = SymbolConstructor extends { readonly asyncDispose: infer S extends symbol }
  ? { [K in S]: () => Promise<void> }
  : object

/** An `AbortSignal`, said in a way that needs no library types of a browser or of Node. */
export interface AbortSignalLike {
  readonly aborted: boolean
  readonly reason?: unknown
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/**
 * Which keys: exactly one of `key`, `prefix`, `from` and/or `to`, or `all`.
 *
 * An interval begins with `from` (without it, with the first key) and ends before `to` (without it, with the last key).
 */
export interface KeySelection {
  /** One key. */
  readonly key?: Key | undefined
  /** The keys that begin with this. */
  readonly prefix?: Key | undefined
  /** The first key of an interval, which is part of it. */
  readonly from?: Key | undefined
  /** The end of an interval, which is not part of it. */
  readonly to?: Key | undefined
  /** Every key. */
  readonly all?: true | undefined
}

/** How a key is read. */
export interface GetOptions<V extends ValueCodec = ValueCodec> {
  /** The revision to read at; without it, or with 0, the newest. */
  readonly revision?: number | undefined
  /** How the value is decoded. */
  readonly values?: V | undefined
}

/** How a key is read with its revisions. */
export interface EntryOptions<V extends ValueCodec = ValueCodec, K extends KeyCodec = KeyCodec>
  extends GetOptions<V> {
  /** How the key is decoded. */
  readonly keys?: K | undefined
}

/**
 * When a write is acknowledged: `'strict'`, once it survives a crash, with one sync for all strict writes of a turn of the event loop;
 * `'relaxed'`, at once, and it is synced within the store's `flushInterval`.
 *
 * Both are applied, and seen by every read, as soon as the call is made. In memory, which no crash survives, both are acknowledged at
 * once. What is synced takes everything with it that was written before.
 */
export type Durability = 'strict' | 'relaxed'

/** How something is written. */
export interface WriteOptions {
  /** When it is acknowledged; without it, as the store's own `durability` says. */
  readonly durability?: Durability | undefined
}

/** How a value is written. */
export interface PutOptions<V extends ValueCodec = ValueCodec> extends WriteOptions {
  /** How the value is encoded. */
  readonly values?: V | undefined
}

/** Which keys are counted, and when. */
export interface CountOptions extends KeySelection {
  /** The revision to read at; without it, or with 0, the newest. */
  readonly revision?: number | undefined
}

/** Which keys are read without their values, and how. */
export interface KeysOptions<K extends KeyCodec = KeyCodec> extends CountOptions {
  /** How many at most. */
  readonly limit?: number | undefined
  /** How keys are decoded. */
  readonly keys?: K | undefined
  /** Ends the iteration with the signal's reason. */
  readonly signal?: AbortSignalLike | undefined
}

/** Which entries are read, and how. Without a selection: all of them. */
export interface RangeOptions<V extends ValueCodec = ValueCodec, K extends KeyCodec = KeyCodec>
  extends KeysOptions<K> {
  /** How values are decoded. */
  readonly values?: V | undefined
}

/** A key with its value as of some revision. */
export interface Entry<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'> {
  /** The key. */
  readonly key: KeyTypes[K]
  /** The value. */
  readonly value: ValueTypes[V]
  /** The revision that created the key, or created it again after a delete. */
  readonly createRevision: number
  /** The revision that put this value. */
  readonly modRevision: number
  /** How often the key was put since it was created: 1 for the first value. */
  readonly version: number
}

/** Entries that were collected. */
export interface Page<T> {
  /** The entries, in key order. */
  readonly entries: T[]
  /** Whether the limit left entries out. */
  readonly more: boolean
}

/**
 * Entries or keys in key order, read lazily and in batches.
 *
 * Each iteration reads the store as it is when the first item is asked for, whatever is written or compacted while it
 * goes on.
 */
export interface Range<T> extends AsyncIterable<T> {
  /** Reads them all. */
  collect(): Promise<Page<T>>
}

/** What can be read from a store and from a snapshot of it. */
export interface Reader<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'> {
  /** The value of a key, `undefined` if there is none. */
  get<W extends ValueCodec = V>(key: Key, options?: GetOptions<W>): Promise<ValueTypes[W] | undefined>
  /** As `get`, at once. Only where the engine runs in the calling thread. */
  getSync<W extends ValueCodec = V>(key: Key, options?: GetOptions<W>): ValueTypes[W] | undefined
  /** A key's value with its revisions, `undefined` if there is none. */
  getEntry<W extends ValueCodec = V, L extends KeyCodec = K>(
    key: Key,
    options?: EntryOptions<W, L>,
  ): Promise<Entry<W, L> | undefined>
  /** Entries in key order. */
  range<W extends ValueCodec = V, L extends KeyCodec = K>(options?: RangeOptions<W, L>): Range<Entry<W, L>>
  /** As `range`, at once. Only where the engine runs in the calling thread. */
  rangeSync<W extends ValueCodec = V, L extends KeyCodec = K>(
    options?: RangeOptions<W, L>,
  ): IterableIterator<Entry<W, L>>
  /** Keys in order, without reading their values. */
  keys<L extends KeyCodec = K>(options?: KeysOptions<L>): Range<KeyTypes[L]>
  /** How many keys there are. Reads the index only. */
  count(options?: CountOptions): Promise<number>
}

/** The store as it was at one revision, for as long as it is open: O(1) to take, whatever is written or compacted later. */
export interface Snapshot<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'>
  extends Reader<V, K>,
    Disposing {
  /** The revision that it reads at. */
  readonly revision: number
  /** Gives back what it holds. Closing twice does nothing. */
  close(): void
}

/** What a put answers. */
export interface Written {
  /** The revision that it made. */
  readonly revision: number
}

/** What a delete answers. */
export interface Deleted {
  /** The store's revision after it. */
  readonly revision: number
  /** How many keys were deleted; with none, no revision was made. */
  readonly deleted: number
}

/** How a stored value must relate to a given one. */
export type RelationName = 'equals' | 'notEquals' | 'lessThan' | 'greaterThan'

/** What of a key is compared. */
export type CompareTarget = 'version' | 'createRevision' | 'modRevision' | 'value'

/** One condition of a transaction. Made by `compare`. */
export interface Compare {
  readonly keys: Key | KeySelection
  readonly target: CompareTarget
  readonly relation: RelationName
  readonly operand: unknown
}

/** A compare that still lacks what to compare with. */
export interface Comparing<T> {
  /** It must be this. */
  equals(operand: T): Compare
  /** It must not be this. */
  notEquals(operand: T): Compare
  /** It must be less. */
  lessThan(operand: T): Compare
  /** It must be greater. */
  greaterThan(operand: T): Compare
}

/**
 * What can be compared about a key, or about every key of a selection. A selection that has no keys is compared like a key
 * that does not exist.
 */
export interface CompareKeys<T = unknown> {
  /** How often the key was put since it was created; 0 if it does not exist. */
  readonly version: Comparing<number>
  /** The revision that created it; 0 if it does not exist. */
  readonly createRevision: Comparing<number>
  /** The revision that last put it; 0 if it does not exist. */
  readonly modRevision: Comparing<number>
  /** Its value, as bytes. A key that does not exist fulfils no such condition. */
  readonly value: Comparing<T>
}

/** Writes a value. Made by `put`. */
export interface PutOp {
  readonly type: 'put'
  readonly key: Key
  readonly value: unknown
}

/** Deletes keys. Made by `del`. */
export interface DeleteOp {
  readonly type: 'delete'
  readonly keys: Key | KeySelection
}

/** Reads keys. Made by `get`. */
export interface GetOp {
  readonly type: 'get'
  readonly keys: Key | KeySelection
  readonly revision?: number | undefined
  readonly limit?: number | undefined
}

/** One operation of a transaction. */
export type Op = PutOp | DeleteOp | GetOp

/** What one operation of a transaction answered, in the order of the operations. */
export type OpResult<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'> =
  | { readonly type: 'put' }
  | { readonly type: 'delete'; readonly deleted: number }
  | { readonly type: 'get'; readonly entries: Entry<V, K>[]; readonly more: boolean }

/** What a transaction answered. */
export interface TxnResult<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'> {
  /** Whether all compares held, so that the `then` branch ran. */
  readonly succeeded: boolean
  /** The store's revision after the transaction. */
  readonly revision: number
  /** The answers of the branch that ran, in its order. */
  readonly results: OpResult<V, K>[]
}

/**
 * A transaction being written: compares, and what to do if all of them hold or if one fails.
 *
 * It is not a promise though it has a `then`: nothing happens before `commit`.
 */
export interface Txn<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'> {
  /** Adds conditions; all of them see the store before the transaction. */
  if(...compares: Compare[]): this
  /** Adds operations for the case that all conditions hold. */
  then(...ops: Op[]): this
  /** Adds operations for the case that one condition fails. */
  else(...ops: Op[]): this
  /** Runs it: all of a branch's operations, or none, in one revision. */
  commit(options?: WriteOptions): Promise<TxnResult<V, K>>
}

/** How far a compaction is. */
export interface CompactionProgress {
  /** The revision compacted to. */
  readonly revision: number
  /** Records removed so far. */
  readonly removed: number
  /** Records there were to remove when it began. */
  readonly total: number
  /** Pages freed so far, less those filled anew. */
  readonly pagesFreed: number
  /** Whether everything is removed and durable. */
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
  /** Fulfilled once everything is removed and durable; rejected if the background work fails or the store is closed. */
  readonly done: Promise<CompactionProgress>
  /** As `done`, with a signal that ends the wait. */
  wait(options?: WaitOptions): Promise<CompactionProgress>
  /** How far it is, now and after each step until it is finished. A slow reader skips steps. */
  progress(options?: WaitOptions): AsyncIterable<CompactionProgress>
  /** How far it is now. */
  status(): CompactionProgress
}

/** The store in numbers. */
export interface Status {
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
  /** Records that a newer one has replaced and that are not yet removed. */
  readonly deadRecords: number
  /** Bytes in a page. */
  readonly pageBytes: number
  /** The storage's length in bytes. */
  readonly fileBytes: number
  /** Bytes of pages that are in use: reachable now, or pending. */
  readonly usedBytes: number
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

/** How a store is opened. Every option but `storage` has a default. */
export interface OpenOptions<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'> {
  /** Where the bytes are: `'memory'`, a file's path or `file:` URL, or a storage of your own. */
  readonly storage: 'memory' | { readonly file: string | URLLike } | SyncStorage
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
  /** The newest compaction since the store was opened, a resumed one too; `undefined` if there was none. */
  readonly compaction: CompactionJob | undefined
  /**
   * Writes a value under a key. It is applied at once; the promise is fulfilled when the {@link Durability} asked for is reached, and
   * rejected if that is not certain.
   */
  put<W extends ValueCodec = V>(key: Key, value: ValueTypes[W], options?: PutOptions<W>): Promise<Written>
  /** Deletes one key or a selection of keys; applied and acknowledged as a put is. */
  delete(keys: Key | KeySelection, options?: WriteOptions): Promise<Deleted>
  /** Begins a transaction. */
  txn(): Txn<V, K>
  /** A condition about a key, or about every key of a selection. */
  compare(keys: Key | KeySelection): CompareKeys<ValueTypes[V]>
  /** The store as it is now, or as it was at a revision. */
  snapshot(options?: SnapshotOptions): Snapshot<V, K>
  /** Removes what no read at `revision` or later can see. The job runs in the background. Everything written before is synced. */
  compact(revision: number): Promise<CompactionJob>
  /** The store in numbers. */
  status(): Promise<Status>
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
}
