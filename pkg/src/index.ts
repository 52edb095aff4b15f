/**
 * An embeddable multi-version key-value store: revisions, time travel, transactions, compaction.
 *
 * @packageDocumentation
 */
import { loadEngine } from './node-engine.js'
import { openFile, openNamed } from './node-file.js'
import { nodeHost } from './node-host.js'
import { openIn } from './open.js'
import type { KeyCodec, OpenOptions, Store, ValueCodec } from './types.js'

/**
 * Opens a store, or creates it.
 *
 * @example
 * ```ts
 * const db = await open({ storage: { file: 'app.plm' } }) // in a browser: { name: 'app', storage: 'auto' }
 * const { revision } = await db.put('users/1', 'Ada')
 * await db.put('users/1', 'Ada Lovelace')
 * await db.get('users/1', { revision }) // 'Ada'
 * await db.close()
 * ```
 *
 * @throws PalimpsestError with the code `LOCKED` if another handle has the store open, `NOT_A_STORE`, `NEWER_FORMAT` or
 * `CORRUPT` if the bytes are no sound store, `STORAGE` if the storage fails, `UNSUPPORTED` if this host has no such storage,
 * `INVALID_ARGUMENT` if an option is wrong.
 */
export async function open<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'>(
  options: OpenOptions<V, K>,
): Promise<Store<V, K>> {
  const store = await openIn({ host: nodeHost, openFile, openNamed, load: loadEngine }, options)
  // `Symbol.asyncDispose` is added to the prototype, which the types can't see.
  return store as unknown as Store<V, K>
}

export { type ErrorCode, type ErrorFields, PalimpsestError } from './errors.js'
export { compare, del, get, put } from './ops.js'
export type * from './types.js'
