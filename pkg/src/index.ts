/**
 * An embeddable multi-version key-value store: revisions, time travel, transactions, compaction.
 *
 * @packageDocumentation
 */
import { loadEngine } from './node-engine.js'
import { openFile, openNamed } from './node-file.js'
import { nodeHost } from './node-host.js'
import { importEtcdIn, importIn, openIn } from './open.js'
import type {
  EtcdImported,
  EtcdImportOptions,
  ImportOptions,
  ImportSource,
  KeyCodec,
  OpenOptions,
  Store,
  ValueCodec,
} from './types.js'

const environment = { host: nodeHost, openFile, openNamed, load: loadEngine }

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
  const store = await openIn(environment, options)
  // `Symbol.asyncDispose` is added to the prototype, which the types can't see.
  return store as unknown as Store<V, K>
}

/**
 * Makes a store of the bytes of {@link Store.export}, in a storage that holds nothing yet, or what is left of an import that was cut
 * short, and opens it. What is damaged, cut off or no export rejects with `INVALID_SOURCE`, and nothing is left of the store.
 *
 * @example
 * ```ts
 * const db = await importStore(fs.createReadStream('backup.plx'), { storage: { file: 'restored.plm' } })
 * ```
 *
 * @throws PalimpsestError with the code `INVALID_SOURCE` or `NEWER_FORMAT` if the source is no sound export, `INVALID_ARGUMENT` if there is
 * something in the storage or an option is wrong, `LOCKED`, `STORAGE`; and whatever the source throws.
 */
export async function importStore<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'>(
  source: ImportSource,
  options: OpenOptions<V, K> & ImportOptions,
): Promise<Store<V, K>> {
  const store = await importIn(environment, source, options)
  return store as unknown as Store<V, K>
}

/**
 * Makes a store of a snapshot of etcd 3, as `etcdctl snapshot save` writes it, in a storage that holds nothing yet, and opens it: all its history under
 * its revisions, and its leases. A compaction that was not finished goes on. `hashKv` is what that etcd says. The snapshot is held in
 * memory meanwhile; the program `palimpsest import-etcd` reads a file of any size instead.
 *
 * etcd gives leases numbers of up to 63 bits. Those beyond 2^53 - 1 are told rounded, and can't be asked for; they end by
 * themselves all the same.
 *
 * What the snapshot was like is told by `imported` of the store.
 *
 * @example
 * ```ts
 * const db = await importEtcdSnapshot(await fs.promises.readFile('snapshot.db'), { storage: 'memory' })
 * await db.get('config/port', { revision: 6 })
 * ```
 *
 * @throws PalimpsestError with the code `INVALID_SOURCE` if it is no sound snapshot, `INVALID_ARGUMENT` if there is something in the storage or
 * an option is wrong, `KEY_TOO_LARGE`, `VALUE_TOO_LARGE`, `LOCKED`, `STORAGE`; and whatever the source throws.
 */
export async function importEtcdSnapshot<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'>(
  source: ImportSource,
  options: OpenOptions<V, K> & EtcdImportOptions,
): Promise<Store<V, K> & { readonly imported: EtcdImported }> {
  const { store, imported } = await importEtcdIn(environment, source, options)
  return Object.assign(store as unknown as Store<V, K>, { imported })
}

export { type ErrorCode, type ErrorFields, PalimpsestError } from './errors.js'
export { compare, del, get, put } from './ops.js'
export type * from './types.js'
