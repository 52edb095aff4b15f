/**
 * The package for browsers: the engine is part of it, compressed, and is loaded when the first store is opened.
 *
 * @packageDocumentation
 */
import type { KeyCodec, OpenOptions, Store, ValueCodec } from '../types.js'
import { openFrom } from './open.js'
import { decompressed } from './wasm.js'

let compiled: Promise<WebAssembly.Module> | undefined

/** Compiles the engine, once. */
function wasm(): Promise<WebAssembly.Module> {
  compiled ??= import('palimpsest-wasm' as string).then(async ({ default: base64 }) =>
    WebAssembly.compile(await decompressed(base64 as string)),
  )
  return compiled
}

const sources = {
  wasm,
  workerCode: async (): Promise<string> => (await import('palimpsest-worker-code' as string)).default,
  inPlace: (): Promise<typeof import('./in-place.js')> => import('./in-place.js'),
}

/**
 * Opens a store, or creates it: see the package's documentation.
 */
export async function open<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'>(
  options: OpenOptions<V, K>,
): Promise<Store<V, K>> {
  return (await openFrom(sources, options as OpenOptions<ValueCodec, KeyCodec>)) as unknown as Store<V, K>
}

export { type ErrorCode, type ErrorFields, PalimpsestError } from '../errors.js'
export { compare, del, get, put } from '../ops.js'
export type * from '../types.js'
