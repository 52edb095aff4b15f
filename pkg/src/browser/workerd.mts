/**
 * The package for runtimes that take WebAssembly only as a module of its own: stores in memory, or in a storage of one's own.
 *
 * @packageDocumentation
 */
import type { ImportOptions, ImportSource, KeyCodec, OpenOptions, Store, ValueCodec } from '../types.js'
import { importInPlace, openInPlace } from './in-place.js'

async function wasm(): Promise<WebAssembly.Module> {
  return ((await import('./palimpsest.wasm' as string)) as { default: WebAssembly.Module }).default
}

/** Opens a store, or creates it. */
export function open<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'>(
  options: OpenOptions<V, K>,
): Promise<Store<V, K>> {
  return openInPlace(wasm, options)
}

/** Makes a store of the bytes of {@link Store.export}, in a storage that holds nothing yet, and opens it. */
export function importStore<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'>(
  source: ImportSource,
  options: OpenOptions<V, K> & ImportOptions,
): Promise<Store<V, K>> {
  return importInPlace(wasm, source, options)
}

export { type ErrorCode, type ErrorFields, PalimpsestError } from '../errors.js'
export { compare, del, get, put } from '../ops.js'
export type * from '../types.js'
