/**
 * A medium of bytes of your own. All methods are synchronous, and exceptions reach the caller whose call it was.
 *
 * The buffers handed to `read` and `write` belong to the storage only until the method returns. `length` of a new medium
 * is 0. After `sync` has returned, everything written and truncated before must survive a crash.
 */
export interface SyncStorage {
  /** Fills `buffer` with the bytes from `offset`. Answers how many it has read; fewer than asked for is a failure. */
  read(offset: number, buffer: Uint8Array): number
  /** Writes `bytes` at `offset`, growing the medium as needed. Answers how many it has written. */
  write(offset: number, bytes: Uint8Array): number
  /** Makes everything written so far durable. */
  sync(): void
  /** The medium's length in bytes. */
  length(): number
  /** Cuts the medium off at `length`, or extends it with zeros. */
  truncate(length: number): void
  /**
   * Only for a medium that can't be waited for: there `sync` only begins to make durable what was written, in the order of the syncs, and
   * this is fulfilled when all that has begun is durable, or rejected if it is not. After that every change must be refused.
   */
  settled?(): Promise<void>
  /** Called once when the store is closed or could not be opened. */
  close?(): void
}

/** Where a store's bytes are. */
export interface StorageInfo {
  /** What kind of storage it is. */
  readonly kind: 'memory' | 'file' | 'opfs' | 'indexeddb' | 'custom'
  /** Whether it outlives the program; `undefined` where only a custom storage itself could say. */
  readonly persistent: boolean | undefined
  /** The file's absolute path, for a file. */
  readonly path?: string | undefined
  /** The store's name, in the storages of a browser. */
  readonly name?: string | undefined
}

/**
 * The storages that a browser has, where stores have names: its private file system, IndexedDB, or the first of these that is to be had.
 * Never memory: without either, opening fails.
 */
export type NamedStorage = 'opfs' | 'indexeddb' | 'auto'

/** A URL, said in a way that needs no library types of a browser or of Node. */
export interface URLLike {
  readonly href: string
  readonly protocol: string
}

/** What a worker tells those who listen: a message has `data`, an error a `message`. */
export interface WorkerEventLike {
  readonly data?: unknown
  readonly message?: string
}

/** A `Worker`, said in a way that needs no library types of a browser. */
export interface WorkerLike {
  postMessage(message: unknown): void
  addEventListener(
    type: 'message' | 'error' | 'messageerror',
    listener: (event: WorkerEventLike) => void,
  ): void
  terminate(): void
}
