/**
 * The package for runtimes that take WebAssembly only as a module of its own: stores in memory, or in a storage of one's own.
 *
 * @packageDocumentation
 */
import type { KeyCodec, OpenOptions, Store, ValueCodec } from '../types.js'
import { openInPlace } from './in-place.js'

async function wasm(): Promise<WebAssembly.Module> {
  return ((await import('./palimpsest.wasm' as string)) as { default: WebAssembly.Module }).default
}

/** Opens a store, or creates it. */
export function open<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'>(
  options: OpenOptions<V, K>,
): Promise<Store<V, K>> {
  return openInPlace(wasm, options)
}

export { type ErrorCode, type ErrorFields, PalimpsestError } from '../errors.js'
export { compare, del, get, put } from '../ops.js'
export type * from '../types.js'
