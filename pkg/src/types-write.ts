import type { KeyCodec, ValueCodec } from './types-base.js'
import type { Entry } from './types-read.js'

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

/** What becomes of a key's lease and value with a put, and what is answered. */
export interface PutModifiers {
  /** Attaches the key to this lease: it is deleted when the lease ends. Without it, the key is detached from the lease that it has. */
  readonly lease?: number | undefined
  /** Leaves the key attached to the lease that it has. The key must exist, and there can be no `lease`. */
  readonly keepLease?: boolean | undefined
  /** Puts the value that the key has, under a new revision. The key must exist, and the value given must be `undefined`. */
  readonly keepValue?: boolean | undefined
  /** Whether the entry that is replaced is answered. */
  readonly previous?: boolean | undefined
}

/** How a value is written. */
export interface PutOptions<V extends ValueCodec = ValueCodec, K extends KeyCodec = KeyCodec>
  extends WriteOptions,
    PutModifiers {
  /** How the value is encoded, and the previous one decoded. */
  readonly values?: V | undefined
  /** How the key of the previous entry is decoded. */
  readonly keys?: K | undefined
}

/** How keys are deleted. */
export interface DeleteOptions<V extends ValueCodec = ValueCodec, K extends KeyCodec = KeyCodec>
  extends WriteOptions {
  /** Whether the entries that are deleted are answered. */
  readonly previous?: boolean | undefined
  /** How values of previous entries are decoded. */
  readonly values?: V | undefined
  /** How keys of previous entries are decoded. */
  readonly keys?: K | undefined
}

/** What a put answers. */
export interface Written<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'> {
  /** The revision that it made. */
  readonly revision: number
  /** The entry that it replaced; there if it was asked for and there was one. */
  readonly previous?: Entry<V, K>
}

/** What a delete answers. */
export interface Deleted<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'> {
  /** The store's revision after it. */
  readonly revision: number
  /** How many keys were deleted; with none, no revision was made. */
  readonly deleted: number
  /** The entries that were deleted, in key order; there if they were asked for. */
  readonly previous?: Entry<V, K>[]
}

/** How a lease is granted. */
export interface GrantOptions extends WriteOptions {
  /** Its number, from 1 to 2^53 - 1, which no other lease may have; without it, one that is free. */
  readonly id?: number | undefined
}

/** A lease that was granted. */
export interface Lease {
  /** Its number. */
  readonly id: number
  /** How long it lives unless it is renewed, in milliseconds: the time asked for, in whole seconds, at least 2. */
  readonly ttl: number
  /** The store's revision, which a grant does not change. */
  readonly revision: number
}

/** What ending a lease answers. */
export interface Revoked {
  /** The store's revision after it. */
  readonly revision: number
  /** How many keys were deleted; with none, no revision was made. */
  readonly deleted: number
}

/** How a lease stands. */
export interface LeaseStatus {
  /** Its number. */
  readonly id: number
  /** How long it lives from its grant or its last renewal, in milliseconds. */
  readonly ttl: number
  /** How much of that is left, in milliseconds. */
  readonly remaining: number
  /** How many keys are attached to it. */
  readonly keys: number
}

/** How the keys of a lease are told. */
export interface LeaseKeysOptions<K extends KeyCodec = KeyCodec> {
  /** How keys are decoded. */
  readonly keys?: K | undefined
}
