/**
 * The package for browsers: the engine is part of it, compressed, and is loaded when the first store is opened.
 *
 * @packageDocumentation
 */
import type { ImportOptions, ImportSource, KeyCodec, OpenOptions, Store, ValueCodec } from '../types.js'
import { once } from './engine.js'
import { importFrom, openFrom, type Sources } from './open.js'
import { PARTS } from './parts.js'
import { decompressed, started } from './wasm.js'

const wasm = once(async () => {
  const { default: base64 } = (await import('palimpsest-wasm' as string)) as { default: string }
  const bytes = await decompressed(base64)
  return started(() => WebAssembly.compile(bytes))
})

const sources: Sources = { ...PARTS, wasm }

/**
 * Opens a store, or creates it. In a page, a store of the storages 'opfs', 'indexeddb' and 'auto' has its engine in a worker.
 *
 * @throws PalimpsestError as in Node; and with the code `UNSUPPORTED` if this browser, or this page, has no such storage.
 */
export async function open<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'>(
  options: OpenOptions<V, K>,
): Promise<Store<V, K>> {
  return (await openFrom(sources, options as OpenOptions<ValueCodec, KeyCodec>)) as unknown as Store<V, K>
}

/**
 * Makes a store of the bytes of {@link Store.export}, in a storage that holds nothing yet, or what is left of an import that was cut short,
 * and opens it. In a page a worker makes a store of the storages 'opfs', 'indexeddb' and 'auto', alone; other tabs can open it once it is there.
 *
 * @throws PalimpsestError as in Node; and with the code `UNSUPPORTED` if this browser, or this page, has no such storage.
 */
export async function importStore<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'>(
  source: ImportSource,
  options: OpenOptions<V, K> & ImportOptions,
): Promise<Store<V, K>> {
  const asked = options as OpenOptions<ValueCodec, KeyCodec> & ImportOptions
  return (await importFrom(sources, source, asked)) as unknown as Store<V, K>
}

export { type ErrorCode, type ErrorFields, PalimpsestError } from '../errors.js'
export { compare, del, get, put } from '../ops.js'
export type * from '../types.js'
