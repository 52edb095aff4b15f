import type { Key, KeyCodec, KeySelection, ValueCodec } from './types-base.js'
import type { Entry, KeyEntry, ReadOptions } from './types-read.js'
import type { PutModifiers, WriteOptions } from './types-write.js'

/** How a stored value must relate to a given one. */
export type RelationName = 'equals' | 'notEquals' | 'lessThan' | 'greaterThan'

/** What of a key is compared. */
export type CompareTarget = 'version' | 'createRevision' | 'modRevision' | 'lease' | 'value'

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
  /** The number of the lease that it is attached to; 0 if there is none, or no such key. */
  readonly lease: Comparing<number>
  /** Its value, as bytes. A key that does not exist fulfils no such condition. */
  readonly value: Comparing<T>
}

/** Writes a value. Made by `put`. */
export interface PutOp extends PutModifiers {
  readonly type: 'put'
  readonly key: Key
  readonly value: unknown
}

/** What a delete in a transaction answers. */
export interface DeleteModifiers {
  /** Whether the entries that are deleted are answered. */
  readonly previous?: boolean | undefined
}

/** Deletes keys. Made by `del`. */
export interface DeleteOp extends DeleteModifiers {
  readonly type: 'delete'
  readonly keys: Key | KeySelection
}

/** How keys are read in a transaction. */
export interface GetModifiers extends ReadOptions {
  /** The revision to read at; without it, or with 0, the newest, with what the transaction has written so far. */
  readonly revision?: number | undefined
  /** A time in place of a revision: the newest revision that the store knows was there. */
  readonly at?: Date | undefined
  /** Whether values are left out, and not read. */
  readonly keysOnly?: boolean | undefined
  /** Whether entries are left out, and only counted. */
  readonly countOnly?: boolean | undefined
}

/** Reads keys. Made by `get`. */
export interface GetOp extends GetModifiers {
  readonly type: 'get'
  readonly keys: Key | KeySelection
}

/** One operation of a transaction; another transaction is one, too. */
export type Op = PutOp | DeleteOp | GetOp | Txn<ValueCodec, KeyCodec>

/** What one operation of a transaction answered, in the order of the operations. */
export type OpResult<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'> =
  | {
      readonly type: 'put'
      /** The entry that was replaced; there if it was asked for and there was one. */
      readonly previous?: Entry<V, K>
    }
  | {
      readonly type: 'delete'
      readonly deleted: number
      /** The entries that were deleted; there if they were asked for. */
      readonly previous?: Entry<V, K>[]
    }
  | {
      readonly type: 'get'
      readonly entries: Entry<V, K>[]
      readonly more: boolean
      /** How many keys were selected; there if it was asked for. */
      readonly count?: number
    }
  | {
      /** What a `get` with `keysOnly` answered. */
      readonly type: 'keys'
      readonly entries: KeyEntry<K>[]
      readonly more: boolean
      /** How many keys were selected; there if it was asked for. */
      readonly count?: number
    }
  | ({ readonly type: 'txn' } & TxnResult<V, K>)

/** What a transaction answered. */
export interface TxnResult<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'> {
  /** Whether all compares held, so that the `then` branch ran. */
  readonly succeeded: boolean
  /** The store's revision after the transaction; for one within another, after its part of it. */
  readonly revision: number
  /** The answers of the branch that ran, in its order. */
  readonly results: OpResult<V, K>[]
}

/**
 * A transaction being written: compares, and what to do if all of them hold or if one fails.
 *
 * Given to `then` or `else` of another one, it becomes an operation of that, as it is at that moment. Its conditions, too, see the store
 * before the outermost transaction.
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
