/**
 * What kind of trouble a {@link PalimpsestError} is about. Codes are stable: a program may branch on them.
 *
 * | code | what happened |
 * | --- | --- |
 * | `BUSY` | a custom storage called back into the store that was using it |
 * | `CLOSED` | the store or snapshot is closed |
 * | `COMPACTED` | the revision asked for was compacted: see `requested` and `compacted` |
 * | `CORRUPT` | bytes of the store are damaged: see `page`, `kind` and `what` |
 * | `DUPLICATE_KEY` | a transaction would change one key twice: see `key` |
 * | `EMPTY_INTERVAL` | an interval to be watched ends where it starts, or before |
 * | `EMPTY_KEY` | a key has no bytes |
 * | `EMPTY_PIN_NAME` | a pin's name has no bytes |
 * | `FUTURE_REVISION` | the revision asked for is not written yet: see `requested` and `current` |
 * | `HOLD_EXCEEDED` | compaction has waited for a watch as long as its `hold` says: see `bound`, `limit` and `behind` |
 * | `INVALID_ARGUMENT` | an argument or option is not what it must be; the message holds the value |
 * | `INVALID_SOURCE` | what is to be imported is damaged, cut off or something else: see `offset` and `what` |
 * | `INVALID_VALUE` | a stored value can't be decoded by the codec it was read with; see `revision` if it is the answer of a write, which was made |
 * | `KEY_NOT_FOUND` | a put is to keep the value or the lease of a key that does not exist: see `key` |
 * | `KEY_TOO_LARGE`, `VALUE_TOO_LARGE` | over the limit: see `bytes` and `limit` |
 * | `LEASE_EXISTS` | a lease is to be granted the number of another one: see `lease` |
 * | `LEASE_NOT_FOUND` | there is no such lease, or no more: see `lease` |
 * | `LEASE_TTL_TOO_LARGE` | a lease is to live too long: see `seconds` and `limit` |
 * | `LEADER_LOST` | the tab that had the engine of the store is gone, and with it the answer: whether the call was done is unknown; see `method` |
 * | `LOCKED` | another handle has the store open: see `holder` |
 * | `NEWER_FORMAT` | the store was written by a newer build: see `found` and `supported` |
 * | `NOT_A_STORE` | the file or folder is no store |
 * | `NO_SPACE` | a write may need more than the quota allows: see `used`, `needed` and `quota` |
 * | `PIN_NAME_RESERVED` | what is to be pinned has a name that begins with `$`: see `pin` |
 * | `PIN_NAME_TOO_LONG` | over the limit: see `bytes` and `limit` |
 * | `PIN_NOT_FOUND` | there is no such pin, or no more: see `pin` |
 * | `POISONED` | the engine broke down earlier and can't be used any more in this process |
 * | `REVISIONS_EXHAUSTED` | the store has used up its 2^53 - 1 revisions |
 * | `STORAGE` | the storage failed or is full, or a store's file has more than one name: see `operation` and `reason` |
 * | `TIME_UNKNOWN` | the store does not know what was there at a time: see `time` |
 * | `TOO_MANY_OPERATIONS` | a transaction is too long: see `operations` and `limit` |
 * | `UNSUPPORTED` | this host lacks something that is needed |
 * | `WATCH_NOT_FOUND` | the engine has no such watcher: see `watcher`; a watch of this package never asks for one |
 * | `WRITES_REFUSED` | the storage failed earlier: open the store again to write |
 */
export type ErrorCode =
  | 'BUSY'
  | 'CLOSED'
  | 'COMPACTED'
  | 'CORRUPT'
  | 'DUPLICATE_KEY'
  | 'EMPTY_INTERVAL'
  | 'EMPTY_KEY'
  | 'EMPTY_PIN_NAME'
  | 'FUTURE_REVISION'
  | 'HOLD_EXCEEDED'
  | 'INVALID_ARGUMENT'
  | 'INVALID_SOURCE'
  | 'INVALID_VALUE'
  | 'KEY_NOT_FOUND'
  | 'KEY_TOO_LARGE'
  | 'LEASE_EXISTS'
  | 'LEASE_NOT_FOUND'
  | 'LEASE_TTL_TOO_LARGE'
  | 'LEADER_LOST'
  | 'LOCKED'
  | 'NEWER_FORMAT'
  | 'NOT_A_STORE'
  | 'NO_SPACE'
  | 'PIN_NAME_RESERVED'
  | 'PIN_NAME_TOO_LONG'
  | 'PIN_NOT_FOUND'
  | 'POISONED'
  | 'REVISIONS_EXHAUSTED'
  | 'STORAGE'
  | 'TIME_UNKNOWN'
  | 'TOO_MANY_OPERATIONS'
  | 'UNSUPPORTED'
  | 'VALUE_TOO_LARGE'
  | 'WATCH_NOT_FOUND'
  | 'WRITES_REFUSED'

