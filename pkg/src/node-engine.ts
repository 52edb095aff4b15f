import type { RawModule } from './engine.js'

/** Loads the wasm, once: Node's glue reads the file beside it when it is first imported. */
export async function loadEngine(): Promise<RawModule> {
  const glue = (await import('./engine/palimpsest.js' as string)) as { default: RawModule }
  return glue.default
}
