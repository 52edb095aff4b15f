import type { AbortSignalLike, KeyCodec, KeySelection, KeyTypes, ValueCodec } from './types-base.js'
import type { Entry, KeyEntry } from './types-read.js'

/** Which versions of a key are read, and how. */
export interface HistoryOptions<V extends ValueCodec = ValueCodec, K extends KeyCodec = KeyCodec> {
  /** Whether the newest comes first. */
  readonly reverse?: boolean | undefined
  /** The revision to begin at: the oldest version not before it comes first or, in reverse, the newest not after it. */
  readonly from?: number | undefined
  /** How many at most. */
  readonly limit?: number | undefined
  /** Ends the iteration with the signal's reason. */
  readonly signal?: AbortSignalLike | undefined
  /** How values are decoded. */
  readonly values?: V | undefined
  /** How keys are decoded. */
  readonly keys?: K | undefined
}

/** A value that was put. */
export interface PutVersion<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'> extends Entry<V, K> {
  readonly type: 'put'
}

/** A key that was deleted. */
export interface DeleteVersion<K extends KeyCodec = 'utf8'> {
  readonly type: 'delete'
  /** The key. */
  readonly key: KeyTypes[K]
  readonly value: undefined
  readonly createRevision: 0
  /** The revision of the delete. */
  readonly modRevision: number
  readonly version: 0
  readonly lease: undefined
}

/** What one revision did to a key. */
export type Version<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'> =
  | PutVersion<V, K>
  | DeleteVersion<K>

/** Which keys are compared, and how. Without a selection: all of them. */
export interface DiffOptions<V extends ValueCodec = ValueCodec, K extends KeyCodec = KeyCodec>
  extends KeySelection {
  /** How many at most. */
  readonly limit?: number | undefined
  /** Ends the iteration with the signal's reason. */
  readonly signal?: AbortSignalLike | undefined
  /** How values are decoded. */
  readonly values?: V | undefined
  /** How keys are decoded. */
  readonly keys?: K | undefined
  /** Whether values are left out, and not read; see {@link KeyDiffOptions}. */
  readonly keysOnly?: false | undefined
}

/** Which keys are compared without reading their values, and how. */
export interface KeyDiffOptions<K extends KeyCodec = KeyCodec>
  extends Omit<DiffOptions<ValueCodec, K>, 'values' | 'keysOnly'> {
  /** Values are left out, and not read. */
  readonly keysOnly: true
}

/** A key that is not the same at two revisions. */
interface Differing<E> {
  /** `'created'`: there is nothing before. `'deleted'`: there is nothing after. */
  readonly type: 'created' | 'changed' | 'deleted'
  /** What it was at the revision compared from. */
  readonly before: E | undefined
  /** What it is at the revision compared with. */
  readonly after: E | undefined
}

/** A key that is not the same at two revisions, with its values. */
export interface Difference<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'>
  extends Differing<Entry<V, K>> {
  /** The key. */
  readonly key: KeyTypes[K]
}

/** A key that is not the same at two revisions, without its values. */
export interface KeyDifference<K extends KeyCodec = 'utf8'> extends Differing<KeyEntry<K>> {
  /** The key. */
  readonly key: KeyTypes[K]
}

/** By which prefixes of the keys a dry run counts. */
export interface DryRunOptions<K extends KeyCodec = KeyCodec> {
  /** What a prefix ends with; `'/'` by default. */
  readonly delimiter?: string | Uint8Array | undefined
  /** Up to the how manieth delimiter; 1 by default. A key that has fewer is counted by what ends with its last. */
  readonly depth?: number | undefined
  /** Rejects with the signal's reason, and ends the work; where that is another thread's, nobody waits for it any more. */
  readonly signal?: AbortSignalLike | undefined
  /** How prefixes are decoded. */
  readonly keys?: K | undefined
}

/** What would be freed. */
export interface Freed {
  /** Versions and deletes. */
  readonly records: number
  /** Bytes that they take. */
  readonly bytes: number
}

/** What a compaction would free. */
export interface DryRun<K extends KeyCodec = 'utf8'> extends Freed {
  /** The revision compacted to. */
  readonly revision: number
  /** The same by prefix, in order; an empty one for keys without a delimiter. */
  readonly prefixes: (Freed & { readonly prefix: KeyTypes[K] })[]
}