/** The values that an error is about; which ones are there depends on its code. */
export interface ErrorFields {
  /** The revision of the call. */
  readonly requested?: number
  /** The oldest revision that can be read. */
  readonly compacted?: number
  /** The newest revision. */
  readonly current?: number
  /** A length in bytes. */
  readonly bytes?: number
  /** The limit that was passed. */
  readonly limit?: number
  /** How many operations or compares there were. */
  readonly operations?: number
  /** The key, as its bytes. */
  readonly key?: Uint8Array
  /** The number of the lease. */
  readonly lease?: number
  /** A time, in milliseconds since the beginning of 1970. */
  readonly time?: number
  /** A time in seconds. */
  readonly seconds?: number
  /** Bytes in use. */
  readonly used?: number
  /** Bytes that a write may need. */
  readonly needed?: number
  /** Bytes that may be in use. */
  readonly quota?: number
  /** The number of the watcher. */
  readonly watcher?: number
  /** The name of the pin. */
  readonly pin?: string
  /** What was over its bound: `'revisions'` or `'bytes'`. */
  readonly bound?: string
  /** How far a watch was behind. */
  readonly behind?: number
  /** The store's revision after a write that was made though its answer can't be given. */
  readonly revision?: number
  /** The name of the option or argument. */
  readonly option?: string
  /** What the storage or the format said. */
  readonly reason?: string
  /** The number of the damaged page. */
  readonly page?: number
  /** What the damaged page was expected to be. */
  readonly kind?: string
  /** What was wrong with the page, or with what was to be imported. */
  readonly what?: string
  /** The byte of what was to be imported at which the part begins that is wrong. */
  readonly offset?: number
  /** What the storage was doing. */
  readonly operation?: string
  /** The method whose answer was lost. */
  readonly method?: string
  /** Who has the store open. */
  readonly holder?: string
  /** The format version found. */
  readonly found?: number
  /** The newest format version that this build reads. */
  readonly supported?: number
  /** The file that the error is about. */
  readonly path?: string
}

/** The error of every call of this package: a stable `code`, a message for people, and the values as fields. */
export class PalimpsestError extends Error implements ErrorFields {
  /** What kind of trouble it is. */
  readonly code: ErrorCode
  declare readonly requested?: number
  declare readonly compacted?: number
  declare readonly current?: number
  declare readonly bytes?: number
  declare readonly limit?: number
  declare readonly operations?: number
  declare readonly key?: Uint8Array
  declare readonly lease?: number
  declare readonly time?: number
  declare readonly seconds?: number
  declare readonly used?: number
  declare readonly needed?: number
  declare readonly quota?: number
  declare readonly watcher?: number
  declare readonly pin?: string
  declare readonly bound?: string
  declare readonly behind?: number
  declare readonly revision?: number
  declare readonly option?: string
  declare readonly reason?: string
  declare readonly page?: number
  declare readonly kind?: string
  declare readonly what?: string
  declare readonly offset?: number
  declare readonly operation?: string
  declare readonly method?: string
  declare readonly holder?: string
  declare readonly found?: number
  declare readonly supported?: number
  declare readonly path?: string

  /**
   * @param code - What kind of trouble it is.
   * @param message - What happened, for people.
   * @param fields - The values it is about.
   */
  constructor(code: ErrorCode, message: string, fields: ErrorFields = {}) {
    super(message)
    this.code = code
    Object.assign(this, fields)
  }
}

// On the prototype, so that the name is not an own property of every error.
Object.defineProperty(PalimpsestError.prototype, 'name', {
  value: 'PalimpsestError',
  configurable: true,
  writable: true,
})

/** An argument that is not what it must be. */
export function invalid(message: string, fields: ErrorFields = {}): PalimpsestError {
  return new PalimpsestError('INVALID_ARGUMENT', message, fields)
}

/** A store or snapshot that is used after its end. */
export function closed(what: string): PalimpsestError {
  return new PalimpsestError('CLOSED', `the ${what} is closed`)
}

/** Decodes what a write answers, which has happened by then. */
export function afterWrite<T>(revision: number, decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    if (!(error instanceof PalimpsestError) || error.code !== 'INVALID_VALUE') throw error
    const message = `${error.message}; that is about the answer, and what was asked for has been done: the store is at revision ${revision}`
    throw new PalimpsestError('INVALID_VALUE', message, { revision })
  }
}

/** A value in words, short enough for a message. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}...` : value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'symbol' || value === null || typeof value !== 'object') return String(value)
  return Array.isArray(value) ? 'an array' : `an object of type ${value.constructor?.name ?? 'null'}`
}
