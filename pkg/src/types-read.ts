import type {
  AbortSignalLike,
  Key,
  KeyCodec,
  KeySelection,
  KeyTypes,
  ValueCodec,
  ValueTypes,
} from './types-base.js'
import type {
  Difference,
  DiffOptions,
  HistoryOptions,
  KeyDifference,
  KeyDiffOptions,
  KeyHistoryOptions,
  KeyVersion,
  Version,
} from './types-past.js'

/** How a key is read. */
export interface GetOptions<V extends ValueCodec = ValueCodec> {
  /** The revision to read at; without it, or with 0, the newest. */
  readonly revision?: number | undefined
  /** A time in place of a revision: the newest revision that the store knows was there. Not in a snapshot. */
  readonly at?: Date | undefined
  /** How the value is decoded. */
  readonly values?: V | undefined
}

/** How a key is read with its revisions. */
export interface EntryOptions<V extends ValueCodec = ValueCodec, K extends KeyCodec = KeyCodec>
  extends GetOptions<V> {
  /** How the key is decoded. */
  readonly keys?: K | undefined
}

/** Which keys are counted, and when. */
export interface CountOptions extends KeySelection {
  /** The revision to read at; without it, or with 0, the newest. */
  readonly revision?: number | undefined
  /** A time in place of a revision: the newest revision that the store knows was there. Not in a snapshot. */
  readonly at?: Date | undefined
}

/** What the entries of a range can be ordered by. */
export type SortBy = 'key' | 'version' | 'createRevision' | 'modRevision' | 'value'

/** In which order entries come. Those that are equal come in key order. */
export interface Sort {
  /** What they are ordered by; values, by their bytes. */
  readonly by: SortBy
  /** Which come first: the least (`'ascending'`, the default) or the greatest. */
  readonly order?: 'ascending' | 'descending' | undefined
}

/** Which entries of those selected are read, and in which order; bounds are included, and 0 is none. */
export interface ReadOptions {
  /** How many at most. */
  readonly limit?: number | undefined
  /** Another order than that of the keys: everything is read before the first entry comes. */
  readonly sort?: Sort | undefined
  /** Only values put at this revision or later. */
  readonly minModRevision?: number | undefined
  /** Only values put at this revision or earlier. */
  readonly maxModRevision?: number | undefined
  /** Only keys created at this revision or later. */
  readonly minCreateRevision?: number | undefined
  /** Only keys created at this revision or earlier. */
  readonly maxCreateRevision?: number | undefined
  /**
   * Whether what is collected has a `count`: of all selected keys, whatever the limit and the bounds on revisions. It reads the index of
   * all of them, and no value.
   */
  readonly withCount?: boolean | undefined
}

/** Which keys are read without their values, and how. */
export interface KeysOptions<K extends KeyCodec = KeyCodec> extends CountOptions, ReadOptions {
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
  /** Whether values are left out, and not read; see {@link KeyEntriesOptions}. */
  readonly keysOnly?: false | undefined
}

/** Which entries are read without their values, and how. */
export interface KeyEntriesOptions<K extends KeyCodec = KeyCodec> extends KeysOptions<K> {
  /** Values are left out, and not read. */
  readonly keysOnly: true
}

/** A key with its revisions as of some revision. */
export interface KeyEntry<K extends KeyCodec = 'utf8'> {
  /** The key. */
  readonly key: KeyTypes[K]
  /** The revision that created the key, or created it again after a delete. */
  readonly createRevision: number
  /** The revision that put its value. */
  readonly modRevision: number
  /** How often the key was put since it was created: 1 for the first value. */
  readonly version: number
  /**
   * The lease that the key is attached to. `Infinity` stands for one whose number is over 2^53 - 1, which this package gives to none.
   */
  readonly lease: number | undefined
}

/** A key with its value as of some revision. */
export interface Entry<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'> extends KeyEntry<K> {
  /** The value. */
  readonly value: ValueTypes[V]
}

/** Entries that were collected. */
export interface Page<T> {
  /** The entries, in key order unless another was asked for. */
  readonly entries: T[]
  /** Whether the limit left entries out. */
  readonly more: boolean
  /** How many keys were selected, whatever the limit and the bounds on revisions; there if `withCount` was asked for. */
  readonly count?: number
}

/**
 * Entries or keys, in key order unless another is asked for, read lazily and in batches.
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
  /** Entries without their values, which are not read. */
  range<L extends KeyCodec = K>(options: KeyEntriesOptions<L>): Range<KeyEntry<L>>
  /** Entries, in key order unless another is asked for. */
  range<W extends ValueCodec = V, L extends KeyCodec = K>(options?: RangeOptions<W, L>): Range<Entry<W, L>>
  /** As `range`, without values and at once. Only where the engine runs in the calling thread. */
  rangeSync<L extends KeyCodec = K>(options: KeyEntriesOptions<L>): IterableIterator<KeyEntry<L>>
  /** As `range`, at once. Only where the engine runs in the calling thread. */
  rangeSync<W extends ValueCodec = V, L extends KeyCodec = K>(
    options?: RangeOptions<W, L>,
  ): IterableIterator<Entry<W, L>>
  /** Keys, in their order unless another is asked for, without reading their values. */
  keys<L extends KeyCodec = K>(options?: KeysOptions<L>): Range<KeyTypes[L]>
  /** As `history`, without the values. */
  history<L extends KeyCodec = K>(key: Key, options: KeyHistoryOptions<L>): Range<KeyVersion<L>>
  /**
   * All versions of a key that still exist, deletes too, oldest first or newest first. What a compaction was asked to remove is not among
   * them, whether or not it is done.
   */
  history<W extends ValueCodec = V, L extends KeyCodec = K>(
    key: Key,
    options?: HistoryOptions<W, L>,
  ): Range<Version<W, L>>
  /** The keys that are not the same at two revisions, without reading their values. */
  diff<L extends KeyCodec = K>(from: number, to: number, options: KeyDiffOptions<L>): Range<KeyDifference<L>>
  /**
   * The keys that are not the same at two revisions, in key order; 0 stands for the newest. It tells how each was and how it is, not what
   * happened in between. From a later revision to an earlier one it tells what it would take to go back.
   */
  diff<W extends ValueCodec = V, L extends KeyCodec = K>(
    from: number,
    to: number,
    options?: DiffOptions<W, L>,
  ): Range<Difference<W, L>>
  /** How many keys there are, and nothing else. Reads the index only. */
  count(options?: CountOptions): Promise<number>
}
