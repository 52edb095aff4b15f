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
