import type { AbortSignalLike } from './types-base.js'

/** How an export is read. */
export interface ExportOptions {
  /** Ends it with the signal's reason. */
  readonly signal?: AbortSignalLike | undefined
}

/**
 * The bytes of an export, in chunks of at most about 64 KiB. Each is made when it is asked for, so that who writes them somewhere sets the
 * pace. It can be iterated once. What it holds of the store is given back at its end, or when the iteration is left.
 */
export interface Export extends AsyncIterableIterator<Uint8Array> {
  /**
   * The newest revision that is in it. In a page whose store is in a worker it is known from the first chunk on; before that, this throws
   * `UNSUPPORTED`.
   */
  readonly revision: number
  /** Ends it early. */
  return(): Promise<IteratorResult<Uint8Array>>
}

/** A `Blob` or `File`, or something else that can be read as a stream, said in a way that needs no library types of a browser or of Node. */
export interface BlobLike {
  stream(): StreamLike
}

/** A `ReadableStream` of bytes, said in the same way. */
export interface StreamLike {
  getReader(): {
    read(): Promise<{ readonly done: boolean; readonly value?: unknown }>
    cancel(reason?: unknown): Promise<unknown>
  }
}

/** Where bytes to import come from: all at once, or in pieces of any length. */
export type ImportSource =
  | Uint8Array
  | BlobLike
  | StreamLike
  | AsyncIterable<Uint8Array>
  | Iterable<Uint8Array>

/** How an import may be ended early. */
export interface ImportOptions {
  /** Ends it with the signal's reason; nothing is left of the store. */
  readonly signal?: AbortSignalLike | undefined
}

/** What was taken of a snapshot of etcd, besides what the store itself tells. */
export interface EtcdImported {
  /** Versions and deletes. */
  readonly records: number
  /** Leases that were there. */
  readonly leases: number
  /** Leases that keys were attached to and that had ended: they were granted anew, for the longest time there is. */
  readonly missingLeases: number
  /** Records without a key, which mark what a restore of that etcd has compacted, and which were left out. */
  readonly marks: number
}

/** How a snapshot of etcd is imported. */
export interface EtcdImportOptions extends ImportOptions {
  /**
   * Whether the snapshot must have the hash at its end that `etcdctl snapshot save` writes, and fit it: `'required'` (the default), or
   * `'skipped'` for a member's file `db`, as `etcdctl` does with `--skip-hash-check`.
   */
  readonly hashCheck?: 'required' | 'skipped' | undefined
}
