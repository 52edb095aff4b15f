/**
 * The package for browsers without the engine, which the program brings: the file `palimpsest-kv/palimpsest.wasm`, in whatever way it is
 * loaded best.
 *
 * @packageDocumentation
 */
import { PalimpsestError } from '../errors.js'
import type { ImportOptions, ImportSource, KeyCodec, OpenOptions, Store, ValueCodec } from '../types.js'
import { importFrom, openFrom, type Sources } from './open.js'
import { PARTS } from './parts.js'
import { started } from './wasm.js'

/** Where the engine comes from: a compiled module, its bytes, or the answer to a request for them. */
export type Wasm = WebAssembly.Module | ArrayBuffer | Uint8Array<ArrayBuffer> | Response

let compiled: Promise<WebAssembly.Module> | undefined
/** Whether `compiled` is rejected: who opens a store is told why, until another engine is handed over. */
let isFailed = false

async function compile(wasm: Wasm | Promise<Wasm>): Promise<WebAssembly.Module> {
  const given = await wasm
  if (given instanceof WebAssembly.Module) return given
  return started(() =>
    given instanceof Response ? WebAssembly.compileStreaming(given) : WebAssembly.compile(given),
  )
}

/**
 * Hands the engine over. It must be called once, before the first store is opened; and again if that has failed, as `open` then tells.
 *
 * @example
 * ```ts
 * init(fetch(new URL('palimpsest-kv/palimpsest.wasm', import.meta.url)))
 * const db = await open({ name: 'app', storage: 'auto' })
 * ```
 */
export function init(wasm: Wasm | Promise<Wasm>): void {
  if (compiled !== undefined && !isFailed) return
  isFailed = false
  compiled = compile(wasm)
  compiled.catch(() => {
    isFailed = true
  })
}

async function wasm(): Promise<WebAssembly.Module> {
  if (compiled === undefined)
    throw new PalimpsestError(
      'UNSUPPORTED',
      'the engine is missing: call init with palimpsest.wasm before open',
    )
  return compiled
}

const sources: Sources = { ...PARTS, wasm }

/** Opens a store, or creates it, as the package's main entry does. */
export async function open<V extends ValueCodec = 'utf8', K extends KeyCodec = 'utf8'>(
  options: OpenOptions<V, K>,
): Promise<Store<V, K>> {
  return (await openFrom(sources, options as OpenOptions<ValueCodec, KeyCodec>)) as unknown as Store<V, K>
}

/** Makes a store of an export, as the package's main entry does. */
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
