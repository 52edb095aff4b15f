import type { RawModule } from '../engine.js'
import { started } from './wasm.js'

/** The glue that wasm-bindgen makes for browsers. */
interface Glue extends RawModule {
  initSync(wasm: { module: WebAssembly.Module }): unknown
}

/** What is made when it is first asked for. A failure is tried again. */
export function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make().catch(error => {
      made = undefined
      throw error
    })
    return made
  }
}

let loaded: Promise<RawModule> | undefined

/** Makes the engine of a compiled module; one for this thread, whatever module comes later. A failure is tried again. */
export function engineOf(wasm: () => Promise<WebAssembly.Module>): Promise<RawModule> {
  loaded ??= instantiated(wasm).catch(error => {
    loaded = undefined
    throw error
  })
  return loaded
}

async function instantiated(wasm: () => Promise<WebAssembly.Module>): Promise<RawModule> {
  const glue = (await import('palimpsest-glue' as string)) as Glue
  const module = await wasm()
  await started(async () => glue.initSync({ module }))
  return glue
}
