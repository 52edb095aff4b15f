import { PalimpsestError } from '../errors.js'

/** Compiles or instantiates WebAssembly. What the browser says if it does not want to is told with what it may want. */
export async function started<T>(start: () => Promise<T>): Promise<T> {
  try {
    return await start()
  } catch (error) {
    const { message: reason } = error as Error
    const words = `the engine, which is the file palimpsest.wasm of this version, can't be started here: ${reason}`
    const hint = "a Content-Security-Policy must allow `script-src 'wasm-unsafe-eval'`"
    throw new PalimpsestError('UNSUPPORTED', `${words}; ${hint}`, { reason })
  }
}

/** Bytes that are compressed with `deflate`, and written in base 64 so that they can stand in a JavaScript file. */
export async function decompressed(base64: string): Promise<Uint8Array<ArrayBuffer>> {
  const packed = Uint8Array.from(atob(base64), character => character.charCodeAt(0))
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate-raw'))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}
