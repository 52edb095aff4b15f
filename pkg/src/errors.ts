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
 * | `EMPTY_KEY` | a key has no bytes |
 * | `FUTURE_REVISION` | the revision asked for is not written yet: see `requested` and `current` |
 * | `INVALID_ARGUMENT` | an argument or option is not what it must be; the message holds the value |
 * | `INVALID_VALUE` | a stored value can't be decoded by the codec it was read with |
 * | `KEY_TOO_LARGE`, `VALUE_TOO_LARGE` | over the limit: see `bytes` and `limit` |
 * | `LOCKED` | another handle has the store open: see `holder` |
 * | `NEWER_FORMAT` | the store was written by a newer build: see `found` and `supported` |
 * | `NOT_A_STORE` | the file or folder is no store |
 * | `POISONED` | the engine broke down earlier and can't be used any more in this process |
 * | `REVISIONS_EXHAUSTED` | the store has used up its 2^53 - 1 revisions |
 * | `STORAGE` | the storage failed or is full: see `operation` and `reason` |
 * | `TOO_MANY_OPERATIONS` | a transaction is too long: see `operations` and `limit` |
 * | `UNSUPPORTED` | this host lacks something that is needed |
 * | `WRITES_REFUSED` | the storage failed earlier: open the store again to write |
 */
export type ErrorCode =
  | 'BUSY'
  | 'CLOSED'
  | 'COMPACTED'
  | 'CORRUPT'
  | 'DUPLICATE_KEY'
  | 'EMPTY_KEY'
  | 'FUTURE_REVISION'
  | 'INVALID_ARGUMENT'
  | 'INVALID_VALUE'
  | 'KEY_TOO_LARGE'
  | 'LOCKED'
  | 'NEWER_FORMAT'
  | 'NOT_A_STORE'
  | 'POISONED'
  | 'REVISIONS_EXHAUSTED'
  | 'STORAGE'
  | 'TOO_MANY_OPERATIONS'
  | 'UNSUPPORTED'
  | 'VALUE_TOO_LARGE'
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
  /** The name of the option or argument. */
  readonly option?: string
  /** What the storage or the format said. */
  readonly reason?: string
  /** The number of the damaged page. */
  readonly page?: number
  /** What the damaged page was expected to be. */
  readonly kind?: string
  /** What was wrong with the page. */
  readonly what?: string
  /** What the storage was doing. */
  readonly operation?: string
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
  declare readonly option?: string
  declare readonly reason?: string
  declare readonly page?: number
  declare readonly kind?: string
  declare readonly what?: string
  declare readonly operation?: string
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

/** A value in words, short enough for a message. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}...` : value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'symbol' || value === null || typeof value !== 'object') return String(value)
  return Array.isArray(value) ? 'an array' : `an object of type ${value.constructor?.name ?? 'null'}`
}
